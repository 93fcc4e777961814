//! Names of disks, as they are handed to the library.

use std::{ffi::CString, path::Path};

use crate::{Error, connection::ConnectionInner, target};

/// A disk's name for a connection: an absolute file name on a local one, else what the server calls
/// it, `[datastore1] vm/vm.vmdk`. A first-class disk has no path.
pub(crate) fn on(connection: &ConnectionInner, path: &str) -> Result<CString, Error> {
    if connection.is_local() {
        local(path)
    } else {
        target::disk_name(connection.target(), Some(path))?;
        text(path, "a disk path")
    }
}

/// A file name of this machine. A relative one opens nothing useful (VDDK API reference, 1.6).
pub(crate) fn local(path: &str) -> Result<CString, Error> {
    if !Path::new(path).is_absolute() {
        return Err(Error::Argument {
            what: format!("{path:?} as a local disk: the path must be absolute"),
        });
    }
    text(path, "a disk path")
}

/// A C string; `what` it is.
pub(crate) fn text(text: &str, what: &str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Argument {
        what: format!("{what} with a NUL byte"),
    })
}

#[cfg(test)]
mod tests {
    use super::{local, text};

    #[test]
    fn local_paths_are_absolute_and_nothing_holds_a_nul() {
        assert_eq!(local("/a/b.vmdk").unwrap().to_bytes(), b"/a/b.vmdk");
        for wrong in ["", "b.vmdk", "./b.vmdk", "[store] b.vmdk", "/a\0b"] {
            assert!(local(wrong).is_err(), "{wrong:?} was accepted");
        }
        assert!(text("[store] vm/vm.vmdk", "a disk path").is_ok());
        let error = text("a\0b", "a disk path").unwrap_err().to_string();
        assert!(error.contains("a disk path with a NUL byte"), "{error}");
    }
}
