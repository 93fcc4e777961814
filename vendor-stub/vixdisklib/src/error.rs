//! A failed call: its code, and the line that explains it in the log.

use std::io;

use vddk_sys as sys;

/// Why a call fails. The code goes to the caller, the message to its log function.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code, one of `VIX_E_*`.
    pub(crate) code: u32,
    /// One line without a newline; empty where a log line would be noise.
    pub(crate) message: String,
}

impl Failure {
    /// A failure with a line for the log.
    pub(crate) fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// A failure that belongs to normal use, such as asking for a size.
    pub(crate) fn quiet(code: u32) -> Self {
        Self::new(code, "")
    }

    /// A missing or unusable argument.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::new(sys::VIX_E_INVALID_ARG, message)
    }
}

impl From<vmdk::Error> for Failure {
    fn from(error: vmdk::Error) -> Self {
        Self::new(disk_code(&error), chain(&error))
    }
}

impl From<lab::Error> for Failure {
    fn from(error: lab::Error) -> Self {
        Self::new(lab_code(&error), chain(&error))
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}

fn disk_code(error: &vmdk::Error) -> u32 {
    use vmdk::Error;
    match error {
        Error::Io { source, .. } => io_code(source),
        Error::NotVmdk { .. } => sys::VIX_E_INCORRECT_FILE_TYPE,
        Error::Descriptor { .. } | Error::Corrupt { .. } | Error::Truncated { .. } => {
            sys::VIX_E_DISK_INVALIDDISK
        }
        Error::Unsupported { .. } => sys::VIX_E_DISK_UNSUPPORTEDDISKVERSION,
        Error::OutOfRange { .. } => sys::VIX_E_DISK_OUTOFRANGE,
        Error::Unaligned { .. }
        | Error::Capacity { .. }
        | Error::Smaller { .. }
        | Error::Text { .. } => sys::VIX_E_INVALID_ARG,
        Error::WrongKind { .. } | Error::WrittenOnce { .. } => sys::VIX_E_DISK_NOTSUPPORTED,
        Error::ReadOnly { .. } => sys::VIX_E_FILE_READ_ONLY,
        Error::NoAccess { .. } => sys::VIX_E_FILE_ACCESS_ERROR,
        Error::ExtentName { .. } => sys::VIX_E_FILE_NAME_INVALID,
        Error::ParentNotFound { .. } => sys::VIX_E_DISK_OPENPARENT,
        Error::ParentChanged { .. } => sys::VIX_E_DISK_CID_MISMATCH,
        Error::ParentNeeded { .. } => sys::VIX_E_DISK_PARTIALCHAIN,
        Error::Loop { .. } | Error::ChainTooLong { .. } => sys::VIX_E_DISK_INVALIDCHAIN,
        Error::RootLink { .. } => sys::VIX_E_DISK_ATTACH_ROOTLINK,
        Error::ParentOpen { .. } => sys::VIX_E_DISK_PARENT_NOTALLOWED,
        Error::CapacityDiffers { .. } => sys::VIX_E_DISK_CAPACITY_MISMATCH,
        Error::Full { .. } => sys::VIX_E_DISK_FULL,
        _ => sys::VIX_E_FAIL,
    }
}

fn lab_code(error: &lab::Error) -> u32 {
    use lab::{Error, Kind};
    match error {
        Error::NotFound { kind: Kind::Vm, .. } => sys::VIX_E_VM_NOT_FOUND,
        Error::NotFound {
            kind: Kind::Snapshot,
            ..
        } => sys::VIX_E_SNAPSHOT_NOTFOUND,
        Error::NotFound { .. } => sys::VIX_E_FILE_NOT_FOUND,
        Error::InvalidLogin => sys::VIX_E_AUTHENTICATION_FAIL,
        Error::Locked { .. } | Error::InUse { .. } => sys::VIX_E_FILE_ALREADY_LOCKED,
        Error::InvalidName { .. } => sys::VIX_E_FILE_NAME_INVALID,
        Error::Disk { source, .. } => disk_code(source),
        Error::Io { source, .. } => io_code(source),
        _ => sys::VIX_E_FAIL,
    }
}

fn io_code(error: &io::Error) -> u32 {
    match error.kind() {
        io::ErrorKind::NotFound => sys::VIX_E_FILE_NOT_FOUND,
        io::ErrorKind::PermissionDenied => sys::VIX_E_FILE_ACCESS_ERROR,
        io::ErrorKind::ReadOnlyFilesystem => sys::VIX_E_FILE_READ_ONLY,
        io::ErrorKind::AlreadyExists => sys::VIX_E_FILE_ALREADY_EXISTS,
        io::ErrorKind::FileTooLarge => sys::VIX_E_FILE_TOO_BIG,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => sys::VIX_E_DISK_FULL,
        _ => sys::VIX_E_FILE_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_in_the_message_and_decide_the_code() {
        let failure = Failure::from(vmdk::Error::Io {
            action: "open",
            path: "/nowhere/x.vmdk".into(),
            source: io::ErrorKind::NotFound.into(),
        });
        assert_eq!(failure.code, sys::VIX_E_FILE_NOT_FOUND);
        assert!(
            failure.message.contains("/nowhere/x.vmdk: "),
            "{}",
            failure.message
        );

        let missing = |kind| lab::Error::NotFound {
            kind,
            id: "x".into(),
        };
        assert_eq!(Failure::from(missing(lab::Kind::Vm)).code, 4000);
        assert_eq!(Failure::from(missing(lab::Kind::Snapshot)).code, 13003);
        assert_eq!(Failure::from(missing(lab::Kind::File)).code, 4);
        assert_eq!(Failure::from(lab::Error::InvalidLogin).code, 35);
    }
}
