//! Disk images that are copied into a new disk: raw files and VMDKs.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use vmdk::{OpenOptions, SectorRun};

use crate::Error;
use crate::tracking::GRAIN_BYTES;

/// How a VMDK starts: a sparse extent, or a descriptor of its own.
const VMDK_STARTS: [&[u8]; 2] = [b"KDMV", b"# Disk DescriptorFile"];
const PIECE_SECTORS: u64 = GRAIN_BYTES / vmdk::SECTOR_BYTES;

/// An image to copy in.
#[derive(Debug)]
pub(crate) struct Image {
    path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Raw { file: File, length_bytes: u64 },
    Vmdk(vmdk::Disk),
}

impl Image {
    /// Opens an image and finds out what it is by its first bytes.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let length_bytes = file.metadata().map_err(Error::io("look at", path))?.len();
        let content = if is_vmdk(&file, length_bytes).map_err(Error::io("read", path))? {
            Content::Vmdk(
                vmdk::Disk::open(path, OpenOptions::default())
                    .map_err(Error::disk("open", path))?,
            )
        } else {
            Content::Raw { file, length_bytes }
        };
        Ok(Self {
            path: path.into(),
            content,
        })
    }

    /// Its size in whole sectors; the last sector of a raw file is filled up with zeros.
    pub(crate) fn sectors(&self) -> u64 {
        match &self.content {
            Content::Raw { length_bytes, .. } => length_bytes.div_ceil(vmdk::SECTOR_BYTES),
            Content::Vmdk(disk) => disk.capacity_sectors(),
        }
    }

    /// Copies all that is not zero into a disk that reads as zeros.
    pub(crate) fn copy_into(
        &self,
        target: &mut vmdk::Disk,
        target_path: &Path,
    ) -> Result<(), Error> {
        let mut buffer = vec![0; GRAIN_BYTES as usize];
        for run in self.runs()? {
            for start_sector in
                (run.start_sector..run.start_sector + run.sectors).step_by(PIECE_SECTORS as usize)
            {
                let sectors = PIECE_SECTORS.min(run.start_sector + run.sectors - start_sector);
                let buffer = &mut buffer[..(sectors * vmdk::SECTOR_BYTES) as usize];
                self.read(start_sector, buffer)?;
                if buffer.iter().any(|byte| *byte != 0) {
                    target
                        .write_at(start_sector, buffer)
                        .map_err(Error::disk("write to", target_path))?;
                }
            }
        }
        Ok(())
    }

    /// What may hold data.
    fn runs(&self) -> Result<Vec<SectorRun>, Error> {
        let whole = SectorRun {
            start_sector: 0,
            sectors: self.sectors(),
        };
        match &self.content {
            Content::Raw { .. } => Ok(vec![whole]),
            Content::Vmdk(disk) => disk
                .allocated(0, whole.sectors)
                .map_err(Error::disk("map", &self.path)),
        }
    }

    fn read(&self, start_sector: u64, buffer: &mut [u8]) -> Result<(), Error> {
        match &self.content {
            Content::Raw { file, length_bytes } => {
                let offset_bytes = start_sector * vmdk::SECTOR_BYTES;
                let there = length_bytes
                    .saturating_sub(offset_bytes)
                    .min(buffer.len() as u64) as usize;
                buffer[there..].fill(0);
                file.read_exact_at(&mut buffer[..there], offset_bytes)
                    .map_err(Error::io("read", &self.path))
            }
            Content::Vmdk(disk) => disk
                .read_at(start_sector, buffer)
                .map_err(Error::disk("read", &self.path)),
        }
    }
}

fn is_vmdk(file: &File, length_bytes: u64) -> std::io::Result<bool> {
    for start in VMDK_STARTS {
        let mut found = vec![0; start.len()];
        if length_bytes >= start.len() as u64 {
            file.read_exact_at(&mut found, 0)?;
        }
        if found == start {
            return Ok(true);
        }
    }
    Ok(false)
}
