//! What a sweep is told, and what it answers.

use std::time::Duration;

use crate::repo::id::SessionId;

/// How a sweep works.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    /// The time now in milliseconds since 1970. It decides about the bin and lost roots and nothing else.
    pub now_ms: i64,
    /// How long a dropped point lies in the bin, in milliseconds. Until then its data stay.
    pub bin_ms: i64,
    /// How long the packs of a lost root are held once it is missed, in milliseconds.
    pub lost_ms: i64,
    /// Time between two looks at the announcements. A session whose announcement did not change
    /// between them counts as dead, so it must be well above the time between two heart-beats.
    pub look_interval: Duration,
    /// Number of looks after which the sweep gives up waiting for sessions that are alive.
    pub max_looks: Option<u32>,
    /// The sweep refuses to take more than this share of the packs' bytes, in percent.
    pub max_percent: u8,
    /// Count what the trees need beside what the usage tables say, and keep both.
    pub recount: bool,
    /// Remove lists of other sweeps that cannot be read: whoever asks for it says that no other sweep runs.
    pub remove_unreadable_lists: bool,
    /// Change nothing, and tell what would go.
    pub dry_run: bool,
    /// Objects that are deleted at once.
    pub deletes: usize,
}

impl Default for SweepOptions {
    /// 7 days for the bin and for lost roots (with `now_ms` to be set), looks 150 s apart without an end, 90 percent, recounted.
    fn default() -> Self {
        Self {
            now_ms: 0,
            bin_ms: 7 * 24 * 60 * 60 * 1000,
            lost_ms: 7 * 24 * 60 * 60 * 1000,
            look_interval: Duration::from_secs(150),
            max_looks: None,
            max_percent: 90,
            recount: true,
            remove_unreadable_lists: false,
            dry_run: false,
            deletes: 8,
        }
    }
}

impl SweepOptions {
    /// What happened after this is younger than `length_ms`; nothing is, where that is 0.
    pub(super) fn since_ms(&self, length_ms: i64) -> i64 {
        match length_ms {
            0 => i64::MAX,
            length_ms => self.now_ms.saturating_sub(length_ms),
        }
    }
}

/// What a sweep did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SweepReport {
    /// Packs that were there when it began.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// Packs that went; with `dry_run`, that would go.
    pub packs_deleted: u64,
    /// Their bytes.
    pub bytes_deleted: u64,
    /// Packs that the store would not delete, because they are locked: a later sweep does it.
    pub packs_denied: u64,
    /// Packs that a tree needs though no usage table names them; they were kept.
    pub packs_untold: u64,
    /// Sessions that were taken for dead and can no longer commit.
    pub fenced: Vec<SessionId>,
    /// Roots that went: of dropped points past the bin, of older generations, of fenced sessions.
    pub roots_removed: u64,
    /// Tombstones, announcements and lists that went.
    pub leftovers_removed: u64,
    /// Lists of other sweeps that could not be read and were removed.
    pub unreadable_lists: Vec<String>,
    /// Sessions it did not wait for any longer; then nothing was deleted.
    pub still_open: Vec<SessionId>,
    /// Points whose root is lost.
    pub missed_roots: Vec<MissedRoot>,
}

/// A session that has stored all of a point, and whose root is not there though nobody removed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MissedRoot {
    /// The session.
    pub session: SessionId,
    /// The VM, where a point that is there shares packs with it.
    pub vm: Option<String>,
    /// The session is announced and does not move: perhaps it died before it wrote the root.
    pub announced: bool,
    /// Packs that only this root needed.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Until then, in milliseconds since 1970, its packs stay; `None` when that time is over and they go.
    pub held_until_ms: Option<i64>,
}

impl MissedRoot {
    pub(super) fn is_held(&self) -> bool {
        self.held_until_ms.is_some()
    }
}

impl SweepReport {
    /// What this sweep and the next one did together.
    #[must_use]
    pub fn and_then(mut self, next: Self) -> Self {
        self.packs_deleted += next.packs_deleted;
        self.bytes_deleted += next.bytes_deleted;
        self.packs_denied = next.packs_denied;
        self.packs_untold = next.packs_untold;
        self.fenced.extend(next.fenced);
        self.roots_removed += next.roots_removed;
        self.leftovers_removed += next.leftovers_removed;
        self.unreadable_lists.extend(next.unreadable_lists);
        self.still_open = next.still_open;
        let again = |old: &MissedRoot| {
            next.missed_roots
                .iter()
                .any(|new| new.session == old.session)
        };
        self.missed_roots.retain(|old| !again(old));
        self.missed_roots.extend(next.missed_roots);
        self
    }
}

/// Follows a sweep or a compaction, and may stop it.
pub trait SweepMonitor: Sync {
    /// It waits for these sessions to end.
    fn waiting(&self, _sessions: &[SessionId]) {}
    /// It waits between two looks whether another sweep is at work.
    fn looking_twice(&self) {}
    /// So many bytes of packs will be deleted, or copied.
    fn total_bytes(&self, _bytes: u64) {}
    /// So many more bytes are done.
    fn advance_bytes(&self, _bytes: u64) {}
    /// Asked now and then. What was condemned and is still there goes with the next sweep.
    fn should_stop(&self) -> bool {
        false
    }
}

/// Nobody follows.
impl SweepMonitor for () {}
