//! Giving a sparse child another parent, when the link between them was merged away.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use vmdk::{Descriptor, SECTOR_BYTES};

use crate::Error;

/// "Virtual Disk Format 5.0", Hosted Sparse Extent Header: the magic number as it is in the file.
const MAGIC: &[u8] = b"KDMV";
/// Where the header has the first sector and the number of sectors of the embedded descriptor.
const DESCRIPTOR_OFFSET_AT: usize = 28;
const DESCRIPTOR_SIZE_AT: usize = 36;
/// No descriptor is longer; more is damage.
const MAX_DESCRIPTOR_SECTORS: u64 = 2048;

/// Writes name and content id of the new parent into the embedded descriptor of a child. Both
/// are in one folder, and the data of both make the same disk as before.
pub(crate) fn reparent(child: &Path, parent_file_name: &str, parent_cid: u32) -> Result<(), Error> {
    let damaged = |reason: &str| Error::Reparent {
        path: child.into(),
        reason: reason.into(),
    };
    let file = File::options()
        .read(true)
        .write(true)
        .open(child)
        .map_err(Error::io("open", child))?;
    let mut header = [0; SECTOR_BYTES as usize];
    file.read_exact_at(&mut header, 0)
        .map_err(Error::io("read", child))?;
    if !header.starts_with(MAGIC) {
        return Err(damaged("no sparse extent"));
    }
    let start_sector = number_at(&header, DESCRIPTOR_OFFSET_AT);
    let sectors = number_at(&header, DESCRIPTOR_SIZE_AT);
    if start_sector == 0 || sectors == 0 || sectors > MAX_DESCRIPTOR_SECTORS {
        return Err(damaged("no descriptor inside"));
    }
    let offset_bytes = start_sector
        .checked_mul(SECTOR_BYTES)
        .ok_or_else(|| damaged("no descriptor inside"))?;
    let mut space = vec![0; (sectors * SECTOR_BYTES) as usize];
    file.read_exact_at(&mut space, offset_bytes)
        .map_err(Error::io("read", child))?;

    let text = String::from_utf8(space).map_err(|_not_text| damaged("descriptor is no text"))?;
    let mut descriptor = Descriptor::parse(&text).map_err(|error| damaged(&error.to_string()))?;
    descriptor.parent_cid = parent_cid;
    descriptor.parent_file_name_hint = Some(parent_file_name.into());
    let mut new = descriptor.to_text().into_bytes();
    if new.len() > text.len() {
        return Err(damaged("descriptor does not fit"));
    }
    new.resize(text.len(), 0);
    file.write_all_at(&new, offset_bytes)
        .map_err(Error::io("write", child))
}

/// A little-endian number of 64 bits in the header.
fn number_at(header: &[u8; SECTOR_BYTES as usize], at: usize) -> u64 {
    header[at..at + 8]
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
