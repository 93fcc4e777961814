//! The image: a file system with real files, and how a hundredth of it changes.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

const BLOCK_BYTES: u64 = 1 << 18;
/// Changed blocks stand in runs, as a guest writes them.
const RUN_BLOCKS: u64 = 8;
const SHARE: u64 = 100;

pub(crate) struct Image {
    pub(crate) path: PathBuf,
    /// Bytes in blocks that are not zeros.
    pub(crate) data_bytes: u64,
    /// Blocks that change, and what is in them before.
    changed: Vec<(u64, Vec<u8>)>,
}

impl Image {
    /// Makes the image in a folder. As much of `content` is taken as fits.
    pub(crate) fn make(folder: &Path, bytes: u64, content: &Path) -> anyhow::Result<Self> {
        let path = folder.join("disk.img");
        let tree = folder.join("content");
        // A file system needs room for itself.
        copy_some(content, &tree, bytes / 10 * 8)?;
        let status = Command::new("mke2fs")
            // As many inodes as the smallest of files could want.
            .args(["-q", "-F", "-t", "ext4", "-i", "4096"])
            .args(["-E", "lazy_itable_init=0", "-d"])
            .args([&tree, &path])
            .arg(format!("{}k", bytes >> 10))
            .stdin(Stdio::null())
            .status()
            .context("failed to start mke2fs, of Debian's package e2fsprogs")?;
        if !status.success() {
            bail!("mke2fs ended with {status}");
        }
        fs::remove_dir_all(&tree)?;
        let file = File::open(&path)?;
        let mut data = Vec::new();
        let mut block = vec![0; BLOCK_BYTES as usize];
        for number in 0..bytes / BLOCK_BYTES {
            file.read_exact_at(&mut block, number * BLOCK_BYTES)?;
            if block.iter().any(|byte| *byte != 0) {
                data.push(number);
            }
        }
        let mut image = Self {
            path,
            data_bytes: data.len() as u64 * BLOCK_BYTES,
            changed: Vec::new(),
        };
        for run in data.chunks(RUN_BLOCKS as usize).step_by(SHARE as usize) {
            for number in run {
                file.read_exact_at(&mut block, number * BLOCK_BYTES)?;
                image.changed.push((*number, block.clone()));
            }
        }
        let list: Vec<String> = image.changed.iter().map(|(n, _)| n.to_string()).collect();
        fs::write(image.change_list(), list.join("\n"))?;
        Ok(image)
    }

    pub(crate) fn changed_blocks(&self) -> usize {
        self.changed.len()
    }

    /// A file with the numbers of the blocks that change.
    pub(crate) fn change_list(&self) -> PathBuf {
        self.path.with_extension("changed")
    }

    /// A hundredth of the data becomes other data that compresses as it did.
    pub(crate) fn change(&self) -> anyhow::Result<()> {
        self.write(|block| other(block, 0))
    }

    /// The same blocks with other data, another for each `turn`: where they are, in bytes, and what is there.
    pub(crate) fn changes(&self, turn: u8) -> impl Iterator<Item = (u64, Vec<u8>)> {
        let changed = self.changed.iter();
        changed.map(move |(number, block)| (number * BLOCK_BYTES, other(block, turn)))
    }

    /// What was there before.
    pub(crate) fn put_back(&self) -> anyhow::Result<()> {
        self.write(<[u8]>::to_vec)
    }

    fn write(&self, content: impl Fn(&[u8]) -> Vec<u8>) -> anyhow::Result<()> {
        let file = File::options().write(true).open(&self.path)?;
        for (number, block) in &self.changed {
            file.write_all_at(&content(block), number * BLOCK_BYTES)?;
        }
        Ok(file.sync_all()?)
    }

    /// Makes others believe that the file may have changed, so that they read it.
    pub(crate) fn touch(&self) -> anyhow::Result<()> {
        let file = File::options().write(true).open(&self.path)?;
        Ok(file.set_modified(std::time::SystemTime::now())?)
    }

    /// Fails when a restored file is not the image.
    pub(crate) fn refuse_other(&self, restored: &Path) -> anyhow::Result<()> {
        let same = Command::new("cmp").arg(&self.path).arg(restored).status()?;
        if !same.success() {
            bail!("the restored image is another one");
        }
        Ok(())
    }
}

/// Another order of the same pages, and one byte that was never there.
fn other(block: &[u8], turn: u8) -> Vec<u8> {
    let mut other: Vec<u8> = block.chunks(4096).rev().flatten().copied().collect();
    other[0] ^= 0x5A;
    other[1] ^= turn;
    other
}

/// Copies files of a folder, in the order of their names, until `bytes` of them are there. Only plain files and
/// folders: the others have no data.
fn copy_some(from: &Path, to: &Path, bytes: u64) -> anyhow::Result<()> {
    let mut left = bytes;
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        // A folder takes a block, too.
        let Some(rest) = left.checked_sub(4096) else {
            break;
        };
        left = rest;
        let Ok(entries) = fs::read_dir(from.join(&folder)) else {
            continue;
        };
        let mut entries: Vec<_> = entries.flatten().collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        fs::create_dir_all(to.join(&folder))?;
        for entry in entries {
            let (kind, name) = (entry.file_type()?, folder.join(entry.file_name()));
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_file() {
                // What is removed meanwhile, or may not be read, is left out.
                let length = entry.metadata().map_or(u64::MAX, |data| data.len());
                let rounded = length.saturating_add(4096);
                if rounded <= left && fs::copy(entry.path(), to.join(&name)).is_ok() {
                    left -= rounded;
                }
            }
        }
    }
    Ok(())
}
