//! Files made on the way to a change, taken back when the change fails.

use std::fs;
use std::path::PathBuf;

/// Removes what it was told of when it is dropped, unless it is kept.
#[derive(Debug, Default)]
pub(crate) struct Made {
    paths: Vec<PathBuf>,
}

impl Made {
    /// A file or folder that is about to be made.
    pub(crate) fn add(&mut self, path: impl Into<PathBuf>) {
        self.paths.push(path.into());
    }

    /// The change is complete: everything stays.
    pub(crate) fn keep(mut self) {
        self.paths.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.paths.iter().rev() {
            // The error that led here is the one worth telling.
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
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
        for keep in [false, true] {
            let mut made = Made::default();
            made.add(&file);
            made.add(&made_folder);
            made.add(folder.path().join("never made"));
            fs::write(&file, "x").unwrap();
            fs::create_dir(&made_folder).unwrap();
            fs::write(made_folder.join("c"), "x").unwrap();
            if keep {
                made.keep();
            } else {
                drop(made);
            }
            assert_eq!((file.exists(), made_folder.exists()), (keep, keep));
        }
    }
}
