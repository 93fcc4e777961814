//! A folder for a run: ours alone, and with room enough.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::output::bytes;

/// The file that says a folder is ours. It is locked while a run uses the folder.
const MARKER: &str = ".cbt-backup-xtask";

/// A folder that belongs to this run.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes a folder. What an earlier run left there is removed; a folder with anything else
    /// in it is refused.
    ///
    /// # Errors
    ///
    /// When the folder is not ours, another run uses it, or it cannot be emptied.
    pub(crate) fn claim(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("failed to make {}", path.display()))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("failed to find {}", path.display()))?;
        let marker = path.join(MARKER);
        if !marker.is_file() && fs::read_dir(&path)?.next().is_some() {
            bail!(
                "{} was not made by `cargo xtask`; name another folder",
                path.display()
            );
        }
        let lock = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&marker);
        let lock = lock.with_context(|| format!("failed to open {}", marker.display()))?;
        if lock.try_lock().is_err() {
            bail!("another run uses {}", path.display());
        }
        empty(&path).with_context(|| format!("failed to empty {}", path.display()))?;
        Ok(Self { path, _lock: lock })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a folder in it.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(crate) fn subfolder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path.join(name);
        fs::create_dir_all(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(path)
    }

    /// Checks that the file system has room for so many bytes more.
    ///
    /// # Errors
    ///
    /// When it has not.
    pub(crate) fn check_space(&self, needed_bytes: u64) -> anyhow::Result<()> {
        let state = rustix::fs::statvfs(&self.path).with_context(|| {
            format!(
                "failed to ask for the free space of {}",
                self.path.display()
            )
        })?;
        let free_bytes = state.f_bavail.saturating_mul(state.f_frsize);
        if free_bytes < needed_bytes {
            bail!(
                "{} are needed in {}, and {} are free; name another place with --dir",
                bytes(needed_bytes),
                self.path.display(),
                bytes(free_bytes)
            );
        }
        Ok(())
    }
}

fn empty(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name() == MARKER {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_folder_is_emptied() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("ours");
        let first = Folder::claim(&path).unwrap();
        fs::write(first.subfolder("old").unwrap().join("file"), "x").unwrap();
        let error = Folder::claim(&path).unwrap_err().to_string();
        assert!(error.contains("another run"), "{error}");
        drop(first);
        Folder::claim(&path).unwrap();
        assert!(!path.join("old").exists());

        let foreign = place.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("thesis.txt"), "x").unwrap();
        assert!(Folder::claim(&foreign).is_err());
        assert!(foreign.join("thesis.txt").exists());
        assert!(!foreign.join(MARKER).exists());
    }

    #[test]
    fn space_is_checked() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::claim(&place.path().join("ours")).unwrap();
        folder.check_space(1).unwrap();
        assert!(
            folder
                .check_space(u64::MAX)
                .unwrap_err()
                .to_string()
                .contains("--dir")
        );
    }
}
