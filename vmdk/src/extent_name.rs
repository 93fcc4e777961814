//! The names of extents, and how a disk is cut into them.

use std::path::Path;

use crate::descriptor::fits;
use crate::{DiskKind, Error, Extent, ExtentAccess};

/// Length of a piece of a split disk: 2047 MiB, so that the file with its tables stays under 2 GiB.
pub(crate) const SPLIT_SECTORS: u64 = 4_192_256;

/// The extents of a disk of this kind and size.
pub(crate) fn extents(
    path: &Path,
    kind: DiskKind,
    capacity_sectors: u64,
) -> Result<Vec<Extent>, Error> {
    let name = file_name(path)?;
    let piece_sectors = if kind.is_split() {
        SPLIT_SECTORS
    } else {
        capacity_sectors
    };
    let count = capacity_sectors.div_ceil(piece_sectors.max(1));
    let extents = (0..count).map(|index| Extent {
        access: ExtentAccess::Rw,
        sectors: piece_sectors.min(capacity_sectors - index * piece_sectors),
        kind: kind.extent_kind(),
        file_name: Some(extent_name(name, kind, index)),
        offset_sectors: 0,
    });
    Ok(extents.collect())
}

/// The name of an extent beside a descriptor of this name. A single sparse file is its own descriptor.
pub(crate) fn extent_name(descriptor: &str, kind: DiskKind, index: u64) -> String {
    let stem = descriptor.strip_suffix(".vmdk").unwrap_or(descriptor);
    let number = index + 1;
    match kind {
        DiskKind::MonolithicSparse | DiskKind::StreamOptimized => descriptor.to_owned(),
        DiskKind::SplitSparse => format!("{stem}-s{number:03}.vmdk"),
        DiskKind::SplitFlat => format!("{stem}-f{number:03}.vmdk"),
        DiskKind::MonolithicFlat | DiskKind::VmfsFlat | DiskKind::VmfsThin => {
            format!("{stem}-flat.vmdk")
        }
    }
}

/// The last part of a path, for a descriptor.
pub(crate) fn file_name(path: &Path) -> Result<&str, Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Text {
        value: path.display().to_string(),
    })?;
    checked(name)
}

/// A text that can stand in a descriptor.
pub(crate) fn checked(text: &str) -> Result<&str, Error> {
    if fits(text) {
        Ok(text)
    } else {
        let value = text.to_owned();
        Err(Error::Text { value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_disk_has_a_short_last_piece() {
        let path = Path::new("/lab/a.vmdk");
        let found = extents(path, DiskKind::SplitSparse, 2 * SPLIT_SECTORS + 1).unwrap();
        let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "RW 4192256 SPARSE \"a-s001.vmdk\"",
                "RW 4192256 SPARSE \"a-s002.vmdk\"",
                "RW 1 SPARSE \"a-s003.vmdk\"",
            ]
        );
        let three_tib_sectors = 3 << 31;
        let found = extents(path, DiskKind::SplitFlat, three_tib_sectors).unwrap();
        assert_eq!(found.len(), 1537);
        assert_eq!(found[1536].file_name.as_deref(), Some("a-f1537.vmdk"));
        let found = extents(path, DiskKind::MonolithicSparse, three_tib_sectors).unwrap();
        assert_eq!(found[0].file_name.as_deref(), Some("a.vmdk"));
    }
}
