//! A whole disk in order, as a restore wants it.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::fetch::{Part, next_window};
use super::reader::Image;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::pack::{PlainLength, open_blob_into};
use crate::repo::ranges::BlockRange;
use crate::repo::tree::TreeCursor;

/// How a walk works.
#[derive(Clone, Copy, Debug)]
pub struct WalkOptions {
    /// Memory for data on its way, in bytes.
    pub memory_bytes: u64,
    /// Threads that decode.
    pub threads: usize,
}

impl Default for WalkOptions {
    /// 96 MiB, one thread for each processor.
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self {
            memory_bytes: 96 << 20,
            threads,
        }
    }
}

/// A piece of a disk. The pieces of a walk tile the disk, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// Bytes that are there.
    Data {
        /// Where on the disk.
        offset_bytes: u64,
        /// The bytes.
        data: &'a [u8],
    },
    /// Zeros.
    Hole {
        /// Where on the disk.
        offset_bytes: u64,
        /// How many.
        length_bytes: u64,
    },
}

impl Piece<'_> {
    /// How long it is.
    pub fn length_bytes(&self) -> u64 {
        match self {
            Self::Data { data, .. } => data.len() as u64,
            Self::Hole { length_bytes, .. } => *length_bytes,
        }
    }
}

/// A piece, or a range that cannot be read.
pub(crate) enum PieceOrDamage<'a> {
    Piece(Piece<'a>),
    /// The range, the pack that should have supplied it, and why it did not. No pack: the point was
    /// copied without these blocks.
    Damage(BlockRange, Option<PackId>, Error),
}

/// Buffers of plain blocks, used again: the system takes longer to give fresh ones than a seal to open.
#[derive(Default)]
struct Buffers(Mutex<Vec<Vec<u8>>>);

impl Buffers {
    fn take(&self) -> Vec<u8> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.pop().unwrap_or_default()
    }

    fn give(&self, buffer: Vec<u8>) {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        free.push(buffer);
    }
}

impl Image {
    /// Hands out the whole disk in order. Requests are merged and run ahead; blocks are
    /// decoded by several threads; `emit` is called from this one. Blocking.
    ///
    /// # Errors
    /// `Unreadable` at the first range that is lost, and whatever `emit` returns.
    pub fn walk<E: From<Error>>(
        &self,
        options: WalkOptions,
        mut emit: impl FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.walk_on(options, |part| match part {
            PieceOrDamage::Piece(piece) => emit(piece),
            PieceOrDamage::Damage(range, _, error) => Err(self.unreadable(range, error).into()),
        })
    }

    /// As [`Image::walk`], but goes on behind what cannot be read.
    pub(crate) fn walk_on<E: From<Error>>(
        &self,
        options: WalkOptions,
        mut emit: impl FnMut(PieceOrDamage<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // One window is fetched, one is decoded, one is emitted: two of sealed blocks and two of plain
        // ones are in memory at once.
        let window_bytes = (options.memory_bytes / 4).max(1);
        let cursor = TreeCursor::new(&self.repo, self.geometry, self.tree);
        let buffers = Buffers::default();
        let mut ahead = self.fetch_ahead(cursor, window_bytes);
        let mut ready = Vec::new();
        loop {
            let joined = self.handle.block_on(ahead);
            let (cursor, parts) =
                joined.map_err(|error| Error::machine("reading ahead", &error))?;
            if parts.is_empty() {
                return self.emit_window(ready, &buffers, &mut emit);
            }
            ahead = self.fetch_ahead(cursor, window_bytes);
            let window = Window::new(parts);
            let emitted = thread::scope(|scope| {
                for _ in 0..options.threads.clamp(1, 64) {
                    scope.spawn(|| window.decode(self, &buffers));
                }
                self.emit_window(std::mem::take(&mut ready), &buffers, &mut emit)
            });
            if let Err(error) = emitted {
                ahead.abort();
                return Err(error);
            }
            ready = window.into_parts();
        }
    }

    /// Fetches the next window while the one before is decoded and emitted.
    fn fetch_ahead(
        &self,
        mut cursor: TreeCursor,
        window_bytes: u64,
    ) -> JoinHandle<(TreeCursor, Vec<Part>)> {
        let (repo, geometry) = (self.repo.clone(), self.geometry);
        self.handle.spawn(async move {
            let window = next_window(&repo, geometry, &mut cursor, window_bytes).await;
            (cursor, window)
        })
    }

    fn emit_window<E>(
        &self,
        parts: Vec<DecodedPart>,
        buffers: &Buffers,
        emit: &mut impl FnMut(PieceOrDamage<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (part, decoded) in parts {
            match part {
                Part::Hole(range) => self.emit_hole(range, emit)?,
                Part::Damaged(range, pack, error) => {
                    emit(PieceOrDamage::Damage(range, Some(pack), error))?;
                }
                Part::Block {
                    number, reference, ..
                } => {
                    let pack = Some(reference.pack(PackKind::Data));
                    let range = BlockRange {
                        first: number,
                        blocks: 1,
                    };
                    let offset_bytes = self.geometry.bytes_of(range).start;
                    match decoded {
                        Some(Ok(data)) => {
                            emit(PieceOrDamage::Piece(Piece::Data {
                                offset_bytes,
                                data: &data,
                            }))?;
                            buffers.give(data);
                        }
                        Some(Err(error)) => emit(PieceOrDamage::Damage(range, pack, error))?,
                        None => {
                            let error = Error::machine("decoding", "a block was left out");
                            emit(PieceOrDamage::Damage(range, pack, error))?;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// A hole of the tree: zeros, but where the point was copied without its blocks.
    fn emit_hole<E>(
        &self,
        hole: BlockRange,
        emit: &mut impl FnMut(PieceOrDamage<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let end = hole.first + hole.blocks;
        let mut next = hole.first;
        // They are in order: those before the hole are passed over at once, there may be many of both.
        let before = self
            .unreadable
            .partition_point(|run| run.first + run.blocks <= hole.first);
        let within = self.unreadable[before..].iter();
        let lost = within.take_while(|run| run.first < end).map(|run| {
            let from = run.first.clamp(hole.first, end);
            (from, (run.first + run.blocks).clamp(from, end))
        });
        for (from, to) in lost.filter(|(from, to)| from < to).chain([(end, end)]) {
            let zeros = self.geometry.bytes_of(BlockRange {
                first: next,
                blocks: from - next,
            });
            if next < from {
                emit(PieceOrDamage::Piece(Piece::Hole {
                    offset_bytes: zeros.start,
                    length_bytes: zeros.end - zeros.start,
                }))?;
            }
            if from < to {
                let range = BlockRange {
                    first: from,
                    blocks: to - from,
                };
                emit(PieceOrDamage::Damage(range, None, self.not_copied()))?;
            }
            next = to;
        }
        Ok(())
    }
}

type Plain = Result<Vec<u8>, Error>;

/// A part, and the plain block where it is one.
type DecodedPart = (Part, Option<Plain>);

/// A window while several threads decode it.
struct Window {
    parts: Vec<(Part, OnceLock<Plain>)>,
    next: AtomicUsize,
}

impl Window {
    fn new(parts: Vec<Part>) -> Self {
        let parts = parts.into_iter().map(|part| (part, OnceLock::new()));
        Self {
            parts: parts.collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Decodes blocks until none is left that nobody has taken.
    fn decode(&self, image: &Image, buffers: &Buffers) {
        let mut scratch = Vec::new();
        while let Some((part, decoded)) = self.parts.get(self.next.fetch_add(1, Ordering::Relaxed))
        {
            let Part::Block {
                number,
                reference,
                sealed,
            } = part
            else {
                continue;
            };
            let length = PlainLength::Exactly(image.geometry.block_bytes(*number));
            let plain = sealed.as_ref().map_err(Error::clone).and_then(|sealed| {
                scratch.clear();
                scratch.extend_from_slice(sealed);
                let (keys, buffer) = (image.repo.keys(), buffers.take());
                let kind = PackKind::Data;
                open_blob_into(keys, kind, reference, &mut scratch, length, buffer)
            });
            // Each index is taken once, so the cell is empty.
            let _ = decoded.set(plain);
        }
    }

    /// The parts, without their sealed blocks.
    fn into_parts(self) -> Vec<DecodedPart> {
        let parts = self.parts.into_iter().map(|(mut part, decoded)| {
            if let Part::Block { sealed, .. } = &mut part {
                *sealed = Ok(Bytes::new());
            }
            (part, decoded.into_inner())
        });
        parts.collect()
    }
}
