//! Compressed grains: each behind a marker with its place and its length.

use super::{GrainPart, SparseExtent};
use crate::extent::{Entry, Fill};
use crate::{Error, SECTOR_BYTES, packed_grain};

impl SparseExtent {
    /// Writes to a compressed grain. One that is not held goes to the end of the file. One that is
    /// held can change as long as it is the last in the file: a stream is filled front to back.
    pub(super) fn write_packed(
        &self,
        part: GrainPart,
        data: &[u8],
        fill: &mut Fill<'_>,
    ) -> Result<(), Error> {
        let (grain, at_sector) = match part.entry {
            Entry::At(at) => {
                let (mut grain, packed_bytes) = self.inflate(part.grain, at)?;
                let end_bytes = u64::from(at) * SECTOR_BYTES + packed_bytes;
                if end_bytes.next_multiple_of(SECTOR_BYTES) != self.file.length_bytes()? {
                    return Err(Error::WrittenOnce {
                        path: self.file.path().to_owned(),
                        sector: part.sector,
                    });
                }
                let within_bytes = self.within_bytes(part);
                grain[within_bytes..within_bytes + data.len()].copy_from_slice(data);
                (grain, u64::from(at))
            }
            Entry::Missing | Entry::Zeroed => {
                let grain = self.whole_grain(part, data, fill)?;
                if grain.iter().all(|&byte| byte == 0) {
                    return Ok(());
                }
                (grain, self.end_sector()?)
            }
        };
        let used_bytes = (self.used_sectors(part.grain) * SECTOR_BYTES) as usize;
        let start_sector = part.grain * self.header.grain_sectors;
        // Others want the last grain whole.
        debug_assert!(used_bytes <= grain.len());
        let packed = packed_grain::pack(start_sector, &grain);
        let at = u32::try_from(at_sector).map_err(|_| Error::Full {
            path: self.file.path().to_owned(),
        })?;
        let offset_bytes = at_sector * SECTOR_BYTES;
        self.file.write_at(offset_bytes, &packed)?;
        self.file.set_length(offset_bytes + packed.len() as u64)?;
        self.table().set(part.grain, Entry::At(at))
    }

    /// The first sector behind everything in the file.
    fn end_sector(&self) -> Result<u64, Error> {
        let end_sector = self.file.length_bytes()?.div_ceil(SECTOR_BYTES);
        Ok(end_sector.max(self.header.overhead_sectors))
    }

    /// Unpacks a grain, and tells how many bytes it takes in the file with its marker.
    pub(super) fn inflate(&self, grain: u64, at: u32) -> Result<(Vec<u8>, u64), Error> {
        let damaged = |what: &str| {
            self.file
                .corrupt(format!("compressed grain {grain} {what}"))
        };
        let offset_bytes = u64::from(at) * SECTOR_BYTES;
        let mut marker = [0; packed_grain::MARKER_BYTES];
        self.file.read_at(offset_bytes, &mut marker)?;
        let (start_sector, length_bytes) = packed_grain::read_marker(marker);
        if start_sector != grain * self.header.grain_sectors {
            return Err(damaged("belongs to another place"));
        }
        let grain_bytes = self.header.grain_bytes();
        // Deflate adds a little to data it cannot compress, never this much.
        if length_bytes == 0 || length_bytes > 2 * grain_bytes {
            return Err(damaged("has an impossible length"));
        }
        let mut packed = vec![0; length_bytes];
        let data_bytes = offset_bytes + packed_grain::MARKER_BYTES as u64;
        self.file.read_at(data_bytes, &mut packed)?;
        let used_bytes = (self.used_sectors(grain) * SECTOR_BYTES) as usize;
        let bytes = packed_grain::unpack(&packed, grain_bytes, used_bytes).map_err(damaged)?;
        let packed_bytes = (packed_grain::MARKER_BYTES + length_bytes) as u64;
        Ok((bytes, packed_bytes))
    }
}
