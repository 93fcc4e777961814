//! Who acts.

use crate::set::Set;
use crate::store::SESSIONS;
use crate::variant::Variant;

/// The actors of an exploration. Everybody can stop for ever before any of their steps.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What it is called.
    pub name: &'static str,
    /// Writing sessions: number 1 is the first of them, and so on.
    pub writers: Vec<Writing>,
    /// How many sweeps run.
    pub sweeps: u8,
    /// The point that a reader reads.
    pub reader: Option<u8>,
    /// Points that retention may drop at any time.
    pub dropped: Set,
    /// A pack may rot, and somebody may find out and put it into quarantine.
    pub rot: bool,
    /// The root of one committed point may be lost.
    pub loss: bool,
    /// The protocol.
    pub variant: Variant,
}

/// What a writing session does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Writing {
    /// A backup of a new point, whose number is that of the session. It builds on the first of these
    /// sessions' roots that lives, or on none. With `after` it begins when that session has reported
    /// success, as a run does that commits partial roots in a row.
    Backup {
        /// Sessions whose root can be the parent.
        parents: Vec<u8>,
        /// The session before it.
        after: Option<u8>,
        /// Sessions with partial roots, which it drops once it has reported success.
        finishes: Vec<u8>,
    },
    /// Compaction of point 0: its next generation.
    Compaction,
    /// A new point with the content of point 0, dead or not.
    Undelete,
}

impl Scene {
    /// The point that a session's root is of.
    pub fn point(&self, session: u8) -> u8 {
        match self.writing(session) {
            Some(Writing::Compaction) => 0,
            _ => session,
        }
    }

    /// What a session does; nothing for the one of the past.
    pub fn writing(&self, session: u8) -> Option<&Writing> {
        self.writers.get(usize::from(session).checked_sub(1)?)
    }

    /// The sessions that write, and that of the past.
    pub fn sessions(&self) -> u8 {
        self.writers.len() as u8 + 1
    }

    /// The session that compacts.
    pub fn compactor(&self) -> Option<u8> {
        (1..self.sessions()).find(|session| self.writing(*session) == Some(&Writing::Compaction))
    }

    /// The same actors with another protocol.
    #[must_use]
    pub fn under(&self, variant: Variant) -> Self {
        Self {
            variant,
            ..self.clone()
        }
    }

    fn new(name: &'static str, writers: Vec<Writing>, sweeps: u8) -> Self {
        assert!(
            writers.len() < SESSIONS,
            "a session a writer, and one of the past"
        );
        Self {
            name,
            writers,
            sweeps,
            reader: None,
            dropped: Set::of(0),
            rot: false,
            loss: false,
            variant: Variant::Right,
        }
    }

    fn with_reader(self) -> Self {
        Self {
            reader: Some(0),
            ..self
        }
    }

    /// A backup, a sweep, a reader.
    pub fn small() -> Self {
        Self::new("writer, sweep, reader", vec![backup(&[0])], 1).with_reader()
    }

    /// Two backups, of which the second may build on the first, and a sweep.
    pub fn two_writers() -> Self {
        let writers = vec![backup(&[0]), backup(&[1, 0])];
        Self {
            dropped: Set::of(0).with(1),
            ..Self::new("2 writers, sweep", writers, 1)
        }
    }

    /// A backup, two sweeps, a reader.
    pub fn two_sweeps() -> Self {
        Self::new("writer, 2 sweeps, reader", vec![backup(&[0])], 2).with_reader()
    }

    /// A backup, two sweeps.
    pub fn two_sweeps_unread() -> Self {
        Self::new("writer, 2 sweeps", vec![backup(&[0])], 2)
    }

    /// A backup, a compaction, a sweep, a reader.
    pub fn compaction() -> Self {
        let writers = vec![Writing::Compaction, backup(&[0])];
        Self::new("writer, compactor, sweep, reader", writers, 1).with_reader()
    }

    /// A compaction, two sweeps, a reader.
    pub fn compaction_and_two_sweeps() -> Self {
        let writers = vec![Writing::Compaction];
        Self::new("compactor, 2 sweeps, reader", writers, 2).with_reader()
    }

    /// A compaction, two sweeps.
    pub fn compaction_unread() -> Self {
        Self::new("compactor, 2 sweeps", vec![Writing::Compaction], 2)
    }

    /// A backup that commits a partial root and goes on in a second session, and a sweep.
    pub fn partial_roots() -> Self {
        let writers = vec![backup(&[0]), goes_on(1, &[1])];
        Self {
            dropped: Set::of(0).with(1),
            ..Self::new("2 roots of one run, sweep", writers, 1)
        }
    }

    /// A run of three sessions, whose last one drops what the others committed, and a sweep.
    pub fn row() -> Self {
        let writers = vec![backup(&[0]), goes_on(1, &[]), goes_on(2, &[1, 2])];
        Self {
            dropped: Set::of(1).with(2),
            ..Self::new("3 roots of one run, sweep", writers, 1)
        }
    }

    /// A run of two sessions, another that resumes from whatever root of it there is and drops
    /// what is partial, and a sweep.
    pub fn resumed() -> Self {
        let writers = vec![
            backup(&[0]),
            goes_on(1, &[]),
            Writing::Backup {
                parents: vec![2, 1],
                after: None,
                finishes: vec![1, 2],
            },
        ];
        Self {
            dropped: Set::of(1).with(2),
            ..Self::new("2 roots of one run, one that resumes, sweep", writers, 1)
        }
    }

    /// Somebody takes a dead point out of the bin while sweeps clean it.
    pub fn undelete() -> Self {
        Self::new("undelete, 2 sweeps", vec![Writing::Undelete], 2)
    }

    /// A pack rots, is put into quarantine, and backups heal it.
    pub fn quarantine() -> Self {
        Self {
            rot: true,
            ..Self::new(
                "2 writers, rot, sweep",
                vec![backup(&[0]), backup(&[1, 0])],
                1,
            )
        }
    }

    /// A backup, a sweep, and a root that is lost.
    pub fn lost_root() -> Self {
        Self {
            loss: true,
            ..Self::new("writer, lost root, sweep", vec![backup(&[0])], 1)
        }
    }

    /// A backup, two sweeps, and a root that is lost. Nobody drops a point.
    pub fn lost_root_and_two_sweeps() -> Self {
        Self {
            loss: true,
            dropped: Set::EMPTY,
            ..Self::new("writer, lost root, 2 sweeps", vec![backup(&[0])], 2)
        }
    }

    /// Three sweeps, a reader, and nobody who writes.
    pub fn three_sweeps() -> Self {
        Self::new("3 sweeps, reader", Vec::new(), 3).with_reader()
    }

    /// A backup, three sweeps.
    pub fn writer_and_three_sweeps() -> Self {
        Self::new("writer, 3 sweeps", vec![backup(&[0])], 3)
    }

    /// Somebody takes a dead point out of the bin while three sweeps clean it.
    pub fn undelete_and_three_sweeps() -> Self {
        Self::new("undelete, 3 sweeps", vec![Writing::Undelete], 3)
    }

    /// A compaction, three sweeps.
    pub fn compaction_and_three_sweeps() -> Self {
        Self::new("compactor, 3 sweeps", vec![Writing::Compaction], 3)
    }

    /// Two backups, of which the second may build on the first, and two sweeps.
    pub fn two_writers_and_two_sweeps() -> Self {
        let writers = vec![backup(&[0]), backup(&[1, 0])];
        Self::new("2 writers, 2 sweeps", writers, 2)
    }

    /// A backup, a compaction, two sweeps.
    pub fn writer_compaction_and_two_sweeps() -> Self {
        let writers = vec![Writing::Compaction, backup(&[0])];
        Self::new("writer, compactor, 2 sweeps", writers, 2)
    }

    /// Sets that take an hour, or more memory than most machines have.
    pub fn huge() -> Vec<Self> {
        vec![
            Self::undelete_and_three_sweeps(),
            Self::compaction_and_three_sweeps(),
            Self::writer_and_three_sweeps(),
            Self::two_writers_and_two_sweeps(),
            Self::writer_compaction_and_two_sweeps(),
        ]
    }

    /// Sets that are explored in seconds.
    pub fn quick() -> Vec<Self> {
        vec![
            Self::small(),
            Self::two_sweeps_unread(),
            Self::compaction_unread(),
            Self::undelete(),
            Self::partial_roots(),
            Self::two_writers(),
            Self::lost_root(),
        ]
    }

    /// Sets that take minutes and a gigabyte.
    pub fn thorough() -> Vec<Self> {
        vec![
            Self::two_sweeps(),
            Self::compaction(),
            Self::compaction_and_two_sweeps(),
            Self::quarantine(),
            Self::row(),
            Self::resumed(),
            Self::three_sweeps(),
            Self::lost_root_and_two_sweeps(),
        ]
    }
}

fn backup(parents: &[u8]) -> Writing {
    Writing::Backup {
        parents: parents.to_vec(),
        after: None,
        finishes: Vec::new(),
    }
}

/// The next session of a run that has committed a partial root.
fn goes_on(before: u8, finishes: &[u8]) -> Writing {
    Writing::Backup {
        parents: vec![before],
        after: Some(before),
        finishes: finishes.to_vec(),
    }
}
