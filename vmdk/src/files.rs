//! Renames and removes the files of one link.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::backing_file::io_error;
use crate::create::relative;
use crate::extent_name::{extent_name, file_name};
use crate::link::{Link, folder_of};
use crate::{DiskKind, Error};

/// Removes a link: its descriptor and all files of its extents. Parents stay. If it fails on the
/// way it can be called again, for the descriptor goes last.
///
/// # Errors
///
/// - what [`Disk::open`](crate::Disk::open) says of the link's descriptor,
/// - [`Error::Io`] if a file cannot be removed.
pub fn unlink(path: &Path) -> Result<(), Error> {
    let link = Link::load(path)?;
    for file in extent_files(&link) {
        match fs::remove_file(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(io_error("remove", &file, source)),
        }
    }
    fs::remove_file(path).map_err(|source| io_error("remove", path, source))
}

/// Gives a link another name, perhaps in another folder of the same file system: its descriptor, its
/// extents and the way to its parent. Its own children do not follow. After an error the old name holds.
///
/// # Errors
///
/// - what [`Disk::open`](crate::Disk::open) says of the link's descriptor,
/// - [`Error::Text`] if the new name cannot stand in a descriptor,
/// - [`Error::Unsupported`] if an extent does not fill a file of its own,
/// - [`Error::Io`] if a file of a new name exists, or cannot be renamed.
pub fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    let link = Link::load(from)?;
    let moves = moves(&link, to)?;
    let new_files = moves.iter().map(|one| one.to.as_path());
    for new in new_files.chain([to]) {
        refuse_existing(new)?;
    }
    let mut descriptor = link.descriptor.clone();
    for one in &moves {
        descriptor.extents[one.extent].file_name = Some(one.name.clone());
    }
    if link.is_embedded() {
        descriptor.extents[0].file_name = Some(file_name(to)?.to_owned());
    }
    if let Some(hint) = descriptor.parent_file_name_hint.as_deref() {
        let parent = folder_of(from).join(hint);
        // A parent that is gone cannot be named better than it was.
        if parent.is_file() && Path::new(hint).is_relative() {
            descriptor.parent_file_name_hint = Some(relative(folder_of(to), &parent)?);
        }
    }
    let mut done = Moved::default();
    for one in &moves {
        done.rename(&one.from, &one.to)?;
    }
    done.rename(from, to)?;
    let mut renamed = link;
    to.clone_into(&mut renamed.path);
    renamed.replace_descriptor(descriptor)?;
    done.keep();
    Ok(())
}

/// An extent's file that gets another name.
struct Move {
    extent: usize,
    from: PathBuf,
    to: PathBuf,
    name: String,
}

/// The files beside the descriptor and their new names.
fn moves(link: &Link, to: &Path) -> Result<Vec<Move>, Error> {
    let new_name = file_name(to)?;
    let kind = DiskKind::of(&link.descriptor).unwrap_or(DiskKind::SplitFlat);
    let mut moves: Vec<Move> = Vec::new();
    for (extent, piece) in link.pieces.iter().enumerate() {
        let Some(from) = piece.file.as_ref().filter(|_| !link.is_embedded()) else {
            continue;
        };
        if moves.iter().any(|one| one.from == *from) {
            return Err(Error::Unsupported {
                path: link.path.clone(),
                kind: "two extents in one file".to_owned(),
            });
        }
        // The number counts files, so that a single flat file keeps its plain name.
        let name = match kind {
            DiskKind::MonolithicSparse | DiskKind::StreamOptimized => {
                extent_name(new_name, DiskKind::SplitSparse, extent as u64)
            }
            _ if extent > 0 && !kind.is_split() => {
                extent_name(new_name, DiskKind::SplitFlat, extent as u64)
            }
            _ => extent_name(new_name, kind, extent as u64),
        };
        moves.push(Move {
            extent,
            from: from.clone(),
            to: folder_of(to).join(&name),
            name,
        });
    }
    Ok(moves)
}

fn refuse_existing(path: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(io_error("create", path, ErrorKind::AlreadyExists.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(io_error("examine", path, source)),
    }
}

/// The files of the extents that are not the descriptor itself, each once.
fn extent_files(link: &Link) -> Vec<PathBuf> {
    if link.is_embedded() {
        return Vec::new();
    }
    let mut files: Vec<PathBuf> = link
        .pieces
        .iter()
        .filter_map(|piece| piece.file.clone())
        .collect();
    files.sort_unstable();
    files.dedup();
    files
}

/// Renames made so far. They are taken back when this is dropped, unless they are kept.
#[derive(Default)]
struct Moved(Vec<(PathBuf, PathBuf)>);

impl Moved {
    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Error> {
        fs::rename(from, to).map_err(|source| io_error("rename", from, source))?;
        self.0.push((from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Moved {
    fn drop(&mut self) {
        for (from, to) in self.0.iter().rev() {
            // The error that led here is the one to report.
            let _ = fs::rename(to, from);
        }
    }
}
