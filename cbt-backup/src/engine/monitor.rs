//! What a run tells while it works. The program draws bars or lines from it; tests record it.

use super::binding::Stage;

/// Something that happened, worth a line.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Event {
    /// How much it matters.
    pub severity: Severity,
    /// A stable word for programs, for instance `bad-map`.
    pub kind: String,
    /// A sentence for people.
    pub message: String,
    /// What of it programs want to know, by name.
    #[serde(default, flatten)]
    pub details: serde_json::Map<String, serde_json::Value>,
}

/// How much an event matters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something is not as it should be; the run goes on.
    Warning,
}

impl Event {
    /// Good to know.
    pub fn info(kind: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Info,
            kind: kind.to_owned(),
            message: message.into(),
            details: serde_json::Map::new(),
        }
    }

    /// Not as it should be.
    pub fn warning(kind: &str, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            kind: kind.to_owned(),
            message: message.into(),
            details: serde_json::Map::new(),
        }
    }

    /// Adds something for programs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// Sees the progress of a run. Calls come from several threads.
///
/// Several disks may be in work at once: each has a key, which is vSphere's device key. Work that is done on one thing only has
/// the key 0.
pub trait Monitor: Send + Sync {
    /// A step of the run begins, for instance `create snapshot`.
    fn step(&self, name: &str);
    /// Work on one disk begins; `total_bytes` will be read or written.
    fn disk_begins(&self, key: i32, label: &str, total_bytes: u64);
    /// So many bytes of a disk in work are done, in addition.
    fn advance(&self, key: i32, bytes: u64);
    /// Work on a disk ended.
    fn disk_ends(&self, key: i32);
    /// The other stages wait for this one now.
    fn bound_by(&self, _stage: Stage) {}
    /// Something happened.
    fn event(&self, event: &Event);
}
