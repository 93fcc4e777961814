//! Copies a disk into a new one, whatever the kinds of both.

use std::io::Write;
use std::path::Path;

use crate::create::{GRAIN_SECTORS, Layout};
use crate::extent_name::{SPLIT_SECTORS, extents};
use crate::{
    CreateOptions, Disk, DiskKind, Error, Progress, SECTOR_BYTES, SectorRun, StreamWriter, create,
    unlink,
};

/// How much of the source is looked at for data at once: 1 GiB.
const WINDOW_SECTORS: u64 = 1 << 21;
/// The most that is read at once: 1 MiB, whole grains.
const PIECE_SECTORS: u64 = 16 * GRAIN_SECTORS;

/// Takes sectors from a sector on.
type Sink<'a> = dyn FnMut(u64, &[u8]) -> Result<(), Error> + 'a;

/// Makes a disk with the content of another, all its links together. Grains of zeros take no space
/// in kinds that can do without. The size is that of the source, whatever the options say. The copy
/// is open for writing.
///
/// # Errors
///
/// - what [`create`](crate::create()) can fail with,
/// - what [`Disk::read_at`] and [`Disk::write_at`] can fail with. Nothing is left behind then.
pub fn copy(
    source: &Disk,
    path: &Path,
    kind: DiskKind,
    options: &CreateOptions,
    progress: &mut Progress<'_>,
) -> Result<Disk, Error> {
    let options = CreateOptions {
        capacity_sectors: source.capacity_sectors(),
        ..options.clone()
    };
    let mut target = create(path, kind, &options)?;
    let copied = each_grain(source, &mut |at, data| target.write_at(at, data), progress);
    if let Err(error) = copied.and_then(|()| target.flush()) {
        drop(target);
        // The first error is the one to report.
        let _ = unlink(path);
        return Err(error);
    }
    Ok(target)
}

/// Gives what is not zero to `write`, front to back.
fn each_grain(
    source: &Disk,
    write: &mut Sink<'_>,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let capacity_sectors = source.capacity_sectors();
    let mut buffer = vec![0; (PIECE_SECTORS * SECTOR_BYTES) as usize];
    progress(0, capacity_sectors);
    let mut start_sector = 0;
    while start_sector < capacity_sectors {
        let sectors = WINDOW_SECTORS.min(capacity_sectors - start_sector);
        for piece in pieces(&source.allocated(start_sector, sectors)?, capacity_sectors) {
            let buffer = &mut buffer[..(piece.sectors * SECTOR_BYTES) as usize];
            source.read_at(piece.start_sector, buffer)?;
            write_data(write, piece.start_sector, buffer)?;
            progress(piece.end_sector(), capacity_sectors);
        }
        start_sector += sectors;
        progress(start_sector, capacity_sectors);
    }
    Ok(())
}

/// Cuts runs into pieces that begin and end on grain borders of the target, none of them twice.
fn pieces(runs: &[SectorRun], capacity_sectors: u64) -> Vec<SectorRun> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for run in runs {
        at = (run.start_sector - run.start_sector % GRAIN_SECTORS).max(at);
        let end = run
            .end_sector()
            .next_multiple_of(GRAIN_SECTORS)
            .min(capacity_sectors);
        while at < end {
            let sectors = PIECE_SECTORS.min(end - at);
            pieces.push(SectorRun {
                start_sector: at,
                sectors,
            });
            at += sectors;
        }
    }
    pieces
}

/// Writes the grains that are not zero, neighbours together.
fn write_data(write: &mut Sink<'_>, sector: u64, data: &[u8]) -> Result<(), Error> {
    let grain_bytes = (GRAIN_SECTORS * SECTOR_BYTES) as usize;
    let mut start = None;
    for (index, grain) in data.chunks(grain_bytes).enumerate() {
        let at = index * grain_bytes;
        if grain.iter().all(|&byte| byte == 0) {
            if let Some(start) = start.take() {
                write(sector + start as u64 / SECTOR_BYTES, &data[start..at])?;
            }
        } else {
            start.get_or_insert(at);
        }
    }
    if let Some(start) = start {
        write(sector + start as u64 / SECTOR_BYTES, &data[start..])?;
    }
    Ok(())
}

impl Disk {
    /// Writes the disk, all its links together, as a stream: see [`StreamWriter`]. The size is that
    /// of the disk, whatever the options say.
    ///
    /// # Errors
    ///
    /// - what [`StreamWriter`] can fail with,
    /// - what [`Disk::read_at`] can fail with. What was written is no disk then.
    pub fn write_stream<W: Write>(
        &self,
        out: W,
        name: &str,
        options: &CreateOptions,
        progress: &mut Progress<'_>,
    ) -> Result<W, Error> {
        let options = CreateOptions {
            capacity_sectors: self.capacity_sectors(),
            ..options.clone()
        };
        let mut stream = StreamWriter::new(out, name, &options)?;
        each_grain(self, &mut |at, data| stream.write(at, data), progress)?;
        stream.finish()
    }

    /// The most bytes a copy of this disk in another kind can take: its tables, its descriptor, and
    /// every grain that any link holds. Compression and zeros make it less.
    ///
    /// # Errors
    ///
    /// As [`Disk::allocated`].
    pub fn space_needed_bytes(&self, kind: DiskKind) -> Result<u64, Error> {
        let capacity_sectors = self.capacity_sectors();
        let descriptor_bytes = self.descriptor().to_text().len() as u64;
        if kind.is_flat() {
            return Ok(capacity_sectors * SECTOR_BYTES + descriptor_bytes);
        }
        let embedded = kind != DiskKind::SplitSparse;
        let mut sectors = 0;
        for extent in extents(self.path(), kind, capacity_sectors)? {
            sectors += Layout::new(extent.sectors)
                .header(embedded)
                .overhead_sectors;
        }
        // A compressed grain that does not shrink grows by its marker and a little more.
        let extra = u64::from(kind == DiskKind::StreamOptimized);
        sectors += self.held_grains()? * (GRAIN_SECTORS + extra);
        let text_bytes = if embedded { 0 } else { descriptor_bytes };
        Ok(sectors * SECTOR_BYTES + text_bytes)
    }

    /// Grains of the usual size that hold anything. A border between pieces cuts a grain in two.
    fn held_grains(&self) -> Result<u64, Error> {
        let capacity_sectors = self.capacity_sectors();
        let (mut grains, mut counted_to, mut start_sector) = (0, 0, 0);
        while start_sector < capacity_sectors {
            let sectors = WINDOW_SECTORS.min(capacity_sectors - start_sector);
            for run in self.allocated(start_sector, sectors)? {
                let first = (run.start_sector / GRAIN_SECTORS).max(counted_to);
                let end = run.end_sector().div_ceil(GRAIN_SECTORS);
                grains += end.saturating_sub(first);
                counted_to = counted_to.max(end);
            }
            start_sector += sectors;
        }
        debug_assert!(SPLIT_SECTORS.is_multiple_of(GRAIN_SECTORS));
        Ok(grains)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_whole_grains_and_come_once() {
        let run = |start_sector, sectors| SectorRun {
            start_sector,
            sectors,
        };
        let found = pieces(&[run(5, 1), run(100, 60), run(700, 5000)], 5001);
        assert_eq!(
            found,
            [
                run(0, 128),
                run(128, 128),
                run(640, 2048),
                run(2688, 2048),
                run(4736, 265)
            ]
        );
    }
}
