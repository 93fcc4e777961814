//! What can go wrong in a repository.

use std::io;
use std::sync::Arc;

use super::id::{ObjectId, PackId, PointId, SessionId};
use super::key::SlotKind;
use super::name::ObjectName;
use super::store::{self, StoreSaid};

/// An error of the repository.
///
/// It can be cloned, because one failed upload is told to every thread of its session.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address holds no repository.
    #[error("no repository at {location}")]
    NoRepository {
        /// The store's address.
        location: String,
    },
    /// The object `config` is not there, though there are key slots.
    #[error("config is missing from the repository at {location}")]
    ConfigLost {
        /// The store's address.
        location: String,
    },
    /// The key slot holds no copy of `config`: an earlier program made it.
    #[error("no key slot that this key may open holds a copy of config")]
    NoConfigCopy,
    /// The key opens no slot with a copy of `config`; there are others, which cannot be tried without `config`.
    #[error(
        "the {what} opens none of the {with_copy} key slots that hold a copy of config; {without}, made by another version of the program, \
         cannot be tried without config"
    )]
    NoCopyOpened {
        /// What was tried.
        what: SlotKind,
        /// Slots that were tried.
        with_copy: usize,
        /// Slots that could not be.
        without: usize,
    },
    /// `init` met a repository.
    #[error("there is a repository at {location} already")]
    AlreadyRepository {
        /// The store's address.
        location: String,
    },
    /// `init` met other files.
    #[error("{location} is not empty and no repository: {found} is there")]
    NotEmpty {
        /// The store's address.
        location: String,
        /// One thing that is there.
        found: String,
    },
    /// The bucket or container is not there.
    #[error("there is no such bucket: {location}")]
    NoBucket {
        /// The store's address, or the folder in it that was listed.
        location: String,
        /// What the store said.
        source: StoreSaid,
    },
    /// The address names a kind of store this build has not.
    #[error("repository address {address}: stores of kind {scheme} are not supported")]
    UnsupportedAddress {
        /// The address as given.
        address: String,
        /// The part before `://`.
        scheme: String,
    },
    /// The address cannot be used as it stands.
    #[error("{address}: {why}")]
    BadAddress {
        /// The address, without its parameters.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store does not do what the repository rests on.
    #[error("{location} is not fit for a repository: broken was \"{promise}\": {how}")]
    UnfitStore {
        /// The store's address.
        location: String,
        /// What the store must do.
        promise: &'static str,
        /// What it did.
        how: String,
    },
    /// No key slot opened.
    #[error(
        "the {what} opens none of the {slots} key slots{}",
        and_damaged(damaged)
    )]
    WrongKey {
        /// What was tried.
        what: SlotKind,
        /// Number of slots.
        slots: usize,
        /// Those that cannot be read: it may be one of these that the key opens.
        damaged: Vec<ObjectId>,
    },
    /// A key file is too short to be safe, or too long to be one.
    #[error("a key file has 32 to 4096 bytes, this one has {found_bytes}")]
    BadKeyFile {
        /// Its length.
        found_bytes: u64,
    },
    /// A label is too long or has control characters.
    #[error("a label has at most 200 bytes and no control characters")]
    BadLabel,
    /// No further slot is made.
    #[error("there are {slots} key slots, and more are not made")]
    TooManyKeySlots {
        /// Number of slots.
        slots: usize,
    },
    /// The beginning of an id fits no slot, or several.
    #[error("{wanted} fits {matches} key slots")]
    KeySlotNotFound {
        /// What was asked for.
        wanted: String,
        /// Number of slots it fits.
        matches: usize,
    },
    /// The slot that the repository was opened by is not removed.
    #[error("key slot {slot} is the one that the repository was opened by")]
    KeySlotInUse {
        /// The slot.
        slot: ObjectId,
    },
    /// Somebody else removed the slot in use while another was removed.
    #[error(
        "key slot {slot} was removed by somebody else at the same time; it was put back, so that the repository can be opened"
    )]
    KeySlotPutBack {
        /// The slot that is there again.
        slot: ObjectId,
    },
    /// The new slot is there, the old one could not be removed.
    #[error("the new key slot {new} opens the repository, but the old one {old} is still there")]
    KeySlotKept {
        /// The new slot.
        new: ObjectId,
        /// The old slot.
        old: ObjectId,
        /// Why it was not removed.
        source: Box<Error>,
    },
    /// The repository was written by a later program.
    #[error("repository format {found} is newer than {known}, the newest this program knows")]
    FormatTooNew {
        /// Format of the repository.
        found: u32,
        /// Newest format known here.
        known: u32,
    },
    /// The repository was written by a build from before the first format that stays readable.
    #[error(
        "the repository is of format 0, a draft that this program does not read: restore from it \
         with the build that wrote it, and make a new one"
    )]
    FormatDraft,
    /// The object needs a feature this program does not have.
    #[error("{object} needs the feature {feature}, which this program does not know")]
    NeedsFeature {
        /// Name of the object.
        object: String,
        /// Name of the feature.
        feature: String,
    },
    /// The store takes no data: full, read-only, or without rights.
    #[error("failed to write {object}: the repository is not writable")]
    NotWritable {
        /// Name of the object.
        object: String,
        /// What the store said.
        source: StoreSaid,
    },
    /// The store refuses what it is asked for: rights or credentials are wanting.
    #[error("failed to {operation} {object}: the store refuses access")]
    AccessDenied {
        /// `read`, `write`, `list` or `delete`.
        operation: &'static str,
        /// Name of the object or prefix.
        object: String,
        /// What the store said.
        source: StoreSaid,
    },
    /// The store does not let go of an object now: it is locked for a time, or without rights
    /// to delete. A sweep leaves it to a later one.
    #[error("the store keeps {object} for now")]
    DeleteRefused {
        /// Name of the object.
        object: String,
        /// What the store said.
        source: StoreSaid,
    },
    /// An object is not there.
    #[error("{object} is missing from the repository")]
    Missing {
        /// Name of the object.
        object: String,
    },
    /// An object does not hold what it must.
    #[error("{object} is damaged: {what}")]
    Damaged {
        /// Name of the object.
        object: String,
        /// What is wrong.
        what: String,
    },
    /// The medium under a folder does not give an object, as when it lies on a bad sector.
    #[error("{object} is damaged: the medium does not give it: {what}")]
    BadMedium {
        /// Name of the object.
        object: String,
        /// What the system said.
        what: String,
    },
    /// An object is larger than its kind may be; it was not read.
    #[error("{object} has {size_bytes} bytes, more than the {limit_bytes} such an object may have")]
    TooLarge {
        /// Name of the object.
        object: String,
        /// Its size.
        size_bytes: u64,
        /// The limit of its kind.
        limit_bytes: u64,
    },
    /// An object would be larger than its kind may be; it was not written.
    #[error(
        "{object} would have {size_bytes} bytes, more than the {limit_bytes} such an object may have"
    )]
    WouldBeTooLarge {
        /// Name of the object.
        object: String,
        /// Its size.
        size_bytes: u64,
        /// The limit of its kind.
        limit_bytes: u64,
    },
    /// The store failed.
    #[error("failed to {operation} {object}")]
    Store {
        /// `read`, `write`, `list` or `delete`.
        operation: &'static str,
        /// Name of the object or prefix.
        object: String,
        /// What the store said.
        source: StoreSaid,
    },
    /// The local folder could not be used.
    #[error("failed to use folder {path}")]
    Folder {
        /// The folder.
        path: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// No point has this id, or this beginning of an id.
    #[error("no point {}", if id.is_empty() { "has an empty id" } else { id })]
    PointNotFound {
        /// What was asked for.
        id: String,
    },
    /// The beginning of an id fits several points.
    #[error("{prefix} fits {matches} points; give more characters")]
    PointAmbiguous {
        /// What was asked for.
        prefix: String,
        /// Number of points it fits.
        matches: usize,
    },
    /// A sweep has fenced this session: its point does not count.
    #[error("point {point} was fenced by a prune while it was made; repeat the backup")]
    Fenced {
        /// The point that does not count.
        point: PointId,
        /// The session that made it.
        session: SessionId,
    },
    /// A sweep has proposed a fence and did not decide in time.
    #[error("a prune may have fenced point {point} and did not decide; repeat the backup")]
    FenceUndecided {
        /// The point in doubt.
        point: PointId,
        /// The session that made it.
        session: SessionId,
    },
    /// A point cannot be taken out of the bin: part of its data is gone or about to go.
    #[error(
        "point {point} cannot be brought back: {packs} of its packs are lost, damaged or condemned, \
         the first is {first}"
    )]
    NotWhole {
        /// The point.
        point: PointId,
        /// Number of packs.
        packs: usize,
        /// The name of the first of them.
        first: String,
    },
    /// A living point cannot be read, so nobody knows what it needs.
    #[error("point {point} cannot be read, so what it needs is not known and nothing is pruned")]
    Unsweepable {
        /// The point.
        point: PointId,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// The list of a sweep cannot be read, and a sweep is at work.
    #[error(
        "{list} cannot be read, and another prune is at work: packs or lists came or went between two looks; \
         the list stays"
    )]
    OtherSweep {
        /// Name of the list.
        list: String,
    },
    /// A sweep would take more than it was allowed to.
    #[error(
        "{garbage_bytes} of {all_bytes} bytes are needed by no point, more than {limit_percent} percent; \
         nothing is pruned"
    )]
    TooMuchGarbage {
        /// Bytes of packs that would go.
        garbage_bytes: u64,
        /// Bytes of all packs.
        all_bytes: u64,
        /// What was allowed.
        limit_percent: u8,
    },
    /// Blocks that only the source can supply were not put.
    #[error("disk {label}: {blocks} blocks that the repository cannot supply were not read")]
    BlocksMissing {
        /// Label of the disk.
        label: String,
        /// Number of blocks.
        blocks: u64,
    },
    /// A disk cannot be continued from the parent named for it.
    #[error("disk {label} cannot continue from point {point}: {why}")]
    BadParent {
        /// Label of the disk.
        label: String,
        /// The parent.
        point: PointId,
        /// The reason.
        why: &'static str,
    },
    /// A block has not the length its place on the disk demands, or no place.
    #[error("disk {label}: block {block} of {length_bytes} bytes does not fit the disk")]
    BadBlock {
        /// Label of the disk.
        label: String,
        /// Block number.
        block: u64,
        /// Length that was given.
        length_bytes: u64,
    },
    /// A block was put a second time, or was not expected.
    #[error("disk {label}: block {block} was put twice, or was not to be put at all")]
    BlockNotOpen {
        /// Label of the disk.
        label: String,
        /// Block number.
        block: u64,
    },
    /// A disk was added and its outcome was not told before the commit.
    #[error("disk {label}: its outcome was not decided before the commit")]
    DiskUndecided {
        /// Label of the disk.
        label: String,
    },
    /// A value given by the caller is out of its range.
    #[error("{what} is out of range: {value}")]
    OutOfRange {
        /// Name of the value.
        what: &'static str,
        /// The value.
        value: u64,
    },
    /// The disk of this point holds no data: it could not be backed up.
    #[error("disk {label} is absent from point {point}")]
    DiskAbsent {
        /// Label of the disk.
        label: String,
        /// The point.
        point: PointId,
    },
    /// The point is what a run had done before it was over; nobody can restore from it.
    #[error(
        "disk {label} of point {point} is not whole: only its first {covered_bytes} bytes were read"
    )]
    DiskPartial {
        /// Label of the disk.
        label: String,
        /// The point.
        point: PointId,
        /// So many bytes are as they were at the snapshot.
        covered_bytes: u64,
    },
    /// A part of a disk cannot be read; the rest can.
    #[error("disk {label}: bytes {start_bytes} to {end_bytes} cannot be read")]
    Unreadable {
        /// Label of the disk.
        label: String,
        /// First byte that is lost.
        start_bytes: u64,
        /// The byte after the last that is lost.
        end_bytes: u64,
        /// Why.
        source: Box<Error>,
    },
    /// Source and target of a copy are one.
    #[error("source and target are the same repository, {id}")]
    SameRepository {
        /// Its id.
        id: ObjectId,
    },
    /// A point could not be read whole while it was copied, and it is not what it was when that began.
    #[error("point {point} was moved or dropped while it was copied; copy again")]
    SourceChanged {
        /// The point in the source.
        point: PointId,
    },
    /// A partial point could not be committed before. Why was told where it was tried.
    #[error("the run is over: a partial point could not be committed before")]
    RunOver,
    /// The caller asked to stop.
    #[error("stopped")]
    Stopped,
    /// The key derivation, the compressor, the random source or a task failed.
    #[error("{what} failed: {why}")]
    Machine {
        /// What failed.
        what: &'static str,
        /// What it said.
        why: String,
    },
}

impl Error {
    pub(crate) fn damaged(object: &(impl ToString + ?Sized), what: impl Into<String>) -> Self {
        Self::Damaged {
            object: object.to_string(),
            what: what.into(),
        }
    }

    pub(crate) fn machine(what: &'static str, why: &(impl ToString + ?Sized)) -> Self {
        Self::Machine {
            what,
            why: why.to_string(),
        }
    }

    /// True when the store takes no data: full, read-only, or without rights.
    pub fn is_not_writable(&self) -> bool {
        match self {
            Self::NotWritable { .. } => true,
            Self::Folder { source, .. } => refuses_data(source.kind()),
            _ => false,
        }
    }

    /// True when the store takes no data because there is no room.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::NotWritable { source, .. } if store::is_full(source.get()))
    }

    /// True when the store, or the way to it, was out of order: the same may go well later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Store { source, .. } if store::is_passing(source.get()))
    }

    /// The pack that is lost or damaged, where it is a pack.
    pub fn damaged_pack(&self) -> Option<PackId> {
        let object = match self {
            Self::Damaged { object, .. }
            | Self::BadMedium { object, .. }
            | Self::Missing { object } => object,
            Self::Unreadable { source, .. } => return source.damaged_pack(),
            _ => return None,
        };
        match ObjectName::parse(object) {
            Some(ObjectName::Pack(pack)) => Some(pack),
            _ => None,
        }
    }

    /// True when the medium does not give something. Perhaps it will: a network mount that gives up says the same.
    pub(crate) fn is_bad_medium(&self) -> bool {
        matches!(self, Self::BadMedium { .. })
    }

    /// True when something in the repository is lost or not what it was.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::Damaged { .. }
            | Self::BadMedium { .. }
            | Self::TooLarge { .. }
            | Self::ConfigLost { .. }
            | Self::NoConfigCopy
            | Self::NotWhole { .. } => true,
            Self::Unreadable { source, .. } | Self::Unsweepable { source, .. } => {
                source.is_damage()
            }
            _ => false,
        }
    }
}

fn and_damaged(slots: &[ObjectId]) -> String {
    let names: Vec<String> = slots
        .iter()
        .map(|slot| ObjectName::Key(*slot).to_string())
        .collect();
    match names.len() {
        0 => String::new(),
        1 => format!(", one of which is damaged: {}", names[0]),
        more => format!(", {more} of which are damaged: {}", names.join(", ")),
    }
}

/// True for what a file system says when it takes no data, whatever the data is.
pub(crate) fn refuses_data(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::NotADirectory
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_takes_no_data_is_not_writable() {
        let folder = |kind: io::ErrorKind| Error::Folder {
            path: "/backup".to_owned(),
            source: Arc::new(kind.into()),
        };
        for kind in [
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::ReadOnlyFilesystem,
            io::ErrorKind::NotADirectory,
            io::ErrorKind::StorageFull,
            io::ErrorKind::QuotaExceeded,
        ] {
            assert!(folder(kind).is_not_writable(), "{kind}");
        }
        assert!(!folder(io::ErrorKind::NotFound).is_not_writable());
        assert!(!Error::Stopped.is_not_writable());
    }
}
