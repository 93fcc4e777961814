//! The images the disks start from.

use std::fs::File;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};
use vmdk::{Disk, OpenOptions};

use super::scale::{MIB, SECTOR_BYTES};
use super::shadow::copy_sparse;
use super::{content, filesystem};
use crate::output::bytes;

/// The demo's own disks: one of a round size, one that is no multiple of any grain.
const ROUND_BYTES: u64 = 1024 * MIB;
const ODD_BYTES: u64 = 256 * MIB + 5 * SECTOR_BYTES;

/// An image to make.
#[derive(Debug)]
pub(super) enum Plan {
    /// A file system with files of this machine.
    FileSystem { tool: &'static str },
    /// Made-up content.
    MadeUp { capacity_bytes: u64 },
    /// A raw file of the user.
    Raw {
        path: PathBuf,
        length_bytes: u64,
        content_bytes: u64,
    },
    /// A VMDK of the user.
    Vmdk {
        path: PathBuf,
        capacity_bytes: u64,
        content_bytes: u64,
    },
}

/// An image that was made.
#[derive(Debug)]
pub(super) struct Image {
    /// What it is, for people.
    pub(super) about: String,
    /// What the lab copies in.
    pub(super) origin: PathBuf,
    /// The same, raw: what the disk must hold at the first point.
    pub(super) raw: PathBuf,
}

impl Plan {
    /// The images of a run: those of the user, or the demo's own.
    ///
    /// # Errors
    ///
    /// When an image of the user cannot be read.
    pub(super) fn all(given: &[PathBuf]) -> anyhow::Result<Vec<Self>> {
        if !given.is_empty() {
            return given.iter().map(|path| Self::given(path)).collect();
        }
        let first = match filesystem::tool() {
            Some(tool) => Self::FileSystem { tool },
            None => Self::MadeUp {
                capacity_bytes: ROUND_BYTES,
            },
        };
        Ok(vec![
            first,
            Self::MadeUp {
                capacity_bytes: ODD_BYTES,
            },
        ])
    }

    fn given(path: &Path) -> anyhow::Result<Self> {
        let context = || format!("failed to read the image {}", path.display());
        let path = path.canonicalize().with_context(context)?;
        let plan = match Disk::open(&path, OpenOptions::default()) {
            Ok(disk) => {
                let sectors = disk.capacity_sectors();
                let held = disk.allocated(0, sectors).with_context(context)?;
                let held: u64 = held.iter().map(|run| run.sectors).sum();
                Self::Vmdk {
                    path,
                    capacity_bytes: sectors * SECTOR_BYTES,
                    content_bytes: held * SECTOR_BYTES,
                }
            }
            Err(vmdk::Error::NotVmdk { .. }) => {
                let about = path.metadata().with_context(context)?;
                let content_bytes = about.len().min(about.blocks() * SECTOR_BYTES);
                Self::Raw {
                    path,
                    length_bytes: about.len(),
                    content_bytes,
                }
            }
            Err(error) => return Err(error).with_context(context),
        };
        if plan.capacity_bytes() == 0 {
            bail!("{} is empty or no plain file", context());
        }
        Ok(plan)
    }

    /// The size of the disk, whole sectors.
    pub(super) fn capacity_bytes(&self) -> u64 {
        match self {
            Self::FileSystem { .. } => ROUND_BYTES,
            Self::MadeUp { capacity_bytes } | Self::Vmdk { capacity_bytes, .. } => *capacity_bytes,
            Self::Raw { length_bytes, .. } => length_bytes.next_multiple_of(SECTOR_BYTES),
        }
    }

    /// About the most that one copy of it takes on a disk.
    pub(super) fn content_bytes(&self) -> u64 {
        match self {
            // The file system's own tables come on top.
            Self::FileSystem { .. } => filesystem::CONTENT_BYTES + ROUND_BYTES / 16,
            Self::MadeUp { capacity_bytes } => content::written_bytes(*capacity_bytes),
            Self::Raw { content_bytes, .. } | Self::Vmdk { content_bytes, .. } => *content_bytes,
        }
    }

    /// Makes it in a folder.
    ///
    /// # Errors
    ///
    /// When a tool fails, or something cannot be read or written.
    pub(super) fn make(&self, folder: &Path, number: usize) -> anyhow::Result<Image> {
        let raw = folder.join(format!("disk-{number}.raw"));
        let context = || format!("failed to make {}", raw.display());
        let about = match self {
            Self::FileSystem { tool } => {
                let taken =
                    filesystem::write_image(tool, &raw, ROUND_BYTES).with_context(context)?;
                format!(
                    "ext4, {} files of this machine ({})",
                    taken.files,
                    bytes(taken.bytes)
                )
            }
            Self::MadeUp { capacity_bytes } => {
                content::write_image(&raw, *capacity_bytes).with_context(context)?;
                made_up(*capacity_bytes)
            }
            Self::Raw { path, .. } => {
                copy_sparse(path, &raw, self.capacity_bytes()).with_context(context)?;
                format!("raw image {}", path.display())
            }
            Self::Vmdk { path, .. } => {
                let kind = unpack(path, &raw).with_context(context)?;
                format!(
                    "{kind} VMDK {}{}",
                    path.display(),
                    second_opinion(path, &raw)?
                )
            }
        };
        let origin = match self {
            Self::Raw { path, .. } | Self::Vmdk { path, .. } => path.clone(),
            _ => raw.clone(),
        };
        Ok(Image { about, origin, raw })
    }
}

fn made_up(capacity_bytes: u64) -> String {
    let odd_sectors = capacity_bytes % MIB / SECTOR_BYTES;
    let odd = if odd_sectors == 0 {
        String::new()
    } else {
        format!(" plus {odd_sectors} sectors")
    };
    let why = if capacity_bytes == ROUND_BYTES {
        " (no mkfs.ext4 here)"
    } else {
        ""
    };
    format!("made-up text, noise and holes{odd}{why}")
}

/// Copies a VMDK into a raw file. Returns its kind.
fn unpack(path: &Path, raw: &Path) -> anyhow::Result<String> {
    let disk = Disk::open(path, OpenOptions::default())?;
    let file = File::create_new(raw)?;
    file.set_len(disk.capacity_sectors() * SECTOR_BYTES)?;
    let chunk_sectors = MIB / SECTOR_BYTES;
    let mut buffer = vec![0; MIB as usize];
    for run in disk.allocated(0, disk.capacity_sectors())? {
        let end = run.start_sector + run.sectors;
        for sector in (run.start_sector..end).step_by(chunk_sectors as usize) {
            let length = (chunk_sectors.min(end - sector) * SECTOR_BYTES) as usize;
            disk.read_at(sector, &mut buffer[..length])?;
            file.write_all_at(&buffer[..length], sector * SECTOR_BYTES)?;
        }
    }
    Ok(format!("{:?}", disk.descriptor().create_type))
}

/// Lab and demo read a VMDK with the same code, so someone else should look at it too.
fn second_opinion(path: &Path, raw: &Path) -> anyhow::Result<&'static str> {
    let mut command = Command::new("qemu-img");
    let command = command
        .args(["compare", "-f", "vmdk", "-F", "raw"])
        .arg(path)
        .arg(raw);
    match command.output() {
        Ok(output) if output.status.success() => Ok(", as qemu-img reads it"),
        Ok(output) if output.status.code() == Some(1) => {
            bail!("qemu-img reads something else in {}", path.display())
        }
        _ => Ok(" (skipped: qemu-img could not judge it)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vmdk_and_a_raw_file_lead_to_the_same_image() {
        let folder = tempfile::tempdir().unwrap();
        let vmdk_path = folder.path().join("given.vmdk");
        let options = vmdk::CreateOptions::new(2048 + 3);
        let mut disk = vmdk::create_monolithic_sparse(&vmdk_path, &options).unwrap();
        disk.write_at(2048, &[7; 3 * 512]).unwrap();
        disk.flush().unwrap();
        let mut expected = vec![0; 2048 * 512];
        expected.extend_from_slice(&[7; 3 * 512]);
        let raw_path = folder.path().join("given.img");
        std::fs::write(&raw_path, &expected[..expected.len() - 5]).unwrap();
        expected.truncate(expected.len() - 5);
        expected.extend_from_slice(&[0; 5]);

        let plans = Plan::all(&[vmdk_path, raw_path]).unwrap();
        assert!(matches!(plans[0], Plan::Vmdk { .. }) && matches!(plans[1], Plan::Raw { .. }));
        for (number, plan) in plans.iter().enumerate() {
            assert_eq!(plan.capacity_bytes(), expected.len() as u64);
            let image = plan.make(folder.path(), number).unwrap();
            let made = std::fs::read(&image.raw).unwrap();
            assert_eq!(made.len(), expected.len());
            assert!(
                made[..expected.len() - 5] == expected[..expected.len() - 5],
                "{}",
                image.about
            );
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        File::create(&empty).unwrap();
        assert!(Plan::all(&[empty]).is_err());
        assert!(Plan::all(&[folder.path().join("missing")]).is_err());
    }

    #[test]
    fn the_odd_disk_is_no_multiple_of_a_grain() {
        assert_ne!(ODD_BYTES % super::super::scale::GRAIN_BYTES, 0);
        assert_eq!(ODD_BYTES % SECTOR_BYTES, 0);
    }
}
