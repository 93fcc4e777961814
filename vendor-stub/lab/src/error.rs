//! What can go wrong in a lab.

use std::fmt;
use std::path::PathBuf;

use crate::{HotAddRefusal, PowerState};

/// The kind of thing that was not found or exists already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A lab folder.
    Lab,
    /// A virtual machine, named by its moref.
    Vm,
    /// A snapshot, named by its moref.
    Snapshot,
    /// A virtual disk, named by its device key.
    Disk,
    /// A file on a datastore, named by its datastore path.
    File,
    /// A datastore, named by its name.
    Datastore,
    /// A first-class disk, named by its id.
    FirstClassDisk,
    /// A custom attribute, named by its number or its name.
    CustomField,
    /// A folder or what goes into one, named by its moref.
    Folder,
    /// A resource pool, named by its moref.
    ResourcePool,
    /// A user, named by the login name.
    User,
    /// A role, named by its number or its name.
    Role,
    /// A permission, named by the moref of its object.
    Permission,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Lab => "lab",
            Kind::Vm => "virtual machine",
            Kind::Snapshot => "snapshot",
            Kind::Disk => "disk",
            Kind::File => "file",
            Kind::Datastore => "datastore",
            Kind::FirstClassDisk => "first-class disk",
            Kind::CustomField => "custom attribute",
            Kind::Folder => "folder",
            Kind::ResourcePool => "resource pool",
            Kind::User => "user",
            Kind::Role => "role",
            Kind::Permission => "permission on",
        })
    }
}

/// A failed operation on a lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object does not exist.
    #[error("{kind} {id} not found")]
    NotFound {
        /// What was looked for.
        kind: Kind,
        /// By which name.
        id: String,
    },
    /// An object of that name exists.
    #[error("{kind} {id} exists already")]
    AlreadyExists {
        /// What was to be made.
        kind: Kind,
        /// Its name.
        id: String,
    },
    /// A VM of that name is in the folder.
    #[error("a virtual machine {name:?} is in the folder already: {vm}")]
    DuplicateName {
        /// The name.
        name: String,
        /// Moref of the VM that has it.
        vm: String,
    },
    /// Another object beside it has the name.
    #[error("the name {name:?} is taken by {moref}")]
    NameTaken {
        /// The name.
        name: String,
        /// Moref of the object that has it.
        moref: String,
    },
    /// Something does not go into that folder or pool.
    #[error("it does not go into {id}")]
    InvalidFolder {
        /// Moref of the folder or the pool.
        id: String,
    },
    /// An object stays, since it is needed or holds what is.
    #[error("{id} is in use")]
    NotEmpty {
        /// Its moref.
        id: String,
    },
    /// The datastore has no folders in its root for plain files.
    #[error("{path} cannot be made: the datastore has no folders in its root")]
    NoTopFolder {
        /// Datastore path of the folder.
        path: String,
    },
    /// That cannot be done to a template.
    #[error("{vm} is a template")]
    Template {
        /// Moref of the VM.
        vm: String,
    },
    /// The guest could not be quiesced.
    #[error("the guest cannot be quiesced: {}", if *application { "an application does not take part" } else { "its file systems cannot be frozen" })]
    Quiesce {
        /// Was it an application, and not the file systems?
        application: bool,
    },
    /// A name that could leave its folder or that no datastore path can carry.
    #[error("name {name:?} refused: {reason}")]
    InvalidName {
        /// The name.
        name: String,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A specification that cannot be built.
    #[error("{what} refused: {reason}")]
    InvalidSpec {
        /// The part of the specification.
        what: &'static str,
        /// Why it is refused.
        reason: String,
    },
    /// A range that is not a whole number of 512-byte sectors.
    #[error("offset {offset_bytes} or length {length_bytes} is no multiple of 512")]
    Unaligned {
        /// Start of the range.
        offset_bytes: u64,
        /// Length of the range.
        length_bytes: u64,
    },
    /// A range that ends behind the disk.
    #[error("{length_bytes} bytes at {offset_bytes} end behind the capacity of {capacity_bytes}")]
    OutOfRange {
        /// Start of the range.
        offset_bytes: u64,
        /// Length of the range.
        length_bytes: u64,
        /// Capacity of the disk.
        capacity_bytes: u64,
    },
    /// A reader holds a link that was to be merged. The snapshot is gone from the tree, its
    /// files are not, and `consolidation_needed` is set.
    #[error("{file} is held by a reader")]
    Locked {
        /// Datastore path of the held link.
        file: String,
    },
    /// Somebody else has the disk open in a way that excludes this one.
    #[error("disk {} is in use", path.display())]
    InUse {
        /// The link.
        path: PathBuf,
    },
    /// Nobody would be left who may do everything.
    #[error("one user must keep the role Admin on the root folder")]
    LastAdministrator,
    /// User or password are wrong.
    #[error("wrong user name or password")]
    InvalidLogin,
    /// The method is disabled already.
    #[error("method disabled already by {source_id:?}")]
    MethodAlreadyDisabled {
        /// Who disabled it.
        source_id: String,
    },
    /// The VM is in the wrong power state.
    #[error("not possible while {}", existing.as_str())]
    InvalidPowerState {
        /// The state it should be in, where one is known.
        requested: Option<PowerState>,
        /// The state it is in.
        existing: PowerState,
    },
    /// The hardware version is as new as was asked for.
    #[error("hardware version is {version} already")]
    AlreadyUpgraded {
        /// The version of the VM.
        version: u32,
    },
    /// A disk cannot be part of a snapshot.
    #[error("disk {device_key} cannot be part of a snapshot: {reason}")]
    NoSnapshot {
        /// Device key of the disk.
        device_key: i32,
        /// Why.
        reason: &'static str,
    },
    /// The memory cannot be kept with a disk that goes on from another moment.
    #[error("disk {device_key} is independent, so the memory cannot be kept")]
    MemoryOnIndependentDisk {
        /// Device key of the disk.
        device_key: i32,
    },
    /// The chain of snapshots is as long as it may be.
    #[error("{levels} levels of snapshots already")]
    TooManySnapshots {
        /// How many there are.
        levels: usize,
    },
    /// The VM cannot track changes: not supported, or hardware version below 7.
    #[error("{vm} does not support change tracking")]
    ChangeTrackingNotSupported {
        /// Moref of the VM.
        vm: String,
    },
    /// A change-tracking map is missing, damaged, or of another disk.
    #[error("change-tracking map {file} unusable: {reason}")]
    Map {
        /// Path of the map.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system refused an operation.
    #[error("failed to {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// The answer of the system.
        source: std::io::Error,
    },
    /// A state file or journal line does not parse.
    #[error("{} does not parse", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// `faults.toml` or `standin.toml` does not parse.
    #[error("{} does not parse", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// Faults or performance that cannot be written as TOML.
    #[error("settings cannot be written")]
    FaultsWrite {
        /// Why.
        source: toml::ser::Error,
    },
    /// A fault without a call, or with `nth = 0`.
    #[error("fault {index} in {} refused: {reason}", path.display())]
    InvalidFault {
        /// The file.
        path: PathBuf,
        /// Position of the fault, from 0.
        index: usize,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A library file cannot be made to pose as a release.
    #[error("library {} unusable: {reason}", path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A disk file cannot be made, read or written.
    #[error("failed to {action} disk {}", path.display())]
    Disk {
        /// What was tried.
        action: &'static str,
        /// The descriptor.
        path: PathBuf,
        /// The answer of the VMDK layer.
        source: vmdk::Error,
    },
    /// The certificate cannot be made.
    #[error("failed to make the certificate")]
    Certificate {
        /// Why.
        source: rcgen::Error,
    },
    /// `LAB/tls/cert.pem` holds no certificate.
    #[error("{} holds no certificate", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The system gave no random numbers.
    #[error("no random numbers from the system")]
    Random,
    /// The disk cannot be attached to the proxy.
    #[error("HotAdd is impossible: {reason}")]
    HotAdd {
        /// Why.
        reason: HotAddRefusal,
    },
    /// The sequence numbers of a disk are used up.
    #[error("sequence numbers of disk {device_key} used up")]
    SequenceExhausted {
        /// Device key of the disk.
        device_key: i32,
    },
}

impl Error {
    /// Makes a mapper for `map_err` on file operations.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }

    /// Makes a mapper for `map_err` on disk operations.
    pub(crate) fn disk(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(vmdk::Error) -> Self {
        let path = path.into();
        move |source| Self::Disk {
            action,
            path,
            source,
        }
    }

    /// The object does not exist.
    pub(crate) fn not_found(kind: Kind, id: impl Into<String>) -> Self {
        Self::NotFound {
            kind,
            id: id.into(),
        }
    }
}
