//! Names, and datastore paths such as `[datastore1] app01/app01.vmdk`.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Error, Kind};

/// Longest name of a VM in characters, as vCenter has it.
const MAX_NAME_CHARS: usize = 80;
/// Longest name in bytes, so that `<name>_59-000001-ctk.vmdk` fits a file name of 255 bytes.
const MAX_NAME_BYTES: usize = 200;

/// Checks a name that becomes a folder: of a VM or of a datastore.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let reason = if name.is_empty() {
        "empty"
    } else if name.len() > MAX_NAME_BYTES || name.chars().count() > MAX_NAME_CHARS {
        "too long"
    } else if name.starts_with('.') {
        "starts with a dot"
    } else if name.starts_with(' ') || name.ends_with(' ') {
        "blank at an end"
    } else if name.contains(['/', '\\', '[', ']', '"']) {
        "slash, bracket or quote"
    } else if name.chars().any(char::is_control) {
        "control character"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName {
        name: name.into(),
        reason,
    })
}

/// A path on a datastore, checked: plain names only. The folder may be empty, which is the root of
/// the datastore, or several names with slashes between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DatastorePath {
    pub(crate) datastore: String,
    pub(crate) folder: String,
    pub(crate) file: String,
}

impl DatastorePath {
    /// A path of parts that were checked.
    pub(crate) fn new(datastore: &str, folder: &str, file: impl Into<String>) -> Self {
        Self {
            datastore: datastore.into(),
            folder: folder.into(),
            file: file.into(),
        }
    }

    /// Parses and checks a path.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let not_found = || Error::not_found(Kind::File, text);
        let (datastore, rest) = text
            .strip_prefix('[')
            .and_then(|text| text.split_once("] "))
            .ok_or_else(not_found)?;
        let (folder, file) = rest.rsplit_once('/').unwrap_or(("", rest));
        let in_root = folder.is_empty() && !rest.contains('/');
        let mut folders = folder.split('/');
        if [datastore, file].into_iter().all(is_plain) && (in_root || folders.all(is_plain)) {
            Ok(Self::new(datastore, folder, file))
        } else {
            Err(not_found())
        }
    }

    /// The path of a file under the datastores of a lab; `None` for one that is not there.
    pub(crate) fn of_file(root: &Path, file: &Path) -> Option<Self> {
        let below = file.strip_prefix(root.join("datastores")).ok()?;
        let (datastore, rest) = below.to_str()?.split_once('/')?;
        Self::parse(&format!("[{datastore}] {rest}")).ok()
    }

    /// Another file in the same folder.
    pub(crate) fn sibling(&self, file: impl Into<String>) -> Self {
        Self::new(&self.datastore, &self.folder, file)
    }

    /// The same file on another datastore.
    pub(crate) fn on(&self, datastore: &str) -> Self {
        Self::new(datastore, &self.folder, &self.file)
    }

    /// The file name without `.vmdk`.
    pub(crate) fn stem(&self) -> &str {
        self.file.strip_suffix(".vmdk").unwrap_or(&self.file)
    }

    /// Where the file is under the root of a lab.
    pub(crate) fn under(&self, root: &Path) -> PathBuf {
        root.join("datastores")
            .join(&self.datastore)
            .join(&self.folder)
            .join(&self.file)
    }
}

/// Is it a name that stays in its folder?
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0'])
}

impl fmt::Display for DatastorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.folder.is_empty() {
            return write!(f, "[{}] {}", self.datastore, self.file);
        }
        write!(f, "[{}] {}/{}", self.datastore, self.folder, self.file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_are_refused() {
        for name in [
            "", ".", "..", "../x", "a/b", "/", "a\\b", "[", "x]", ".hidden", " a", "a ", "a\0b",
            "a\nb", "\"q\"",
        ] {
            assert!(
                matches!(check_name(name), Err(Error::InvalidName { .. })),
                "{name:?}"
            );
        }
        assert!(check_name(&"x".repeat(81)).is_err());
        assert!(check_name(&"\u{1f600}".repeat(60)).is_err());
    }

    #[test]
    fn odd_but_legal_names_pass() {
        for name in ["app01", "a & b <c>", "%2f", "München", "x..y", "50%"] {
            assert!(check_name(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn paths_parse_and_print() {
        let text = "[data store] a b/a b-000001.vmdk";
        let path = DatastorePath::parse(text).unwrap();
        assert_eq!(path.to_string(), text);
        assert_eq!(path.stem(), "a b-000001");
        assert_eq!(
            path.under(Path::new("/l")),
            Path::new("/l/datastores/data store/a b/a b-000001.vmdk")
        );
    }

    #[test]
    fn files_lie_in_the_root_and_in_folders_of_folders_too() {
        for (text, folder) in [("[ds] b", ""), ("[ds] a/b", "a"), ("[ds] a/x/b", "a/x")] {
            let path = DatastorePath::parse(text).unwrap();
            assert_eq!((path.folder.as_str(), path.file.as_str()), (folder, "b"));
            assert_eq!(path.to_string(), text);
            let file = path.under(Path::new("/l"));
            assert_eq!(DatastorePath::of_file(Path::new("/l"), &file), Some(path));
        }
        let elsewhere = DatastorePath::of_file(Path::new("/l"), Path::new("/x/datastores/a/b"));
        assert_eq!(elsewhere, None);
    }

    #[test]
    fn hostile_paths_are_not_found() {
        for text in [
            "",
            "a/b",
            "[ds]a/b",
            "[ds] ",
            "[ds] a//b",
            "[ds] ../b",
            "[..] a/b",
            "[ds] a/../b",
            "[ds] a/./b/c",
            "[ds] a/b/../c",
            "[ds] /b",
            "[ds] a/",
            "[] a/b",
            "[a/b] c/d",
            "[ds] a/.b",
        ] {
            assert!(
                matches!(DatastorePath::parse(text), Err(Error::NotFound { .. })),
                "{text:?}"
            );
        }
    }
}
