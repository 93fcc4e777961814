//! A disk of one VM, or of none, attached to another by HotAdd.

use serde::{Deserialize, Serialize};

/// Where an attached disk belongs, and what must go when it is detached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Moref of the VM whose disk it is; `None` for a disk that belongs to no VM.
    pub source_vm: Option<String>,
    /// Datastore path of the link that was attached.
    #[serde(default)]
    pub file: String,
    /// Datastore path of the redo log that was made over the disk, on the disk's datastore;
    /// `None` for a disk that was attached for writing.
    pub redo_log: Option<String>,
    /// The process that attached it.
    pub process: u32,
    /// The folder where that process kept its state: `tmpDirectory` of VDDK's configuration.
    pub state_folder: Option<String>,
}

impl Attachment {
    /// The VM whose disk it is, or the datastore path of a disk that belongs to none.
    pub(crate) fn source(&self) -> &str {
        self.source_vm.as_deref().unwrap_or(&self.file)
    }
}
