//! What was done to files on the way to a change, taken back when the change fails.

use std::fs::{self, File};
use std::path::PathBuf;

use crate::Error;

/// Takes back what it was told of when it is dropped, unless it is kept.
#[derive(Debug, Default)]
pub(crate) struct Made {
    steps: Vec<Step>,
}

/// Something done to a file.
#[derive(Debug)]
enum Step {
    /// A file or folder was made.
    New(PathBuf),
    /// A file was written anew; it had this content.
    Written(PathBuf, Vec<u8>),
    /// A file became longer; it had this length.
    Longer(PathBuf, u64),
}

impl Made {
    /// A file or folder that is about to be made.
    pub(crate) fn add(&mut self, path: impl Into<PathBuf>) {
        self.steps.push(Step::New(path.into()));
    }

    /// A small file that is about to be written anew.
    pub(crate) fn about_to_write(&mut self, path: impl Into<PathBuf>) -> Result<(), Error> {
        let path = path.into();
        let before = fs::read(&path).map_err(Error::io("read", &path))?;
        self.steps.push(Step::Written(path, before));
        Ok(())
    }

    /// A file that is about to become longer.
    pub(crate) fn about_to_extend(&mut self, path: impl Into<PathBuf>) -> Result<(), Error> {
        let path = path.into();
        let before = fs::metadata(&path).map_err(Error::io("look at", &path))?;
        self.steps.push(Step::Longer(path, before.len()));
        Ok(())
    }

    /// The change is complete: everything stays.
    pub(crate) fn keep(mut self) {
        self.steps.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for step in self.steps.iter().rev() {
            // The error that led here is the one worth telling.
            let _ = match step {
                Step::New(path) if path.is_dir() => fs::remove_dir_all(path),
                Step::New(path) => fs::remove_file(path),
                Step::Written(path, before) => fs::write(path, before),
                Step::Longer(path, before) => File::options()
                    .write(true)
                    .open(path)
                    .and_then(|file| file.set_len(*before)),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_kept_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, made_folder) = (folder.path().join("a"), folder.path().join("b"));
        let old = folder.path().join("old");
        for keep in [false, true] {
            fs::write(&old, "before").unwrap();
            let mut made = Made::default();
            made.add(&file);
            made.add(&made_folder);
            made.add(folder.path().join("never made"));
            made.about_to_write(&old).unwrap();
            made.about_to_extend(&old).unwrap();
            fs::write(&file, "x").unwrap();
            fs::create_dir(&made_folder).unwrap();
            fs::write(made_folder.join("c"), "x").unwrap();
            fs::write(&old, "after all").unwrap();
            if keep {
                made.keep();
            } else {
                drop(made);
            }
            assert_eq!((file.exists(), made_folder.exists()), (keep, keep));
            let expected = if keep { "after all" } else { "before" };
            assert_eq!(fs::read_to_string(&old).unwrap(), expected);
        }
    }
}
