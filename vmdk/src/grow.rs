//! Makes a disk larger.

use std::path::Path;

use crate::backing_file::BackingFile;
use crate::create::add_extent_files;
use crate::disk::new_content_id;
use crate::extent_name::{SPLIT_SECTORS, extents};
use crate::link::Link;
use crate::new_files::NewFiles;
use crate::rebuild::Rebuild;
use crate::{Adapter, Descriptor, DiskKind, Error, MAX_CAPACITY_SECTORS, Progress, SECTOR_BYTES};

/// Makes a disk larger. The new part reads as zeros. The disk must not be open; children of it are
/// refused from then on, for they have the old size.
///
/// `update_geometry` says to compute the geometry anew, as the guest's BIOS is told it.
///
/// A sparse file is written anew beside the old one, for its tables stand in front: that takes as much
/// space as it holds.
///
/// # Errors
///
/// - what [`Disk::open`](crate::Disk::open) says of the disk's descriptor,
/// - [`Error::Smaller`] if the size asked for is smaller than that of the disk,
/// - [`Error::Capacity`] if it is too large,
/// - [`Error::WrongKind`] for children, streams, and kinds this crate does not make,
/// - [`Error::Io`], [`Error::Corrupt`] or [`Error::Truncated`] if its files cannot be read or written.
pub fn grow(
    path: &Path,
    capacity_sectors: u64,
    update_geometry: bool,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let mut link = Link::load(path)?;
    let old_sectors = link.capacity_sectors();
    if capacity_sectors < old_sectors {
        return Err(Error::Smaller {
            path: path.to_owned(),
            capacity_sectors: old_sectors,
            wanted_sectors: capacity_sectors,
        });
    }
    if capacity_sectors > MAX_CAPACITY_SECTORS {
        return Err(Error::Capacity { capacity_sectors });
    }
    let kind = growable(&link)?;
    let mut descriptor = link.descriptor.clone();
    if update_geometry {
        set_geometry(&mut descriptor, capacity_sectors);
    }
    if capacity_sectors > old_sectors {
        descriptor.set_cid(new_content_id(descriptor.cid));
        let new = enlarge(&link, kind, capacity_sectors, &mut descriptor, progress)?;
        if !link.is_embedded() {
            link.replace_descriptor(descriptor)?;
        }
        new.keep();
    } else {
        link.replace_descriptor(descriptor)?;
    }
    progress(capacity_sectors, capacity_sectors);
    Ok(())
}

/// The kind of a disk that can grow.
fn growable(link: &Link) -> Result<DiskKind, Error> {
    let kind = DiskKind::of(&link.descriptor);
    let usual = link.pieces.iter().all(|piece| piece.offset_sectors == 0)
        && kind.is_some_and(|kind| kind.is_split() || link.pieces.len() == 1)
        && link
            .pieces
            .iter()
            .all(|piece| kind.map(DiskKind::extent_kind).as_ref() == Some(&piece.kind));
    match kind {
        Some(kind)
            if usual && !link.descriptor.has_parent() && kind != DiskKind::StreamOptimized =>
        {
            Ok(kind)
        }
        _ => Err(Error::WrongKind {
            path: link.path.clone(),
            kind: link.descriptor.create_type.to_string(),
            action: "made larger",
        }),
    }
}

fn set_geometry(descriptor: &mut Descriptor, capacity_sectors: u64) {
    let named = descriptor.ddb("adapterType").and_then(Adapter::from_name);
    let geometry = named
        .unwrap_or(Adapter::LsiLogic)
        .geometry(capacity_sectors);
    descriptor.set_geometry(geometry);
    descriptor.set_ddb("geometry.biosCylinders", &geometry.cylinders.to_string());
    descriptor.set_ddb("geometry.biosHeads", &geometry.heads.to_string());
    descriptor.set_ddb("geometry.biosSectors", &geometry.sectors.to_string());
}

/// Makes the last extent longer and adds others. The old descriptor stays true meanwhile. Gives the
/// files that were added.
fn enlarge(
    link: &Link,
    kind: DiskKind,
    capacity_sectors: u64,
    descriptor: &mut Descriptor,
    progress: &mut Progress<'_>,
) -> Result<NewFiles, Error> {
    let last = link.pieces.len() - 1;
    let piece = &link.pieces[last];
    let wanted_sectors = capacity_sectors - piece.start_sector;
    let last_sectors = if kind.is_split() {
        wanted_sectors.min(piece.sectors.max(SPLIT_SECTORS))
    } else {
        wanted_sectors
    };
    descriptor.extents[last].sectors = last_sectors;
    let added_sectors = wanted_sectors - last_sectors;
    if added_sectors > 0 {
        // Numbered as if the disk were cut at the usual borders, which foreign ones need not be.
        let start = (last as u64 + 1) * SPLIT_SECTORS;
        let all = extents(&link.path, kind, start + added_sectors)?;
        descriptor.extents.extend(all.into_iter().skip(last + 1));
    }
    let Some(file) = &piece.file else {
        return Ok(NewFiles::default());
    };
    if kind.is_flat() {
        enlarge_flat(file, piece.sectors, last_sectors)?;
    } else {
        Rebuild {
            path: file,
            sectors: piece.sectors,
            new_sectors: last_sectors,
            descriptor: link.is_embedded().then_some(&*descriptor),
            drop_zeros: false,
            covers_parent: false,
        }
        .run(progress)?;
    }
    let mut new = NewFiles::default();
    add_extent_files(&mut new, &link.path, descriptor, last + 1)?;
    Ok(new)
}

fn enlarge_flat(path: &Path, old_sectors: u64, new_sectors: u64) -> Result<(), Error> {
    let file = BackingFile::open(path, true)?;
    let (old_bytes, new_bytes) = (old_sectors * SECTOR_BYTES, new_sectors * SECTOR_BYTES);
    if file.length_bytes()? < old_bytes {
        return Err(Error::Truncated {
            path: path.to_owned(),
            needed_bytes: old_bytes,
        });
    }
    // What a longer file has behind its disk must not show.
    file.set_length(old_bytes)?;
    file.set_length(new_bytes)?;
    file.sync()
}
