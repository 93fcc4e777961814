//! Files that are being made: gone again unless all goes well.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};

use crate::Error;
use crate::backing_file::{BackingFile, io_error};
use crate::link::folder_of;

/// The files made so far. They are removed when this is dropped, unless they are kept.
#[derive(Debug, Default)]
pub(crate) struct NewFiles {
    paths: Vec<PathBuf>,
}

impl NewFiles {
    /// Makes a file of this length without data. It is an error if it exists.
    pub(crate) fn create(&mut self, path: &Path, length_bytes: u64) -> Result<BackingFile, Error> {
        let file = BackingFile::create(path)?;
        self.paths.push(path.to_owned());
        file.set_length(length_bytes)?;
        Ok(file)
    }

    /// Makes a file with this text. It is an error if it exists.
    pub(crate) fn create_text(&mut self, path: &Path, text: &str) -> Result<(), Error> {
        self.create(path, 0)?.write_at(0, text.as_bytes())
    }

    /// Puts a file made here in the place of another one, with the rights of that one. When this
    /// returns, a power cut leaves the new file there, whole.
    pub(crate) fn put_in_place_of(self, new: &Path, old: &Path) -> Result<(), Error> {
        let replace = || {
            fs::set_permissions(new, fs::metadata(old)?.permissions())?;
            File::open(new)?.sync_all()?;
            fs::rename(new, old)?;
            File::open(folder_of(old))?.sync_all()
        };
        replace().map_err(|source| io_error("replace", old, source))?;
        self.keep();
        Ok(())
    }

    /// All went well.
    pub(crate) fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for path in &self.paths {
            // The error that led here is the one to report.
            let _ = fs::remove_file(path);
        }
    }
}

/// A name beside a file that nobody has: another file of that folder is never in the way.
pub(crate) fn side_name(path: &Path) -> PathBuf {
    // The keys of the hasher are random, and the process makes new ones each time.
    let number = RandomState::new().build_hasher().finish();
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number:016x}.new"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_go_unless_they_are_kept_and_foreign_ones_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut new = NewFiles::default();
        new.create(&path("a"), 10).unwrap();
        assert_eq!(fs::metadata(path("a")).unwrap().len(), 10);
        fs::write(path("b"), "mine").unwrap();
        assert!(new.create_text(&path("b"), "x").is_err());
        drop(new);
        assert!(!path("a").exists() && path("b").exists());
        let mut new = NewFiles::default();
        new.create_text(&path("a"), "x").unwrap();
        new.keep();
        assert_eq!(fs::read(path("a")).unwrap(), b"x");
    }
}
