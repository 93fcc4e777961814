//! Looking for a secret in every file of a folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The files under `folder` that hold `needle`.
///
/// # Errors
///
/// When a folder or file cannot be read.
pub fn files_holding(folder: &Path, needle: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let content = fs::read(entry.path())?;
                if content
                    .windows(needle.len())
                    .any(|window| window == needle.as_bytes())
                {
                    found.push(entry.path());
                }
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_however_deep_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("holds"), b"\xff\0the secret\xfe").unwrap();
        fs::write(folder.path().join("holds not"), "the se cret").unwrap();
        assert_eq!(
            files_holding(folder.path(), "secret").unwrap(),
            [deep.join("holds")]
        );
    }
}
