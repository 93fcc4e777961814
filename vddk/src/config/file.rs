//! Files with settings: reading the user's, and writing a private one for the library.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::{Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::ConfigError;

/// A configuration is a page of text.
const MAX_BYTES: u64 = 1024 * 1024;
/// Names that are tried; each is random.
const TRIES: u64 = 16;

/// Reads a file of the user's.
pub(super) fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    // One byte more tells that it is too long.
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
            max_bytes: MAX_BYTES,
        });
    }
    let has_text = |error: std::string::FromUtf8Error| {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
    };
    String::from_utf8(bytes).map_err(has_text).map_err(failed)
}

/// A file that only this user may read, in a folder of its own. Both go when this does.
#[derive(Debug)]
pub(crate) struct PrivateFile {
    folder: PathBuf,
    path: PathBuf,
}

impl PrivateFile {
    /// Writes the text under the system's folder for temporary files.
    pub(super) fn write(text: &str) -> Result<Self, ConfigError> {
        Self::write_in(&std::env::temp_dir(), text)
    }

    fn write_in(parent: &Path, text: &str) -> Result<Self, ConfigError> {
        let failed = |path: &Path, source| ConfigError::Write {
            path: path.to_owned(),
            source,
        };
        let folder = make_folder(parent).map_err(|source| failed(parent, source))?;
        // From here on the folder is removed, whatever fails.
        let file = Self {
            path: folder.join("vddk.conf"),
            folder,
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options
            .open(&file.path)
            .and_then(|mut opened| opened.write_all(text.as_bytes()))
            .map_err(|source| failed(&file.path, source))?;
        Ok(file)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a folder that was not there before: nobody else can have put a file into it.
fn make_folder(parent: &Path) -> std::io::Result<PathBuf> {
    let random = RandomState::new();
    let mut try_number = 0;
    loop {
        let word = random.hash_one((std::process::id(), try_number));
        let folder = parent.join(format!("vddk-{}-{word:016x}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error)
                if error.kind() == std::io::ErrorKind::AlreadyExists && try_number < TRIES =>
            {
                try_number += 1;
            }
            made => return made.map(|()| folder),
        }
    }
}

impl Drop for PrivateFile {
    fn drop(&mut self) {
        // The file itself may be missing, when writing it failed.
        let _ = fs::remove_file(&self.path);
        if let Err(error) = fs::remove_dir(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "a folder was not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{MAX_BYTES, PrivateFile, read};
    use crate::ConfigError;

    #[test]
    fn the_written_file_is_private_and_goes() {
        let parent = tempfile::tempdir().unwrap();
        let file = PrivateFile::write_in(parent.path(), "a=1\n").unwrap();
        let other = PrivateFile::write_in(parent.path(), "a=2\n").unwrap();
        assert_ne!(file.path(), other.path());
        assert_eq!(read(file.path()).unwrap(), "a=1\n");
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(file.path()), 0o600);
        assert_eq!(mode(file.path().parent().unwrap()), 0o700);
        drop(file);
        drop(other);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
        let nowhere = PrivateFile::write_in(&parent.path().join("no"), "");
        assert!(matches!(nowhere, Err(ConfigError::Write { .. })));
    }

    #[test]
    fn what_is_no_configuration_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        assert!(matches!(read(&path), Err(ConfigError::Read { .. })));
        std::fs::write(&path, b"a=\xff").unwrap();
        assert!(matches!(read(&path), Err(ConfigError::Read { .. })));
        std::fs::write(&path, vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
        assert!(matches!(read(&path), Err(ConfigError::TooLarge { .. })));
        assert!(read(std::path::Path::new("/dev/zero")).is_err());
    }
}
