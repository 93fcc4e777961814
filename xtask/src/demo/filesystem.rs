//! A real file system in an image, filled with files of this machine.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

use super::scale::MIB;

/// Where a system keeps many files of many kinds.
const ROOTS: [&str; 3] = ["/usr/share", "/usr/lib", "/usr/include"];
/// The tool, also where a user's path does not lead.
const PROGRAMS: [&str; 3] = ["mkfs.ext4", "/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4"];
/// The most that is taken, of each root and of one file.
const ROOT_BYTES: u64 = 100 * MIB;
const FILE_BYTES: u64 = 16 * MIB;
const ROOT_FILES: u64 = 5000;
/// No tree of files is this deep.
const DEPTH: usize = 24;

/// The most bytes of files that go into an image.
pub(super) const CONTENT_BYTES: u64 = ROOT_BYTES * ROOTS.len() as u64;

/// The tool that makes file systems, where this machine has it.
pub(super) fn tool() -> Option<&'static str> {
    let answers = |program: &&str| {
        let mut command = Command::new(program);
        command
            .arg("-V")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    PROGRAMS.into_iter().find(answers)
}

/// Files that were taken.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub(super) files: u64,
    pub(super) bytes: u64,
}

/// Makes an ext4 file system in a new image, filled through a staging folder that is removed again.
///
/// # Errors
///
/// When files cannot be copied or the tool fails.
pub(super) fn write_image(tool: &str, image: &Path, capacity_bytes: u64) -> anyhow::Result<Taken> {
    let staging = image.with_extension("files");
    let taken = stage(&staging).with_context(|| format!("failed to fill {}", staging.display()))?;
    let file = File::create_new(image)?;
    file.set_len(capacity_bytes)?;
    let made = Command::new(tool)
        .args(["-q", "-F", "-d"])
        .arg(&staging)
        .arg(image)
        .output();
    let made = made.with_context(|| format!("failed to start {tool}"))?;
    fs::remove_dir_all(&staging)?;
    if !made.status.success() {
        bail!(
            "{tool} failed: {}",
            String::from_utf8_lossy(&made.stderr).trim()
        );
    }
    Ok(taken)
}

fn stage(staging: &Path) -> std::io::Result<Taken> {
    let mut all = Taken::default();
    for root in ROOTS {
        let mut taken = Taken::default();
        let target = staging.join(root.trim_start_matches('/'));
        copy_tree(Path::new(root), &target, DEPTH, &mut taken)?;
        all.files += taken.files;
        all.bytes += taken.bytes;
    }
    Ok(all)
}

/// Copies plain files, in the order of their names, until enough was taken. What cannot be read
/// is left out.
fn copy_tree(from: &Path, to: &Path, depth: usize, taken: &mut Taken) -> std::io::Result<()> {
    let Ok(entries) = fs::read_dir(from) else {
        return Ok(());
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    fs::create_dir_all(to)?;
    for path in paths {
        let (Ok(about), Some(name)) = (fs::symlink_metadata(&path), path.file_name()) else {
            continue;
        };
        if taken.files >= ROOT_FILES {
            return Ok(());
        }
        if about.is_dir() && depth > 0 {
            copy_tree(&path, &to.join(name), depth - 1, taken)?;
        } else if about.is_file()
            && about.len() <= FILE_BYTES
            && taken.bytes + about.len() <= ROOT_BYTES
            && let Ok(mut source) = File::open(&path)
        {
            taken.bytes += std::io::copy(&mut source, &mut File::create(to.join(name))?)?;
            taken.files += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_copied_without_links_and_large_files() {
        let place = tempfile::tempdir().unwrap();
        let from = place.path().join("from");
        fs::create_dir_all(from.join("a/b")).unwrap();
        fs::write(from.join("a/b/text"), "hello").unwrap();
        std::os::unix::fs::symlink("text", from.join("a/b/link")).unwrap();
        File::create(from.join("large"))
            .unwrap()
            .set_len(FILE_BYTES + 1)
            .unwrap();

        let to = place.path().join("to");
        let mut taken = Taken::default();
        copy_tree(&from, &to, DEPTH, &mut taken).unwrap();
        assert_eq!((taken.files, taken.bytes), (1, 5));
        assert_eq!(fs::read_to_string(to.join("a/b/text")).unwrap(), "hello");
        assert!(!to.join("a/b/link").exists() && !to.join("large").exists());
    }
}
