//! The memory of repository sessions, of which there is one for each VM in work.

use crate::repo::SessionOptions;

/// What one session may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionMemory {
    /// Packs that are filled, and packs on their way to the store.
    pub pack_bytes: usize,
    /// Blocks that are remembered in order not to be stored twice.
    pub dedup_entries: usize,
}

/// Two packs are filled at a time, one with blocks and one with nodes.
const FILLED: usize = 2;

/// The smallest packs: smaller ones are too many objects.
const LEAST_PACK_BYTES: usize = 4 << 20;

impl Default for SessionMemory {
    /// 192 MiB of packs, and 96 MiB of the table of known blocks.
    fn default() -> Self {
        let options = SessionOptions::default();
        Self {
            pack_bytes: options.pack_bytes * (FILLED + options.uploads as usize),
            dedup_entries: options.dedup_entries,
        }
    }
}

impl SessionMemory {
    /// The part of one of so many sessions.
    #[must_use]
    pub fn shared_by(self, sessions: usize) -> Self {
        let sessions = sessions.max(1);
        Self {
            pack_bytes: self.pack_bytes / sessions,
            dedup_entries: self.dedup_entries / sessions,
        }
    }

    /// How a session keeps to it: with fewer uploads at once first, then with smaller packs.
    pub fn options(self) -> SessionOptions {
        let whole = SessionOptions::default();
        let with = |uploads: usize| self.pack_bytes / (FILLED + uploads);
        let uploads = if with(whole.uploads as usize) < whole.pack_bytes {
            2
        } else {
            whole.uploads as usize
        };
        SessionOptions {
            uploads: uploads as u32,
            pack_bytes: with(uploads).clamp(LEAST_PACK_BYTES, whole.pack_bytes),
            dedup_entries: self.dedup_entries.max(1),
            ..whole
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SessionMemory;
    use crate::repo::SessionOptions;

    #[test]
    fn one_session_has_all_and_several_have_no_more_together() {
        let whole = SessionOptions::default();
        let alone = SessionMemory::default().options();
        assert_eq!(
            (alone.uploads, alone.pack_bytes, alone.dedup_entries),
            (whole.uploads, whole.pack_bytes, whole.dedup_entries)
        );
        for sessions in 2..=12 {
            let each = SessionMemory::default().shared_by(sessions).options();
            let packs = sessions * each.pack_bytes * (2 + each.uploads as usize);
            assert!(packs <= 192 << 20, "{sessions}: {packs}");
            assert!(sessions * each.dedup_entries <= whole.dedup_entries);
        }
        let many = SessionMemory::default().shared_by(64).options();
        assert_eq!((many.uploads, many.pack_bytes), (2, 4 << 20));
    }
}
