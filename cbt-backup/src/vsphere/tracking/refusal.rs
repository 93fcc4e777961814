//! Why the server refused to tell what has changed.

use std::fmt;

use crate::vsphere::error::Error;
use crate::vsphere::fault::Fault;

/// Why a query of changed areas was refused ("vSphere API reference, 5.6"). Whatever it is, the
/// disk is read in full; there is no guessing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueryRefusal {
    /// A file of the tracking is missing, damaged or locked, or the time asked for lies before
    /// tracking was on.
    TrackingFile {
        /// The file, where the server names it.
        file: Option<String>,
    },
    /// No such disk in that snapshot, or one that is not tracked.
    Disk,
    /// The place lies behind the end of the disk.
    Offset,
    /// The change id is malformed, of another tracking, or newer than the snapshot.
    ChangeId,
    /// An argument that the server did not name.
    Argument,
    /// Snapshot or disk was not found.
    NotFound,
    /// The snapshot was removed meanwhile, or its id is another server's.
    SnapshotGone,
    /// The storage gives no map.
    NotSupported,
    /// The host is in trouble.
    Host,
    /// The account may not.
    NoPermission {
        /// The privilege, where the server names it.
        privilege: Option<String>,
    },
    /// A fault of another type.
    Other {
        /// Its type.
        type_name: String,
    },
}

impl QueryRefusal {
    /// Recognises a fault of the query.
    pub fn of(fault: &Fault) -> Self {
        let field = |name: &str| fault.field(name).map(str::to_owned);
        match fault.type_name.as_str() {
            "FileFault" | "FileNotFound" | "FileLocked" | "CannotAccessFile" => {
                let file = field("file");
                Self::TrackingFile { file }
            }
            "InvalidArgument" => match fault.field("invalidProperty") {
                Some("deviceKey") => Self::Disk,
                Some("startOffset") => Self::Offset,
                Some("changeId") => Self::ChangeId,
                _ => Self::Argument,
            },
            "NotFound" => Self::NotFound,
            "ManagedObjectNotFound" => Self::SnapshotGone,
            "NotSupported" => Self::NotSupported,
            "SystemError" | "HostCommunication" | "HostNotConnected" | "HostNotReachable"
            | "Timedout" => Self::Host,
            "NoPermission" => Self::NoPermission {
                privilege: field("privilegeId"),
            },
            other => Self::Other {
                type_name: other.to_owned(),
            },
        }
    }

    /// Recognises the failure of a query; nothing for one that is no fault of the server.
    pub fn of_error(error: &Error) -> Option<Self> {
        error.fault().map(Self::of)
    }

    /// A short name for scripts; it stays.
    pub fn id(&self) -> &'static str {
        match self {
            Self::TrackingFile { .. } => "tracking-file",
            Self::Disk => "disk",
            Self::Offset => "offset",
            Self::ChangeId => "change-id",
            Self::Argument => "argument",
            Self::NotFound => "not-found",
            Self::SnapshotGone => "snapshot-gone",
            Self::NotSupported => "not-supported",
            Self::Host => "host",
            Self::NoPermission { .. } => "no-permission",
            Self::Other { .. } => "other",
        }
    }

    /// What helps.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::TrackingFile { .. } => {
                "the disk is read in full; if it comes back, begin tracking anew: cbt-backup cbt reset"
            }
            Self::Disk => {
                "look with cbt-backup cbt status whether the disk is tracked; if it is, begin anew: cbt-backup cbt reset"
            }
            Self::Offset => "this is a fault of the program: please report it",
            Self::ChangeId | Self::Argument => {
                "the disk is read in full; the next point has a good change id again"
            }
            Self::NotFound | Self::SnapshotGone => {
                "see who removes snapshots while a backup runs, and run it again"
            }
            Self::NotSupported => "the disk's storage gives no map; it is read in full each time",
            Self::Host => "look at the host and its storage, and run the backup again",
            Self::NoPermission { .. } => {
                "give the account the role that cbt-backup privileges prints"
            }
            Self::Other { .. } => "the disk is read in full",
        }
    }
}

impl fmt::Display for QueryRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrackingFile { file } => {
                f.write_str("a tracking file can't be used, or was not there at that time")?;
                match file {
                    Some(file) => write!(f, " ({file})"),
                    None => Ok(()),
                }
            }
            Self::Disk => f.write_str("the snapshot has no such disk, or it is not tracked"),
            Self::Offset => f.write_str("the place lies behind the end of the disk"),
            Self::ChangeId => {
                f.write_str("the change id is not one of this disk's tracking before the snapshot")
            }
            Self::Argument => f.write_str("the server refused an argument without naming it"),
            Self::NotFound => f.write_str("snapshot or disk was not found"),
            Self::SnapshotGone => f.write_str("the snapshot is gone, or is another server's"),
            Self::NotSupported => f.write_str("the storage gives no map"),
            Self::Host => f.write_str("the host is in trouble"),
            Self::NoPermission {
                privilege: Some(privilege),
            } => write!(f, "the account lacks {privilege}"),
            Self::NoPermission { privilege: None } => f.write_str("the account may not ask"),
            Self::Other { type_name } => write!(f, "the server answered {type_name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::QueryRefusal;
    use crate::vsphere::fault::Fault;

    fn of(type_name: &str, field: Option<(&str, &str)>) -> QueryRefusal {
        let field = field.map(|(name, value)| (name.to_owned(), value.to_owned()));
        QueryRefusal::of(&Fault {
            type_name: type_name.to_owned(),
            message: String::new(),
            fields: field.into_iter().collect(),
            details: Vec::new(),
            cause: None,
            operation_id: None,
        })
    }

    #[test]
    fn every_fault_of_the_query_has_a_name_and_a_remedy() {
        let invalid = |name| of("InvalidArgument", Some(("invalidProperty", name)));
        for (refusal, id) in [
            (
                of("FileFault", Some(("file", "[ds] a-ctk.vmdk"))),
                "tracking-file",
            ),
            (invalid("deviceKey"), "disk"),
            (invalid("startOffset"), "offset"),
            (invalid("changeId"), "change-id"),
            (of("InvalidArgument", None), "argument"),
            (of("NotFound", None), "not-found"),
            (of("ManagedObjectNotFound", None), "snapshot-gone"),
            (of("NotSupported", None), "not-supported"),
            (of("SystemError", None), "host"),
            (of("HostCommunication", None), "host"),
            (of("NoPermission", None), "no-permission"),
            (of("Novel", None), "other"),
        ] {
            assert_eq!(refusal.id(), id);
            assert!(!refusal.remedy().is_empty() && !refusal.to_string().is_empty());
        }
        let named = of("FileFault", Some(("file", "[ds] a-ctk.vmdk"))).to_string();
        assert!(named.ends_with("([ds] a-ctk.vmdk)"), "{named}");
    }
}
