//! What can be read of a damaged disk, and what cannot.

use std::collections::HashSet;
use std::ops::Range;

use tokio::runtime::Handle;

use super::second_look::behind;
use super::{Image, Piece, PieceOrDamage, WalkOptions};
use crate::repo::error::Error;
use crate::repo::id::PackId;
use crate::repo::point::Point;
use crate::repo::repository::Repository;

/// A part of a damaged disk. The parts tile the disk, in order.
#[derive(Clone, Copy, Debug)]
pub enum Salvaged<'a> {
    /// It is as it was.
    Piece(Piece<'a>),
    /// It cannot be read. Neighbours are joined.
    Lost {
        /// Where on the disk.
        offset_bytes: u64,
        /// How many bytes.
        length_bytes: u64,
        /// Why its first block cannot be read.
        why: &'a Error,
    },
}

impl Repository {
    /// As [`Repository::walk_disk`], but goes on behind what cannot be read. Blocking.
    ///
    /// Only what is damaged is told as lost. A store that fails for another reason, or a point that is gone,
    /// is an error.
    ///
    /// # Errors
    /// As [`Image::open`], `PointNotFound`, `Store`, and whatever `emit` returns.
    pub fn salvage_disk<E: From<Error>>(
        &self,
        handle: &Handle,
        point: &Point,
        disk: usize,
        options: WalkOptions,
        emit: impl FnMut(Salvaged<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut salvage = Salvage {
            emit,
            done_to: 0,
            lost: None,
        };
        let mut root = point.clone();
        let mut lost_packs = HashSet::new();
        loop {
            let image = Image::open(self, handle, &root, disk)?;
            let walked = image.walk_on(options, |part| match part {
                PieceOrDamage::Piece(piece) => salvage.piece(piece).map_err(Stopped::Failed),
                PieceOrDamage::Damage(range, pack, error) => {
                    if !error.is_damage() {
                        return Err(error.into());
                    }
                    if let Some(now) = self.moved(handle, &root, disk, pack, &mut lost_packs)? {
                        return Err(Stopped::Moved(Box::new(now)));
                    }
                    let bytes = image.geometry.bytes_of(range);
                    salvage.lose(bytes, error).map_err(Stopped::Failed)
                }
            });
            match walked {
                Ok(()) => return salvage.tell_lost(),
                Err(Stopped::Moved(now)) => root = *now,
                Err(Stopped::Failed(error)) => return Err(error),
            }
        }
    }

    /// The root of now, where it is another one than when the walk began: a compaction has moved the point's
    /// blocks and a prune took the old packs, which are not lost then. Asked once for each pack.
    fn moved(
        &self,
        handle: &Handle,
        root: &Point,
        disk: usize,
        pack: Option<PackId>,
        lost_packs: &mut HashSet<PackId>,
    ) -> Result<Option<Point>, Error> {
        match pack {
            Some(pack) if lost_packs.insert(pack) => {}
            _ => return Ok(None),
        }
        let now = handle.block_on(self.point(&root.id()))?;
        let moved = now.name != root.name && now.root.disks.len() > disk;
        Ok(moved.then_some(now))
    }
}

/// Why a walk ended before the end of the disk.
enum Stopped<E> {
    Moved(Box<Point>),
    Failed(E),
}

impl<E: From<Error>> From<Error> for Stopped<E> {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

/// What was told so far.
struct Salvage<F> {
    emit: F,
    done_to: u64,
    /// The lost bytes that were met last and are not told yet; more may follow.
    lost: Option<(Range<u64>, Error)>,
}

impl<F> Salvage<F> {
    fn piece<E>(&mut self, piece: Piece<'_>) -> Result<(), E>
    where
        F: FnMut(Salvaged<'_>) -> Result<(), E>,
    {
        let Some(piece) = behind(piece, self.done_to) else {
            return Ok(());
        };
        self.tell_lost()?;
        (self.emit)(Salvaged::Piece(piece))?;
        self.done_to += piece.length_bytes();
        Ok(())
    }

    fn lose<E>(&mut self, bytes: Range<u64>, error: Error) -> Result<(), E>
    where
        F: FnMut(Salvaged<'_>) -> Result<(), E>,
    {
        let bytes = bytes.start.max(self.done_to)..bytes.end;
        if bytes.is_empty() {
            return Ok(());
        }
        self.done_to = bytes.end;
        if let Some((last, _)) = &mut self.lost
            && last.end == bytes.start
        {
            last.end = bytes.end;
            return Ok(());
        }
        self.tell_lost()?;
        self.lost = Some((bytes, error));
        Ok(())
    }

    fn tell_lost<E>(&mut self) -> Result<(), E>
    where
        F: FnMut(Salvaged<'_>) -> Result<(), E>,
    {
        let Some((bytes, why)) = self.lost.take() else {
            return Ok(());
        };
        (self.emit)(Salvaged::Lost {
            offset_bytes: bytes.start,
            length_bytes: bytes.end - bytes.start,
            why: &why,
        })
    }
}
