//! The map of one link, a `-ctk.vmdk` file: for each grain the sequence number of its last write.
//!
//! 128 bytes of header, then three bytes for each grain, little endian, 0 = never written. That
//! is about 0.5 MB for 10 GB of disk, as "vSphere Web Services API" section 5.2 has it.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::GRAIN_BYTES;
use crate::Error;

const MAGIC: &[u8; 8] = b"labctk01";
const HEADER_BYTES: u64 = 128;
const ENTRY_BYTES: u64 = 3;
/// Grains read or written in one go.
const CHUNK_GRAINS: u64 = 256 * 1024;
/// The greatest sequence number an entry holds.
pub(crate) const MAX_SEQUENCE: u32 = 0xff_ffff;

/// An open map.
#[derive(Debug)]
pub(crate) struct Map {
    file: File,
    path: PathBuf,
    grains: u64,
}

/// How many grains a disk has; the last may be short.
pub(crate) fn grains_of(capacity_bytes: u64) -> u64 {
    capacity_bytes.div_ceil(GRAIN_BYTES)
}

/// Where the entry of a grain is.
fn offset_of(grain: u64) -> u64 {
    HEADER_BYTES + grain * ENTRY_BYTES
}

fn header(grains: u64, uuid: &str) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER_BYTES as usize);
    header.extend(MAGIC);
    header.extend(grains.to_le_bytes());
    header.extend(uuid.as_bytes());
    header.resize(HEADER_BYTES as usize, 0);
    header
}

impl Map {
    /// Makes a map in which no grain was written.
    pub(crate) fn create(path: &Path, capacity_bytes: u64, uuid: &str) -> Result<Self, Error> {
        let grains = grains_of(capacity_bytes);
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .map_err(Error::io("make", path))?;
        let map = Self {
            file,
            path: path.into(),
            grains,
        };
        map.file
            .write_all_at(&header(grains, uuid), 0)
            .map_err(Error::io("write", path))?;
        map.file
            .set_len(offset_of(grains))
            .map_err(Error::io("write", path))?;
        Ok(map)
    }

    /// Opens the map of a disk and checks that it is whole and that disk's.
    pub(crate) fn open(path: &Path, capacity_bytes: u64, uuid: &str) -> Result<Self, Error> {
        let grains = grains_of(capacity_bytes);
        let file = File::options()
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::io("open", path))?;
        let map = Self {
            file,
            path: path.into(),
            grains,
        };
        let damaged = |reason: &str| Error::Map {
            file: path.into(),
            reason: reason.into(),
        };
        let length = map
            .file
            .metadata()
            .map_err(Error::io("look at", path))?
            .len();
        if length != offset_of(grains) {
            return Err(damaged("wrong length"));
        }
        let mut found = vec![0; HEADER_BYTES as usize];
        map.file
            .read_exact_at(&mut found, 0)
            .map_err(Error::io("read", path))?;
        if found != header(grains, uuid) {
            return Err(damaged("wrong header"));
        }
        Ok(map)
    }

    /// Makes the map of a disk that grew from one capacity to another. New grains count as written
    /// at `new`, or never.
    pub(crate) fn resize(
        path: &Path,
        (before_bytes, after_bytes): (u64, u64),
        uuid: &str,
        new: Option<u32>,
    ) -> Result<(), Error> {
        let old = Self::open(path, before_bytes, uuid)?;
        let (before, after) = (old.grains, grains_of(after_bytes));
        old.file
            .write_all_at(&header(after, uuid), 0)
            .map_err(Error::io("write", path))?;
        old.file
            .set_len(offset_of(after))
            .map_err(Error::io("write", path))?;
        let map = Self::open(path, after_bytes, uuid)?;
        match new {
            Some(sequence) => map.mark(before..after, sequence),
            None => Ok(()),
        }
    }

    /// Marks grains as written.
    pub(crate) fn mark(&self, grains: Range<u64>, sequence: u32) -> Result<(), Error> {
        let [low, middle, high, _] = sequence.min(MAX_SEQUENCE).to_le_bytes();
        for chunk in chunks(grains.start..grains.end.min(self.grains)) {
            let entries = [low, middle, high].repeat((chunk.end - chunk.start) as usize);
            self.file
                .write_all_at(&entries, offset_of(chunk.start))
                .map_err(Error::io("write", &self.path))?;
        }
        Ok(())
    }

    /// Runs of grains written after a sequence number, in order, at most `limit` of them.
    pub(crate) fn written_since(
        &self,
        grains: Range<u64>,
        sequence: u32,
        limit: usize,
    ) -> Result<Vec<Range<u64>>, Error> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for chunk in chunks(grains.start..grains.end.min(self.grains)) {
            let mut entries = vec![0; ((chunk.end - chunk.start) * ENTRY_BYTES) as usize];
            self.file
                .read_exact_at(&mut entries, offset_of(chunk.start))
                .map_err(Error::io("read", &self.path))?;
            for (grain, entry) in chunk.zip(entries.chunks_exact(ENTRY_BYTES as usize)) {
                let written = entry
                    .iter()
                    .rev()
                    .fold(0, |number, byte| number << 8 | u32::from(*byte));
                if written <= sequence {
                    continue;
                }
                if let Some(run) = runs.last_mut().filter(|run| run.end == grain) {
                    run.end += 1;
                } else if runs.len() < limit {
                    runs.push(grain..grain + 1);
                } else {
                    return Ok(runs);
                }
            }
        }
        Ok(runs)
    }
}

/// Cuts a range of grains into pieces that are handled in one go.
fn chunks(grains: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = grains.end;
    grains
        .step_by(CHUNK_GRAINS as usize)
        .map(move |start| start..end.min(start + CHUNK_GRAINS))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY_BYTES: u64 = 10 * GRAIN_BYTES - 512;

    fn runs_of(map: &Map, grains: Range<u64>, sequence: u32, limit: usize) -> Vec<(u64, u64)> {
        let runs = map.written_since(grains, sequence, limit).unwrap();
        runs.iter().map(|run| (run.start, run.end)).collect()
    }

    #[test]
    fn grains_are_reported_by_their_last_write() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-ctk.vmdk");
        let map = Map::create(&path, CAPACITY_BYTES, "u").unwrap();
        map.mark(0..4, 1).unwrap();
        map.mark(2..3, 2).unwrap();
        map.mark(9..99, 0x01_0203).unwrap();
        let map = Map::open(&path, CAPACITY_BYTES, "u").unwrap();
        assert_eq!(runs_of(&map, 0..10, 0, 9), [(0, 4), (9, 10)]);
        assert_eq!(runs_of(&map, 0..10, 1, 9), [(2, 3), (9, 10)]);
        assert_eq!(runs_of(&map, 0..10, 1, 1), [(2, 3)]);
        assert_eq!(runs_of(&map, 3..10, 2, 9), [(9, 10)]);
        assert_eq!(runs_of(&map, 0..10, 0x01_0203, 9), []);
    }

    #[test]
    fn runs_continue_over_chunks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-ctk.vmdk");
        let capacity_bytes = 3 * CHUNK_GRAINS * GRAIN_BYTES;
        let map = Map::create(&path, capacity_bytes, "u").unwrap();
        map.mark(CHUNK_GRAINS - 1..2 * CHUNK_GRAINS + 1, 1).unwrap();
        let runs = runs_of(&map, 0..3 * CHUNK_GRAINS, 0, 9);
        assert_eq!(runs, [(CHUNK_GRAINS - 1, 2 * CHUNK_GRAINS + 1)]);
    }

    #[test]
    fn the_size_is_the_documented_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-ctk.vmdk");
        Map::create(&path, 10 << 30, "u").unwrap();
        let length = std::fs::metadata(&path).unwrap().len();
        assert!((480_000..524_288).contains(&length), "{length}");
    }

    #[test]
    fn a_damaged_map_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a-ctk.vmdk");
        Map::create(&path, CAPACITY_BYTES, "u").unwrap();
        assert!(matches!(
            Map::open(&path, CAPACITY_BYTES, "v"),
            Err(Error::Map { .. })
        ));
        assert!(matches!(
            Map::open(&path, CAPACITY_BYTES + GRAIN_BYTES, "u"),
            Err(Error::Map { .. })
        ));
        std::fs::write(&path, "x").unwrap();
        assert!(matches!(
            Map::open(&path, CAPACITY_BYTES, "u"),
            Err(Error::Map { .. })
        ));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(
            Map::open(&path, CAPACITY_BYTES, "u"),
            Err(Error::Io { .. })
        ));
    }
}
