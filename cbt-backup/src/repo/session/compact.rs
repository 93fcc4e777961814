//! The sessions of a compaction: one a point, each commits its next generation.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::runtime::Handle;

use super::begin::{Session, Writing};
use super::moved::{Moved, MovedNode};
use super::put::lock;
use super::spec::SessionSpec;
use crate::repo::announce::SessionKind;
use crate::repo::compaction::{Candidates, CompactOptions, CompactReport};
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::name::{ObjectName, RootName};
use crate::repo::node::Node;
use crate::repo::pack::{BlobKind, NO_DISK, NewBlob, PlainLength};
use crate::repo::point::{MAX_FILE_BYTES, Point};
use crate::repo::reference::Ref;
use crate::repo::repository::{NODES_AHEAD, Repository};
use crate::repo::root::Root;
use crate::repo::roots::Roots;
use crate::repo::sweep::SweepMonitor;
use crate::repo::tree::Geometry;
use crate::repo::usage::{Usage, UsageChange};

/// Why a point was left alone.
enum Left {
    /// It does not need anything that moves.
    Untouched,
    /// It cannot be moved now.
    Because(String),
}

impl Repository {
    /// Moves what is live in packs that are mostly garbage into new ones, point by point. The packs
    /// go with later sweeps: the first removes the old generations, the second their packs. Blocking.
    ///
    /// # Errors
    /// `NotWritable`, `NeedsFeature`, `Damaged` and `Missing` when a living point cannot be read, `Stopped`, `Fenced`, `Store`.
    /// Points that were rewritten until then stay so; no point is hurt.
    pub fn compact(
        &self,
        handle: &Handle,
        host: &str,
        options: &CompactOptions,
        monitor: &dyn SweepMonitor,
    ) -> Result<CompactReport, Error> {
        self.config().check_writable()?;
        let candidates = Candidates::find(self, handle, options)?;
        let mut report = CompactReport {
            candidates: candidates.packs.len() as u64,
            candidate_bytes: candidates.all_bytes,
            ..CompactReport::default()
        };
        monitor.total_bytes(candidates.live_bytes);
        let mut moved = Moved::default();
        for point in &candidates.points {
            if monitor.should_stop() {
                return Err(Error::Stopped);
            }
            let before = moved.copied_bytes;
            let packs = &candidates.packs;
            match self.compact_point(handle, host, options, point, packs, &mut moved)? {
                None => report.rewritten.push(point.id()),
                Some(Left::Untouched) => {}
                Some(Left::Because(why)) => report.skipped.push((point.id(), why)),
            }
            monitor.advance_bytes(moved.copied_bytes - before);
        }
        report.copied_blobs = moved.copied_blobs;
        report.copied_bytes = moved.copied_bytes;
        Ok(report)
    }

    fn compact_point(
        &self,
        handle: &Handle,
        host: &str,
        options: &CompactOptions,
        point: &Point,
        packs: &HashSet<PackId>,
        moved: &mut Moved,
    ) -> Result<Option<Left>, Error> {
        let generation = point.name.generation.checked_add(1);
        let generation = generation.ok_or(Error::OutOfRange {
            what: "generation of a point",
            value: u64::from(u32::MAX),
        })?;
        let writing = Writing {
            kind: SessionKind::Compaction,
            vm: point.name.vm.clone(),
            point: point.id(),
            generation,
            spec: SessionSpec {
                host: host.to_owned(),
                ..SessionSpec::default()
            },
        };
        let session = handle.block_on(self.open_writer(writing, handle, options.session))?;
        let mut work = Work {
            session: &session,
            packs,
            moved: &mut *moved,
        };
        match work.rewrite(point) {
            Ok(Ok((root, name))) => {
                moved.packs.extend(session.uploads.stored().iter());
                session.publish(&root, &name)?;
                Ok(None)
            }
            Ok(Err(left)) => {
                // What it has moved so far is no point's. What earlier sessions have moved is.
                moved.forget_of(session.id);
                session.abandon();
                Ok(Some(left))
            }
            Err(error) => {
                session.abandon();
                Err(error)
            }
        }
    }
}

/// One session at work.
struct Work<'a> {
    session: &'a Session,
    packs: &'a HashSet<PackId>,
    moved: &'a mut Moved,
}

impl Work<'_> {
    fn rewrite(&mut self, point: &Point) -> Result<Result<(Root, RootName), Left>, Error> {
        let session = self.session;
        let repo = &session.repo;
        let usage = session.handle.block_on(async {
            // The order is part of the protocol: announced, lists read, and now the root again.
            let living = Roots::read(repo, None).await?.living();
            if !living.contains(&point.name) {
                return Ok(None);
            }
            self.check_moved().await?;
            repo.usage(&point.root.usage).await.map(Some)
        })?;
        let Some(usage) = usage else {
            return Ok(Err(Left::Because("it has changed meanwhile".to_owned())));
        };
        let needs: HashSet<PackId> = usage.packs().collect();
        if needs.is_disjoint(self.packs) {
            return Ok(Err(Left::Untouched));
        }
        if needs.iter().any(|pack| session.condemned.contains(*pack)) {
            let why = "it needs packs that are condemned or in quarantine";
            return Ok(Err(Left::Because(why.to_owned())));
        }
        let (root, changes) = match self.move_all(point) {
            Err(error) if error.is_damage() => {
                return Ok(Err(Left::Because(error.to_string())));
            }
            moved => moved?,
        };
        lock(&session.blocks).flush(&session.uploads)?;
        lock(&session.nodes).flush(&session.uploads)?;
        session.uploads.wait()?;
        let usage = self.new_usage(&usage, &changes)?;
        let usage = session.write_usage(&usage)?;
        let name = RootName {
            generation: session.generation,
            session: session.id,
            ..point.name.clone()
        };
        let root = Root {
            session: session.id,
            generation: session.generation,
            usage,
            ..root
        };
        Ok(Ok((root, name)))
    }

    /// What sessions before this one moved is built upon only while it is all there: the points
    /// it was moved for may have been dropped and swept since.
    async fn check_moved(&mut self) -> Result<(), Error> {
        let store = self.session.repo.store();
        let mut there = HashMap::new();
        for session in self.moved.sessions() {
            for (name, bytes) in store.list(&format!("pack/{session}")).await? {
                if let Some(ObjectName::Pack(pack)) = ObjectName::parse(&name) {
                    there.insert(pack, bytes);
                }
            }
        }
        let condemned = &self.session.condemned;
        let mut packs = self.moved.packs.iter();
        let lost =
            packs.any(|(pack, bytes)| there.get(&pack) != Some(&bytes) || condemned.contains(pack));
        drop(packs);
        if lost {
            self.moved.forget();
        }
        Ok(())
    }

    /// The point's root with new places, and what each disk (and the root itself, 255) gained and lost.
    fn move_all(&mut self, point: &Point) -> Result<(Root, HashMap<u8, UsageChange>), Error> {
        let mut root = point.root.clone();
        let mut changes: HashMap<u8, UsageChange> = HashMap::new();
        for (disk, number) in root.disks.iter_mut().zip(0_u8..) {
            let geometry = disk.geometry()?;
            let Some(tree) = &mut disk.tree else { continue };
            let place = Place {
                geometry,
                disk: number,
                level: tree.level,
                first_block: 0,
            };
            if let Some(new) = self.move_node(place, &tree.reference)? {
                tree.reference = new.reference;
                changes.entry(number).or_default().join(&new.change);
            }
        }
        for file in &mut root.files {
            if self.packs.contains(&file.reference.pack(PackKind::Node)) {
                let limit = PlainLength::AtMost(MAX_FILE_BYTES);
                let old = file.reference;
                file.reference = self.move_blob(BlobKind::File, NO_DISK, 0, &old, limit)?;
                let change = changes.entry(NO_DISK).or_default();
                change.remove(PackKind::Node, &old);
                change.add(PackKind::Node, &file.reference);
            }
        }
        Ok((root, changes))
    }

    /// Writes a node anew if it or anything below it moves.
    fn move_node(&mut self, place: Place, old: &Ref) -> Result<Option<Arc<MovedNode>>, Error> {
        let key = (old.pack(PackKind::Node), old.offset);
        if let Some(known) = self.moved.nodes.get(&key) {
            return Ok(known.clone());
        }
        let session = self.session;
        let read = session.repo.node(old, place.geometry, place.level);
        let node = session.handle.block_on(read)?;
        let mut slots = node.slots.clone();
        let mut change = UsageChange::default();
        for (slot, number) in slots.iter_mut().zip(0_u64..) {
            if place.level > 1 && number.is_multiple_of(NODES_AHEAD as u64) {
                self.read_ahead(place, &node, number as usize);
            }
            let Some(reference) = slot else { continue };
            let below = place.below(number);
            if place.level == 1 {
                if self.packs.contains(&reference.pack(PackKind::Data)) {
                    let limit = PlainLength::AtMost(1 << place.geometry.block_shift());
                    let (disk, block) = (place.disk, below.first_block);
                    let new = self.move_blob(BlobKind::Block, disk, block, reference, limit)?;
                    change.remove(PackKind::Data, reference);
                    change.add(PackKind::Data, &new);
                    *reference = new;
                }
            } else if let Some(new) = self.move_node(below, reference)? {
                change.join(&new.change);
                *reference = new.reference;
            }
        }
        let moved = if slots == node.slots && !self.packs.contains(&key.0) {
            None
        } else {
            let node = Node {
                slots,
                ..Node::clone(&node)
            };
            let reference = self.write_node(place, &node)?;
            change.remove(PackKind::Node, old);
            change.add(PackKind::Node, &reference);
            Some(Arc::new(MovedNode { reference, change }))
        };
        self.moved.nodes.insert(key, moved.clone());
        Ok(moved)
    }

    /// Reads the next nodes below `node` that are not known yet, side by side.
    fn read_ahead(&self, place: Place, node: &Node, from: usize) {
        let next = node.slots.iter().skip(from).take(NODES_AHEAD).flatten();
        let unknown = next.filter(|below| {
            let key = (below.pack(PackKind::Node), below.offset);
            !self.moved.nodes.contains_key(&key)
        });
        let (session, unknown) = (self.session, unknown.copied().collect());
        let read = session
            .repo
            .read_ahead(unknown, place.geometry, place.level - 1);
        session.handle.block_on(read);
    }

    fn write_node(&self, place: Place, node: &Node) -> Result<Ref, Error> {
        let session = self.session;
        let plain = node.encode()?;
        let id = session.repo.keys().blob_id(&plain);
        let number = u64::from(node.level) << 56 | place.first_block;
        session.store_blob(
            &session.nodes,
            BlobKind::Node,
            place.disk,
            number,
            id,
            &plain,
        )
    }

    /// Seals a blob again in a pack of this session, unless that was done before.
    fn move_blob(
        &mut self,
        kind: BlobKind,
        disk: u8,
        number: u64,
        old: &Ref,
        limit: PlainLength,
    ) -> Result<Ref, Error> {
        let session = self.session;
        let (pack_kind, stream) = if kind == BlobKind::Block {
            (PackKind::Data, &session.blocks)
        } else {
            (PackKind::Node, &session.nodes)
        };
        let key = (old.pack(pack_kind), old.offset);
        if let Some(known) = self.moved.blobs.get(&key) {
            return Ok(*known);
        }
        let payload = self.moved.payload(&session.repo, pack_kind, old, limit);
        let payload = session.handle.block_on(payload)?;
        let blob = NewBlob {
            kind,
            disk,
            number,
            id: old.id,
            raw: old.raw,
            payload: &payload,
        };
        let new = lock(stream).add(session.repo.keys(), &session.uploads, &session.times, blob)?;
        self.moved.blobs.insert(key, new);
        self.moved.copied_blobs += 1;
        self.moved.copied_bytes += u64::from(old.length);
        Ok(new)
    }

    fn new_usage(&self, old: &Usage, changes: &HashMap<u8, UsageChange>) -> Result<Usage, Error> {
        let uploads = &self.session.uploads;
        let length = |pack| {
            let moved = self.moved.packs.get(pack);
            moved.or_else(|| uploads.stored_bytes(pack))
        };
        let mut new = Usage::default();
        for disk in old.disks() {
            let mut needs = old.of_disk(disk);
            if let Some(change) = changes.get(&disk) {
                needs = change
                    .apply(needs, length)
                    .map_err(|pack| self.session.bad_usage(pack))?;
            }
            new.set(disk, needs);
        }
        Ok(new)
    }
}

/// Where a node stands.
#[derive(Clone, Copy)]
struct Place {
    geometry: Geometry,
    disk: u8,
    level: u8,
    first_block: u64,
}

impl Place {
    fn below(self, slot: u64) -> Self {
        let blocks = self.geometry.slot_blocks(self.level);
        Self {
            level: self.level.saturating_sub(1),
            first_block: self.first_block + slot * blocks,
            ..self
        }
    }
}
