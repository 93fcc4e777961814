//! The protocol as it is, and as it must not be.

use std::fmt;

/// Which protocol is explored. All but the first are wrong, each in one place; a checker that does
/// not find the mistake is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Variant {
    /// As it is.
    Right,
    /// A writer announces itself after it has read the lists of condemned packs.
    AnnounceLate,
    /// A writer takes over references into condemned packs.
    IgnoreCondemned,
    /// A writer reports success without a look for fences.
    NoFenceCheck,
    /// A sweep publishes no list.
    NoList,
    /// A sweep neither waits for sessions nor fences them.
    NoWaiting,
    /// A sweep leaves its proposal though the root is there.
    NeverWithdraw,
    /// A sweep deletes by what it marked before it published its list.
    NoSecondMark,
    /// A sweep does not look at the pins of readers.
    NoPins,
    /// Two sweeps share the key of a fence.
    SharedFenceKey,
    /// A sweep that found no root goes on without a final fence.
    NeverFinal,
    /// A writer that meets a fence deletes its root.
    FencedWriterDeletes,
    /// An old generation goes as soon as the root of a higher one is there.
    OldGenerationUntested,
    /// A draft: marking leaves out roots with a mere proposal.
    MarkSkipsProposed,
    /// A draft: a fence is one object, put before the look for the root and withdrawn after it.
    OneStepFence,
    /// A draft: an old generation goes once the session of the higher one is closed.
    OldGenerationWhenClosed,
    /// The protocol as it was first written down: a tombstone goes when its roots were absent at the
    /// beginning of the sweep, whatever came since.
    TombstoneByFirstLook,
    /// A sweep removes the list of another one though its packs are there.
    ListOfOthers,
    /// A sweep ends a session without a root for good though its usage table is there: perhaps the root was lost.
    TableUnasked,
    /// A sweep looks for the table before it proposes the fence, and not after.
    TableBeforeProposal,
    /// Of a session whose table is there a sweep holds what it stored itself, and nothing it took over.
    HoldsOwnPacks,
    /// A sweep that holds what a session needs removes the tombstone of its point.
    HoldForgetsTombstone,
    /// A sweep takes the root of a session for removed where another sweep proposed a fence.
    ProposalHidesLoss,
    /// A run that has committed a partial root goes on in its next session with what it knows: it
    /// reads no lists and does not look whether that root lives.
    RowGoesOn,
}

impl Variant {
    /// All that are wrong.
    pub const WRONG: [Self; 23] = [
        Self::AnnounceLate,
        Self::IgnoreCondemned,
        Self::NoFenceCheck,
        Self::NoList,
        Self::NoWaiting,
        Self::NeverWithdraw,
        Self::NoSecondMark,
        Self::NoPins,
        Self::SharedFenceKey,
        Self::NeverFinal,
        Self::FencedWriterDeletes,
        Self::OldGenerationUntested,
        Self::MarkSkipsProposed,
        Self::OneStepFence,
        Self::OldGenerationWhenClosed,
        Self::TombstoneByFirstLook,
        Self::ListOfOthers,
        Self::TableUnasked,
        Self::TableBeforeProposal,
        Self::HoldsOwnPacks,
        Self::HoldForgetsTombstone,
        Self::ProposalHidesLoss,
        Self::RowGoesOn,
    ];
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
