//! Something that a janitor found.

use jiff::{SignedDuration, Timestamp};

/// Something that a janitor found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The dead session that it is of, where that is known.
    pub session: Option<String>,
    /// The description, of a snapshot.
    pub description: Option<String>,
    /// When it was made, of a snapshot.
    pub created: Option<Timestamp>,
    /// How old it is: a snapshot by the server's clock, what a ledger names of a VM that was not visited by ours.
    pub age: Option<SignedDuration>,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
}

/// What a janitor may find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// A dead run of this machine, by its ledger.
    Run,
    /// A snapshot with our name.
    Snapshot,
    /// The snapshot of a stun cycle.
    Cycle,
    /// The VM is kept from being moved.
    Access,
    /// A snapshot that is still being made.
    SnapshotTask,
    /// Disks that need consolidation.
    Consolidation,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is undone.
    Undone,
    /// It is a dead run's, and stays because this was only a look.
    Found,
    /// It could not be undone.
    Left,
    /// It has our name, and nothing proves that it is ours.
    Unproven,
    /// It is not ours, or of a run that lives: it stays, and should.
    Alone,
}

impl FindingKind {
    /// A stable word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Snapshot => "snapshot",
            Self::Cycle => "stun-cycle",
            Self::Access => "access",
            Self::SnapshotTask => "snapshot-task",
            Self::Consolidation => "consolidation",
        }
    }
}

impl Outcome {
    /// A stable word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Undone => "undone",
            Self::Found => "found",
            Self::Left => "left",
            Self::Unproven => "unproven",
            Self::Alone => "left-alone",
        }
    }
}

impl Finding {
    pub(super) fn new(kind: FindingKind, outcome: Outcome, reason: impl Into<String>) -> Self {
        Self {
            kind,
            session: None,
            description: None,
            created: None,
            age: None,
            outcome,
            reason: reason.into(),
        }
    }

    /// True when it is there and should not be.
    pub fn is_left(&self) -> bool {
        matches!(
            self.outcome,
            Outcome::Found | Outcome::Left | Outcome::Unproven
        )
    }
}
