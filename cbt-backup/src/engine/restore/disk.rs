//! One disk, back into a raw file.

use std::{
    io,
    ops::Range,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::runtime::Handle;

use super::{RestoreOptions, RestoredDisk};
use crate::{
    engine::{
        error::{Error, chain},
        monitor::{Event, Monitor},
        target::{DiskTarget, RawFile},
    },
    repo::{self, DiskRecord, DiskState, Piece, Point, Repository, Salvaged, WalkOptions},
};

/// What the restore of all disks has in common.
pub(super) struct DiskRestore<'a> {
    pub(super) repository: &'a Repository,
    pub(super) runtime: &'a Handle,
    pub(super) point: &'a Point,
    pub(super) options: &'a RestoreOptions,
    pub(super) monitor: &'a dyn Monitor,
    pub(super) cancel: &'a AtomicBool,
}

/// A disk that is wanted.
pub(super) struct Wanted<'a> {
    /// Its place in the point.
    pub(super) index: usize,
    pub(super) record: &'a DiskRecord,
    pub(super) path: PathBuf,
}

impl DiskRestore<'_> {
    pub(super) fn restore(&self, disk: Wanted<'_>) -> Result<RestoredDisk, Error> {
        let Wanted {
            index,
            record,
            path,
        } = disk;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AlreadyExists => Error::TargetExists { path: path.clone() },
            _ => Error::Target {
                path: path.clone(),
                source,
            },
        };
        let (capacity_bytes, label) = (record.capacity_bytes, &record.identity.label);
        let device_key = record.identity.device_key;
        let mut work = Work {
            file: Box::new(
                RawFile::create(&path, capacity_bytes, self.options.replace).map_err(failed)?,
            ),
            failed: &failed,
            monitor: self.monitor,
            device_key,
            label,
            written_bytes: 0,
            lost_bytes: 0,
            lost_ranges: 0,
        };
        self.monitor.disk_begins(device_key, label, capacity_bytes);
        let walked = self.walk(index, |part| {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            work.take(part)
        });
        self.monitor.disk_ends(device_key);
        walked?;
        let Work {
            file,
            written_bytes,
            lost_bytes,
            lost_ranges,
            ..
        } = work;
        file.finish().map_err(failed)?;
        Ok(RestoredDisk {
            label: label.clone(),
            device_key,
            path,
            capacity_bytes,
            written_bytes,
            carried: matches!(record.state, DiskState::Carried { .. }),
            lost_bytes,
            lost_ranges,
        })
    }

    fn walk(
        &self,
        index: usize,
        mut emit: impl FnMut(Salvaged<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (repository, options) = (self.repository, WalkOptions::default());
        if self.options.allow_unreadable {
            repository.salvage_disk(self.runtime, self.point, index, options, emit)
        } else {
            repository.walk_disk(self.runtime, self.point, index, options, |piece| {
                emit(Salvaged::Piece(piece))
            })
        }
    }
}

/// A file that is being written.
struct Work<'a, F> {
    file: Box<dyn DiskTarget>,
    failed: &'a F,
    monitor: &'a dyn Monitor,
    device_key: i32,
    label: &'a str,
    written_bytes: u64,
    lost_bytes: u64,
    lost_ranges: u64,
}

impl<F: Fn(io::Error) -> Error> Work<'_, F> {
    fn take(&mut self, part: Salvaged<'_>) -> Result<(), Error> {
        match part {
            Salvaged::Piece(Piece::Data { offset_bytes, data }) => {
                self.file.write(offset_bytes, data).map_err(self.failed)?;
                self.written_bytes += data.len() as u64;
                self.monitor.advance(self.device_key, data.len() as u64);
                Ok(())
            }
            Salvaged::Piece(Piece::Hole {
                offset_bytes,
                length_bytes,
            }) => self.zeros(offset_bytes, length_bytes),
            Salvaged::Lost {
                offset_bytes,
                length_bytes,
                why,
            } => {
                self.lost_bytes += length_bytes;
                self.lost_ranges += 1;
                let end_bytes = offset_bytes + length_bytes;
                self.tell(offset_bytes..end_bytes, why);
                self.zeros(offset_bytes, length_bytes)
            }
        }
    }

    fn zeros(&mut self, offset_bytes: u64, length_bytes: u64) -> Result<(), Error> {
        self.file
            .hole(offset_bytes, length_bytes)
            .map_err(self.failed)?;
        self.monitor.advance(self.device_key, length_bytes);
        Ok(())
    }

    fn tell(&self, bytes: Range<u64>, why: &repo::Error) {
        let length_bytes = bytes.end - bytes.start;
        let message = format!(
            "{}: {length_bytes} bytes from {} on are lost, and zeros in the file: {}",
            self.label,
            bytes.start,
            chain(why)
        );
        let event = Event::warning("bytes-lost", message)
            .with("disk", self.label)
            .with("offset_bytes", bytes.start)
            .with("length_bytes", length_bytes);
        self.monitor.event(&event);
    }
}
