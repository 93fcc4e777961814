//! One block's way into the repository.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::begin::Session;
use super::disk::DiskWork;
use super::leaf::LeafBuilder;
use super::spec::{DiskSlot, PutOutcome};
use super::stream::PackStream;
use super::times::PutTimes;
use crate::repo::codec::Packer;
use crate::repo::error::Error;
use crate::repo::id::PackKind;
use crate::repo::node::Node;
use crate::repo::pack::{BlobKind, NewBlob};
use crate::repo::reference::Ref;
use crate::repo::root::PutStats;

/// A block's payload as it is stored: compressed, or raw.
#[derive(Clone, Copy)]
pub(crate) struct StoredForm<'a> {
    pub(crate) raw: bool,
    pub(crate) payload: &'a [u8],
}

impl Session {
    /// What the time was spent on so far, of this session and those of the same run before it.
    pub fn times(&self) -> PutTimes {
        self.times.times()
    }

    /// Puts block `block`, at its full length; the last block of a disk at its true length.
    /// Each block is put once. Blocks while too many packs are on their way to the store.
    ///
    /// # Errors
    /// `BadBlock`, `BlockNotOpen`; `NotWritable` and `Store` for any upload of the session so far;
    /// `Missing` and `Damaged` for the parent's nodes.
    pub fn put(&self, slot: DiskSlot, block: u64, data: &[u8]) -> Result<PutOutcome, Error> {
        self.put_in_form(slot, block, data, None)
    }

    /// As [`Session::put`]; `stored` is the block as it is stored, where that is known already.
    pub(super) fn put_in_form(
        &self,
        slot: DiskSlot,
        block: u64,
        data: &[u8],
        stored: Option<StoredForm<'_>>,
    ) -> Result<PutOutcome, Error> {
        self.uploads.check()?;
        let disk = self.disk(slot);
        let geometry = disk.geometry;
        if block >= geometry.blocks() || data.len() != geometry.block_bytes(block) {
            let (label, length_bytes) = (disk.label(), data.len() as u64);
            return Err(Error::BadBlock {
                label,
                block,
                length_bytes,
            });
        }
        let (reference, outcome) = self.find_or_store(&disk, block, data, stored)?;
        let mut stats = PutStats {
            put_blocks: 1,
            put_bytes: data.len() as u64,
            ..PutStats::default()
        };
        match outcome {
            PutOutcome::Hole => stats.hole_blocks = 1,
            PutOutcome::Unchanged => stats.unchanged_blocks = 1,
            PutOutcome::Duplicate => stats.duplicate_blocks = 1,
            PutOutcome::New { stored_bytes } => {
                stats.new_blocks = 1;
                stats.new_bytes = data.len() as u64;
                stats.stored_bytes = stored_bytes.into();
            }
        }
        self.place(&disk, block, reference)?;
        disk.work().stats.add(&stats);
        Ok(outcome)
    }

    /// Says that `blocks` blocks from `first` on are zeros. Each block is put once.
    ///
    /// # Errors
    /// As [`Session::put`].
    pub fn put_hole(&self, slot: DiskSlot, first: u64, blocks: u64) -> Result<(), Error> {
        self.uploads.check()?;
        let disk = self.disk(slot);
        let geometry = disk.geometry;
        let end = first
            .checked_add(blocks)
            .filter(|end| *end <= geometry.blocks());
        let Some(end) = end else {
            return Err(Error::BadBlock {
                label: disk.label(),
                block: first,
                length_bytes: 0,
            });
        };
        let covers = disk.work().open.covers(first, blocks);
        if !covers {
            return Err(Error::BlockNotOpen {
                label: disk.label(),
                block: first,
            });
        }
        let mut block = first;
        while block < end {
            let (leaf, slot_in_leaf) = geometry.leaf_of(block);
            let leaf_blocks = geometry.leaf_blocks(leaf);
            if slot_in_leaf == 0 && end - block >= leaf_blocks {
                self.place_hole_leaf(&disk, leaf)?;
                block += leaf_blocks;
            } else {
                let part = (leaf_blocks - slot_in_leaf as u64).min(end - block);
                disk.work().holes.insert(block, part);
                block += part;
            }
        }
        {
            let mut work = disk.work();
            work.decided(first, blocks);
            work.stats.hole_blocks += blocks;
        }
        self.fold(&disk, first, blocks)
    }

    fn find_or_store(
        &self,
        disk: &DiskWork,
        block: u64,
        data: &[u8],
        stored: Option<StoredForm<'_>>,
    ) -> Result<(Option<Ref>, PutOutcome), Error> {
        let begun = Instant::now();
        let id = (!is_zero(data)).then(|| self.repo.keys().blob_id(data));
        self.times.hash(begun);
        let Some(id) = id else {
            return Ok((None, PutOutcome::Hole));
        };
        let begun = Instant::now();
        let old = self.base_block(disk, block)?;
        self.times.store(begun);
        if let Some(old) = old
            && old.id == id
        {
            self.dedup.learn(old);
            return Ok((Some(old), PutOutcome::Unchanged));
        }
        if let Some(known) = self.dedup.find(&id) {
            return Ok((Some(known), PutOutcome::Duplicate));
        }
        let (stream, kind) = (&self.blocks, BlobKind::Block);
        let new = match stored {
            Some(StoredForm { raw, payload }) => self.seal(
                stream,
                NewBlob {
                    kind,
                    disk: disk.index,
                    number: block,
                    id,
                    raw,
                    payload,
                },
            )?,
            None => self.store_blob(stream, kind, disk.index, block, id, data)?,
        };
        self.dedup.learn(new);
        Ok((
            Some(new),
            PutOutcome::New {
                stored_bytes: new.length,
            },
        ))
    }

    /// What the parent has at this place, if it can be relied on.
    fn base_block(&self, disk: &DiskWork, block: u64) -> Result<Option<Ref>, Error> {
        if disk.parent.is_none() {
            return Ok(None);
        }
        let (leaf, slot) = disk.geometry.leaf_of(block);
        let base = self.handle.block_on(self.base_leaf(disk, leaf))?;
        let old = base.and_then(|(_, node)| node.slots[slot]);
        Ok(old.filter(|old| !disk.avoided.contains(old.pack(PackKind::Data))))
    }

    /// Compresses, seals and packs.
    pub(super) fn store_blob(
        &self,
        stream: &Mutex<PackStream>,
        kind: BlobKind,
        disk: u8,
        number: u64,
        id: [u8; 32],
        data: &[u8],
    ) -> Result<Ref, Error> {
        let free = lock(&self.packers).pop();
        let mut packer = free.map_or_else(|| Packer::new(self.options.level), Ok)?;
        let begun = Instant::now();
        let packed = if kind == BlobKind::Node {
            None
        } else {
            packer.pack(data)?
        };
        self.times.compress(begun.elapsed());
        let (raw, payload) = (packed.is_none(), packed.unwrap_or(data));
        let blob = NewBlob {
            kind,
            disk,
            number,
            id,
            raw,
            payload,
        };
        let added = self.seal(stream, blob);
        lock(&self.packers).push(packer);
        added
    }

    /// Seals and packs.
    fn seal(&self, stream: &Mutex<PackStream>, blob: NewBlob<'_>) -> Result<Ref, Error> {
        // Who waits for the stream waits for a worker that waits for the store, or seals.
        let begun = Instant::now();
        let mut stream = lock(stream);
        self.times.store(begun);
        let (begun, waited) = (Instant::now(), self.times.times().store);
        let added = stream.add(self.repo.keys(), &self.uploads, &self.times, blob);
        let waited = self.times.times().store.saturating_sub(waited);
        drop(stream);
        self.times.compress(begun.elapsed().saturating_sub(waited));
        added.inspect_err(|error| self.uploads.fail(error))
    }

    fn place(&self, disk: &DiskWork, block: u64, reference: Option<Ref>) -> Result<(), Error> {
        let (leaf, slot) = disk.geometry.leaf_of(block);
        let complete = {
            let mut work = disk.work();
            if !work.open.covers(block, 1) {
                return Err(Error::BlockNotOpen {
                    label: disk.label(),
                    block,
                });
            }
            work.decided(block, 1);
            work.leaves.entry(leaf).or_default().put(slot, reference);
            work.take_leaf(disk.geometry, leaf, leaf)
        };
        match complete {
            Some((leaf, builder)) => self.fold_leaf(disk, leaf, &builder),
            None => Ok(()),
        }
    }

    /// All blocks of a leaf become zeros.
    fn place_hole_leaf(&self, disk: &DiskWork, leaf: u64) -> Result<(), Error> {
        let base = self.handle.block_on(self.base_leaf(disk, leaf))?;
        let mut work = disk.work();
        let unreadable = base.is_none() && disk.recount;
        if let Some((reference, node)) = &base {
            work.change.remove(PackKind::Node, reference);
            for old in node.slots.iter().flatten() {
                work.change.remove(PackKind::Data, old);
            }
        }
        // A leaf that cannot be read is still in the parent's tree and must leave it.
        if base.is_some() || unreadable {
            work.written.insert(leaf, None);
        }
        Ok(())
    }

    /// Writes a leaf: the parent's, with the blocks that were put.
    pub(super) fn finish_leaf(
        &self,
        disk: &DiskWork,
        leaf: u64,
        builder: &LeafBuilder,
    ) -> Result<(), Error> {
        let geometry = disk.geometry;
        let base = self.handle.block_on(self.base_leaf(disk, leaf))?;
        let old = base.as_ref().map(|(_, node)| &node.slots);
        let mut slots = old
            .cloned()
            .unwrap_or_else(|| vec![None; geometry.fan_out()].into());
        builder.change(&mut slots);
        let new = match &base {
            Some((reference, node)) if node.slots == slots => Some(*reference),
            _ if slots.iter().all(Option::is_none) => None,
            _ => {
                let node = Node {
                    level: 1,
                    block_shift: geometry.block_shift(),
                    fan_out_bits: geometry.fan_out_bits(),
                    slots: slots.clone(),
                };
                Some(self.store_node(disk, &node, leaf << geometry.fan_out_bits())?)
            }
        };
        let mut work = disk.work();
        for (slot, block) in slots.iter().enumerate() {
            let before = old.and_then(|old| old[slot]);
            work.change.replace(PackKind::Data, before, *block);
        }
        let before = base.as_ref().map(|(reference, _)| *reference);
        work.change.replace(PackKind::Node, before, new);
        work.written(geometry, leaf, new);
        Ok(())
    }

    pub(super) fn store_node(
        &self,
        disk: &DiskWork,
        node: &Node,
        first_block: u64,
    ) -> Result<Ref, Error> {
        let plain = node.encode()?;
        let id = self.repo.keys().blob_id(&plain);
        let number = u64::from(node.level) << 56 | first_block;
        self.store_blob(&self.nodes, BlobKind::Node, disk.index, number, id, &plain)
    }
}

/// Compares the bytes with themselves shifted by one: as fast as memory compares.
pub(super) fn is_zero(data: &[u8]) -> bool {
    data.first() == Some(&0) && data[1..] == data[..data.len() - 1]
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Session {
    /// Puts a block that nobody has: with a place and an id that are made up from its number, so that trees
    /// of any size can be made. `blocks_in_pack` of them share a pack, whose length is told as `pack_bytes`.
    /// Gives the pack when it is a new one.
    pub(crate) fn put_invented(
        &self,
        slot: DiskSlot,
        block: u64,
        seed: u64,
        blocks_in_pack: u64,
        pack_bytes: u64,
    ) -> Result<Option<crate::repo::PackId>, Error> {
        let disk = self.disk(slot);
        let length = 84_000 + (block.wrapping_mul(seed | 1) >> 7 & 0xFFF) as u32;
        let mut id = [0; 32];
        for (word, place) in id.chunks_exact_mut(8).zip(1_u64..) {
            let mixed = (block ^ seed << 40)
                .wrapping_add(place)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            word.copy_from_slice(&(mixed ^ mixed >> 29).to_le_bytes());
        }
        let in_pack = block % blocks_in_pack;
        let reference = Ref {
            session: self.id,
            seq: (block / blocks_in_pack) as u32,
            offset: 64 + (in_pack * 88_100) as u32,
            length,
            raw: false,
            id,
        };
        let pack = reference.pack(PackKind::Data);
        let is_new = self.uploads.invent(pack, pack_bytes);
        self.place(&disk, block, Some(reference))?;
        Ok(is_new.then_some(pack))
    }
}
