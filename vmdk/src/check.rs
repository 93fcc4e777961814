//! Looks for damage in the tables of a link, and mends what can be mended.

mod packed;
mod plain;
mod report;
mod seen;

pub use report::{CheckReport, Problem, ProblemKind};

use std::path::Path;

use crate::backing_file::BackingFile;
use crate::header::Header;
use crate::link::Link;
use crate::{Error, ExtentKind, SECTOR_BYTES};

/// Checks the extents of one link, not its parents. With `repair`, what can be mended is mended; the
/// disk must not be open then.
///
/// Of plain sparse extents it looks at both grain directories, both copies of each grain table, and
/// at every entry: that the copies agree, that a grain is inside the file and that no two share a
/// place. Compressed grains are unpacked. Flat files must be long enough.
///
/// A repair keeps all a reader could see before, and brings back what only one copy of a table still
/// knew. Grains whose place is known to neither are given up: [`CheckReport::lost_grains`]. It says
/// nothing of the guest's own data.
///
/// # Errors
///
/// - what [`Disk::open`](crate::Disk::open) says of the link's descriptor,
/// - [`Error::Corrupt`], [`Error::Unsupported`] or [`Error::Truncated`] if a header is beyond use,
/// - [`Error::Io`] if a file cannot be read or, for a repair, written.
pub fn check(path: &Path, repair: bool) -> Result<CheckReport, Error> {
    let link = Link::load(path)?;
    let mut report = CheckReport::default();
    for piece in &link.pieces {
        let Some(file_path) = &piece.file else {
            continue;
        };
        let file = BackingFile::open(file_path, repair)?;
        if piece.kind != ExtentKind::Sparse {
            let needed = piece.offset_sectors.saturating_add(piece.sectors);
            if file.length_bytes()? < needed.saturating_mul(SECTOR_BYTES) {
                report.add(file_path, ProblemKind::FileCutShort, false);
            }
            continue;
        }
        let header = Header::read(&file)?;
        if piece.sectors > header.capacity_sectors {
            return Err(file.corrupt("it is smaller than its descriptor says"));
        }
        if header.compressed {
            packed::check(file_path, piece.sectors, &header, &mut report)?;
        } else {
            plain::Plain::new(file_path, &file, &header, piece.sectors, repair)?
                .check(&mut report)?;
        }
        if repair && report.repaired > 0 {
            file.sync()?;
        }
    }
    Ok(report)
}
