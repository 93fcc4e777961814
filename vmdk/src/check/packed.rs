//! Checks an extent of compressed grains: each must unpack.

use std::path::Path;

use super::{CheckReport, ProblemKind};
use crate::Error;
use crate::extent::{Entry, SparseExtent};
use crate::header::Header;

/// Looks at every grain. Nothing can be mended here.
pub(super) fn check(
    path: &Path,
    sectors: u64,
    header: &Header,
    report: &mut CheckReport,
) -> Result<(), Error> {
    let extent = SparseExtent::open(path, sectors, false)?;
    let grains = sectors.div_ceil(header.grain_sectors);
    let mut buffer = vec![0; header.grain_bytes()];
    let mut first = 0;
    while first < grains {
        let entries = extent.entries(first, grains - first)?;
        for (grain, entry) in (first..).zip(&entries) {
            if matches!(entry, Entry::At(_)) {
                match extent.read_grain(grain, *entry, &mut buffer) {
                    Ok(()) => {}
                    Err(Error::Corrupt { .. } | Error::Truncated { .. }) => {
                        report.add(path, ProblemKind::Packed { grain }, false);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        first += entries.len() as u64;
    }
    Ok(())
}
