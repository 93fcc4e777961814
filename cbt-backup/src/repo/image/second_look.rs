//! A disk that is read whole while a compaction moves its blocks.

use tokio::runtime::Handle;

use super::{Image, Piece, WalkOptions};
use crate::repo::error::Error;
use crate::repo::point::Point;
use crate::repo::repository::Repository;

impl Repository {
    /// As [`Image::walk`], with a second look: the point was listed some time ago, and where a reader
    /// could not pin it, a compaction may have given it a new root since and removed the packs of
    /// the old one. The new root names the same content, and the walk goes on where it was.
    /// Blocking.
    ///
    /// # Errors
    /// As [`Image::open`] and [`Image::walk`].
    pub fn walk_disk<E: From<Error>>(
        &self,
        handle: &Handle,
        point: &Point,
        disk: usize,
        options: WalkOptions,
        mut emit: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut done_to = 0;
        let mut root = point.clone();
        loop {
            let image = Image::open(self, handle, &root, disk).map_err(Failed::Reading);
            let walked = image.and_then(|image| {
                image.walk(options, |piece| {
                    let Some(piece) = behind(piece, done_to) else {
                        return Ok(());
                    };
                    emit(piece).map_err(Failed::Emitting)?;
                    done_to += piece.length_bytes();
                    Ok(())
                })
            });
            let error = match walked {
                Ok(()) => return Ok(()),
                Err(Failed::Emitting(error)) => return Err(error),
                Err(Failed::Reading(error)) => error,
            };
            let now = error
                .is_damage()
                .then(|| handle.block_on(self.point(&root.id())));
            match now {
                Some(Ok(now)) if now.name != root.name && now.root.disks.len() > disk => root = now,
                _ => return Err(error.into()),
            }
        }
    }
}

/// Where a walk failed.
enum Failed<E> {
    Reading(Error),
    Emitting(E),
}

impl<E> From<Error> for Failed<E> {
    fn from(error: Error) -> Self {
        Self::Reading(error)
    }
}

/// What of a piece lies behind `from_bytes`, up to which all is done.
pub(super) fn behind(piece: Piece<'_>, from_bytes: u64) -> Option<Piece<'_>> {
    match piece {
        Piece::Data { offset_bytes, data } => {
            let skip = usize::try_from(from_bytes.saturating_sub(offset_bytes)).ok()?;
            let data = data.get(skip..).filter(|data| !data.is_empty())?;
            Some(Piece::Data {
                offset_bytes: offset_bytes.max(from_bytes),
                data,
            })
        }
        Piece::Hole {
            offset_bytes,
            length_bytes,
        } => {
            let skip = from_bytes.saturating_sub(offset_bytes);
            (skip < length_bytes).then(|| Piece::Hole {
                offset_bytes: offset_bytes + skip,
                length_bytes: length_bytes - skip,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, behind};

    #[test]
    fn what_is_done_is_not_done_again() {
        let data = |offset_bytes, data| Piece::Data { offset_bytes, data };
        let abc = data(10, b"abcdef".as_slice());
        assert_eq!(behind(abc, 0), Some(abc));
        assert_eq!(behind(abc, 12), Some(data(12, b"cdef")));
        assert_eq!(behind(abc, 16), None);
        let hole = |offset_bytes, length_bytes| Piece::Hole {
            offset_bytes,
            length_bytes,
        };
        assert_eq!(behind(hole(10, 6), 10), Some(hole(10, 6)));
        assert_eq!(behind(hole(10, 6), 15), Some(hole(15, 1)));
        assert_eq!(behind(hole(10, 6), 99), None);
    }
}
