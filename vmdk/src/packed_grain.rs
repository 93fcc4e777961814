//! A compressed grain and its marker ("Virtual Disk Format 5.0", Stream-Optimized Compressed Sparse
//! Extents).

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Decompress, FlushDecompress, Status};

use crate::SECTOR_BYTES;

/// Bytes of the marker before a compressed grain: its first sector and its length.
pub(crate) const MARKER_BYTES: usize = 12;

/// Packs a grain: marker, data, and zeros up to the end of the sector.
pub(crate) fn pack(start_sector: u64, grain: &[u8]) -> Vec<u8> {
    let mut bytes = start_sector.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    let mut encoder = ZlibEncoder::new(bytes, Compression::default());
    // Writing to memory does not fail.
    let written = encoder.write_all(grain).and_then(|()| encoder.finish());
    let mut bytes = written.unwrap_or_default();
    let length_bytes = bytes.len().saturating_sub(MARKER_BYTES) as u32;
    bytes[8..MARKER_BYTES].copy_from_slice(&length_bytes.to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(SECTOR_BYTES as usize), 0);
    bytes
}

/// The first sector of a grain and the length of its packed data.
pub(crate) fn read_marker(marker: [u8; MARKER_BYTES]) -> (u64, usize) {
    let start_sector = u64::from_le_bytes(std::array::from_fn(|n| marker[n]));
    let length_bytes = u32::from_le_bytes(std::array::from_fn(|n| marker[8 + n]));
    (start_sector, length_bytes as usize)
}

/// Unpacks a grain, which must have at least `used_bytes`; zeros stand behind them.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(crate) fn unpack(
    packed: &[u8],
    grain_bytes: usize,
    used_bytes: usize,
) -> Result<Vec<u8>, &'static str> {
    let mut grain = vec![0; grain_bytes];
    let mut inflate = Decompress::new(true);
    let status = inflate
        .decompress(packed, &mut grain, FlushDecompress::Finish)
        .map_err(|_| "cannot be unpacked")?;
    if status != Status::StreamEnd || inflate.total_out() < used_bytes as u64 {
        return Err("is incomplete");
    }
    Ok(grain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grain_survives_packing() {
        let grain: Vec<u8> = (0..65536_u32).map(|n| ((n * n) >> 7) as u8).collect();
        let packed = pack(384, &grain);
        assert!(packed.len().is_multiple_of(512) && packed.len() < grain.len());
        let marker = std::array::from_fn(|n| packed[n]);
        let (start_sector, length_bytes) = read_marker(marker);
        assert_eq!(start_sector, 384);
        let data = &packed[MARKER_BYTES..MARKER_BYTES + length_bytes];
        assert!(unpack(data, 65536, 65536) == Ok(grain));
        assert_eq!(unpack(data, 65536, 65537), Err("is incomplete"));
        assert_eq!(unpack(&data[..50], 65536, 1), Err("is incomplete"));
        assert_eq!(unpack(&[0xff; 40], 65536, 1), Err("cannot be unpacked"));
    }
}
