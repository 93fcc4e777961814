//! Random reads.

use std::sync::{Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::repo::error::Error;
use crate::repo::id::{PackKind, PointId};
use crate::repo::pack::PlainLength;
use crate::repo::point::Point;
use crate::repo::ranges::BlockRange;
use crate::repo::reference::Ref;
use crate::repo::repository::Repository;
use crate::repo::root::DiskState;
use crate::repo::tree::{BaseTree, Geometry};

/// A disk of a point. Its methods block, so they are for OS threads and not for tasks of the
/// runtime. Every block's id is checked before a byte of it is given out.
#[derive(Debug)]
pub struct Image {
    pub(super) repo: Repository,
    pub(super) handle: Handle,
    pub(super) geometry: Geometry,
    pub(super) tree: Option<BaseTree>,
    label: String,
    /// Blocks that the point was copied without.
    pub(super) unreadable: Vec<BlockRange>,
    point: PointId,
    /// The block read last: small reads follow each other.
    last: Mutex<Option<(u64, Vec<u8>)>>,
}

impl Image {
    /// Opens disk `disk` of the point. Reads nothing yet.
    ///
    /// # Errors
    /// `DiskAbsent` when the point has no data of it, `DiskPartial` when its run was not over,
    /// `OutOfRange` for a disk it has not.
    pub fn open(
        repo: &Repository,
        handle: &Handle,
        point: &Point,
        disk: usize,
    ) -> Result<Self, Error> {
        let image = Self::open_unfinished(repo, handle, point, disk)?;
        match point.root.disks[disk].state {
            DiskState::Partial { covered_bytes } => Err(Error::DiskPartial {
                label: image.label,
                point: point.id(),
                covered_bytes,
            }),
            _ => Ok(image),
        }
    }

    /// As [`Image::open`], and also of a disk whose run was not over, to look whether it can be read.
    pub(crate) fn open_unfinished(
        repo: &Repository,
        handle: &Handle,
        point: &Point,
        disk: usize,
    ) -> Result<Self, Error> {
        let record = point.root.disks.get(disk);
        let record = record.ok_or(Error::OutOfRange {
            what: "disk number",
            value: disk as u64,
        })?;
        let label = record.identity.label.clone();
        if !record.has_data() {
            return Err(Error::DiskAbsent {
                label,
                point: point.id(),
            });
        }
        Ok(Self {
            repo: repo.clone(),
            handle: handle.clone(),
            geometry: record.geometry()?,
            tree: record.tree.map(crate::repo::root::TreeRecord::base),
            label,
            unreadable: record.unreadable.clone(),
            point: point.id(),
            last: Mutex::default(),
        })
    }

    /// Size of the disk in bytes.
    pub fn capacity_bytes(&self) -> u64 {
        self.geometry.capacity_bytes()
    }

    /// Fills `buffer` with what is at `offset_bytes`.
    ///
    /// # Errors
    /// `OutOfRange` beyond the end of the disk; `Unreadable` with the range that is lost.
    pub fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let end = offset_bytes.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.capacity_bytes()) {
            return Err(Error::OutOfRange {
                what: "offset on the disk in bytes",
                value: offset_bytes,
            });
        }
        let mut rest = buffer;
        let mut offset_bytes = offset_bytes;
        while !rest.is_empty() {
            let block = offset_bytes >> self.geometry.block_shift();
            let within = (offset_bytes - (block << self.geometry.block_shift())) as usize;
            let length = rest.len().min(self.geometry.block_bytes(block) - within);
            let (part, behind) = rest.split_at_mut(length);
            self.read_in_block(block, within, part).map_err(|error| {
                self.unreadable(
                    BlockRange {
                        first: block,
                        blocks: 1,
                    },
                    error,
                )
            })?;
            rest = behind;
            offset_bytes += length as u64;
        }
        Ok(())
    }

    fn read_in_block(&self, block: u64, within: usize, part: &mut [u8]) -> Result<(), Error> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(number, _)| *number != block) {
            *last = None;
            let Some(reference) = self.handle.block_on(self.find(block))? else {
                if self.is_unreadable(block) {
                    return Err(self.not_copied());
                }
                part.fill(0);
                return Ok(());
            };
            let length = PlainLength::Exactly(self.geometry.block_bytes(block));
            let read = self.repo.blob(PackKind::Data, &reference, length);
            *last = Some((block, self.handle.block_on(read)?));
        }
        if let Some((_, data)) = &*last {
            part.copy_from_slice(&data[within..][..part.len()]);
        }
        Ok(())
    }

    /// Where a block is; `None` for a hole.
    async fn find(&self, block: u64) -> Result<Option<Ref>, Error> {
        let Some(tree) = self.tree else {
            return Ok(None);
        };
        let (mut reference, mut level) = (tree.root, tree.level);
        loop {
            let node = self.repo.node(&reference, self.geometry, level).await?;
            let slot = block / self.geometry.slot_blocks(level) % self.geometry.fan_out() as u64;
            match node.slots[slot as usize] {
                None => return Ok(None),
                Some(below) if level == 1 => return Ok(Some(below)),
                Some(below) => reference = below,
            }
            level -= 1;
        }
    }

    fn is_unreadable(&self, block: u64) -> bool {
        let behind = self.unreadable.partition_point(|run| run.first <= block);
        let run = behind.checked_sub(1).map(|index| self.unreadable[index]);
        run.is_some_and(|run| block - run.first < run.blocks)
    }

    pub(super) fn not_copied(&self) -> Error {
        let what = "these bytes could not be read when it was copied";
        Error::damaged(&format!("point {}", self.point), what)
    }

    pub(super) fn unreadable(&self, range: BlockRange, source: Error) -> Error {
        let bytes = self.geometry.bytes_of(range);
        Error::Unreadable {
            label: self.label.clone(),
            start_bytes: bytes.start,
            end_bytes: bytes.end,
            source: Box::new(source),
        }
    }
}
