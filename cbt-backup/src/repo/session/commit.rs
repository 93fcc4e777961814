//! Nodes, usage table and root of a point: what a session writes at its end.

use std::sync::{Arc, PoisonError};

use super::begin::Session;
use super::disk::{DiskWork, Parent};
use super::put::lock;
use super::spec::{Committed, DiskOutcome, DiskSlot, DiskSpec, NewFile, ParentDisk, RootInfo};
use crate::repo::changed_areas;
use crate::repo::condemned::Condemned;
use crate::repo::config::FORMAT;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind, PointId};
use crate::repo::name::RootName;
use crate::repo::pack::{BlobKind, NO_DISK};
use crate::repo::point::{MAX_FILE_BYTES, Point};
use crate::repo::root::{
    Coverage, DiskRecord, DiskState, FileRecord, MAX_UNREADABLE_RUNS, PointKind, PutStats, Root,
    TreeRecord, UNREADABLE, UsageRecord,
};
use crate::repo::tree::{BaseTree, TreeCursor, TreeItem};
use crate::repo::usage::{Needs, Usage, UsageChange};

/// The features that a reader of the root must know.
fn needs(disks: &[NewDisk]) -> Vec<String> {
    let unreadable = disks.iter().any(|disk| !disk.record.unreadable.is_empty());
    unreadable
        .then(|| UNREADABLE.to_owned())
        .into_iter()
        .collect()
}

/// A disk as the root will have it, and what its tree gained and lost.
struct NewDisk {
    record: DiskRecord,
    needs: DiskNeeds,
    /// What the server said of it.
    file: Option<NewFile>,
}

#[derive(Default)]
enum DiskNeeds {
    /// The parent's, changed.
    Changed(UsageChange),
    /// To be counted afresh in the new tree.
    Recount,
    /// Those of an older point, as they are.
    Older(Needs),
    #[default]
    None,
}

impl Session {
    /// Commits the point: when this returns it is there, whole and durable. Blocking.
    ///
    /// # Errors
    /// `DiskUndecided`, `BlocksMissing`; `NotWritable`, `Store`, `Missing`, `Damaged`: there is no
    /// point. `Fenced`, `FenceUndecided`: the point does not count, or may not.
    pub fn commit(self, info: RootInfo) -> Result<Committed, Error> {
        let (session, root, name) = self.prepare_or_abandon(info, false)?;
        session.publish(&root, &name)
    }

    /// Prepares the root. After a failure nothing of the session is left to commit.
    pub(super) fn prepare_or_abandon(
        self,
        info: RootInfo,
        partial: bool,
    ) -> Result<(Self, Root, RootName), Error> {
        match self.prepare(info, partial) {
            Ok((root, name)) => Ok((self, root, name)),
            Err(error) => {
                self.uploads.fail(&error);
                self.abandon();
                Err(error)
            }
        }
    }

    /// All that comes before the root: when this returns, all its packs are stored.
    fn prepare(&self, info: RootInfo, partial: bool) -> Result<(Root, RootName), Error> {
        let disks = self
            .disks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        lock(&self.blocks).flush(&self.uploads)?;
        let mut new_disks = Vec::with_capacity(disks.len());
        for disk in &disks {
            new_disks.push(self.finish_disk(disk, partial)?);
        }
        let mut files = Vec::with_capacity(info.files.len());
        let mut file_change = UsageChange::default();
        let of_disks = new_disks.iter_mut().filter_map(|disk| disk.file.take());
        for file in info.files.into_iter().chain(of_disks) {
            let record = self.store_file(&file.name, &file.content)?;
            file_change.add(PackKind::Node, &record.reference);
            files.push(record);
        }
        lock(&self.nodes).flush(&self.uploads)?;
        self.uploads.wait()?;
        let usage = self.store_usage(&disks, &mut new_disks, &file_change)?;
        let mut stats = PutStats::default();
        for disk in &new_disks {
            // What a failed disk has put is no part of the point.
            if let DiskState::Complete | DiskState::Partial { .. } = disk.record.state {
                stats.add(&disk.record.stats);
            }
        }
        let name = RootName {
            vm: self.vm.clone(),
            point: self.point,
            generation: self.generation,
            session: self.id,
        };
        let root = Root {
            format: FORMAT,
            needs: needs(&new_disks),
            point: self.point,
            session: self.id,
            generation: self.generation,
            kind: if partial {
                PointKind::Partial
            } else {
                info.kind
            },
            vm: self.spec.vm.clone(),
            host: self.spec.host.clone(),
            snapshot_time: info.snapshot_time,
            snapshot_time_ms: info.snapshot_time_ms,
            zone: info.zone,
            consistency: info.consistency,
            parent: info.parent,
            origin: self.origin,
            tags: self.spec.tags.clone(),
            disks: new_disks.into_iter().map(|disk| disk.record).collect(),
            files,
            usage,
            events: info.events,
            stats,
            program: info.program,
        };
        Ok((root, name))
    }

    fn finish_disk(&self, disk: &DiskWork, partial: bool) -> Result<NewDisk, Error> {
        let outcome = disk.work().outcome.take();
        match outcome {
            None if partial => self.finish_partial(disk),
            None => Err(Error::DiskUndecided {
                label: disk.label(),
            }),
            Some(DiskOutcome::Complete {
                coverage,
                changed_areas,
            }) => {
                let done = self.finish_all(disk, DiskState::Complete, coverage)?;
                let name = changed_areas::file_name(disk.spec.identity.device_key);
                let file = changed_areas.map(|content| NewFile { name, content });
                Ok(NewDisk { file, ..done })
            }
            Some(DiskOutcome::Carried { from, reason }) => self.finish_carried(disk, from, reason),
            Some(DiskOutcome::Copied { state, coverage }) => self.finish_all(disk, state, coverage),
            Some(DiskOutcome::Absent { reason }) => Ok(absent(disk, reason)),
        }
    }

    /// An older point's disk, if all it needs can be relied on: a root must not rest on packs that
    /// are lost, or that a sweep may delete.
    fn finish_carried(
        &self,
        disk: &DiskWork,
        from: PointId,
        reason: String,
    ) -> Result<NewDisk, Error> {
        let Some(parent) = &disk.parent else {
            return Err(Error::BadParent {
                label: disk.label(),
                point: from,
                why: "the disk was added without a parent",
            });
        };
        // What this run has read itself is not what it was before, though it may be all there in a partial point.
        let named = disk.spec.parent.map(|named| named.point);
        let is_own = named.is_some_and(|point| self.made.contains(&point));
        if !is_own && !matches!(parent.record.state, DiskState::Partial { .. }) {
            return self.carried(disk, from, reason, parent, &disk.avoided);
        }
        // A run that was not over has nothing to carry; the point before it may have.
        let Some((older, point, index)) = self.newest_whole(&disk.spec) else {
            let reason = format!("{reason}; there is no older point with its data");
            return Ok(absent(disk, reason));
        };
        let spec = DiskSpec {
            parent: Some(ParentDisk { point, disk: index }),
            block_shift: None,
            ..disk.spec.clone()
        };
        let found = self.handle.block_on(async {
            let parent = self.find_parent(&spec).await?;
            let needs = parent.as_ref().map(|parent| &parent.needs);
            let avoided = match needs {
                Some(needs) => self.avoided(&spec.identity.label, needs).await?,
                None => Arc::clone(&self.condemned),
            };
            Ok::<_, Error>(parent.map(|parent| (parent, avoided)))
        });
        match found {
            Ok(Some((parent, avoided))) => self.carried(disk, older, reason, &parent, &avoided),
            Err(error) if !error.is_damage() && !matches!(error, Error::BadParent { .. }) => {
                Err(error)
            }
            _ => Ok(absent(
                disk,
                format!("{reason}; the data of point {older} cannot be carried"),
            )),
        }
    }

    /// An older point's disk, with what the server said of it then.
    fn carried(
        &self,
        disk: &DiskWork,
        from: PointId,
        reason: String,
        parent: &Parent,
        avoided: &Condemned,
    ) -> Result<NewDisk, Error> {
        let packs = parent.needs.packs();
        let packs = packs.filter(|pack| avoided.contains(*pack)).count();
        if packs > 0 {
            let reason = format!(
                "{reason}; the data of point {from} is not carried: {packs} of the packs it needs are \
                 lost, damaged or condemned"
            );
            return Ok(absent(disk, reason));
        }
        let mut distrust = parent.record.distrust.clone();
        distrust.add(&disk.distrust());
        let mut record = DiskRecord {
            identity: disk.spec.identity.clone(),
            distrust,
            sound_tracking: disk.spec.sound_tracking.clone(),
            state: DiskState::Carried { from, reason },
            stats: PutStats::default(),
            ..parent.record.clone()
        };
        let file = self.carried_file(disk, parent)?;
        if file.is_none() {
            record.coverage.kept.clear();
        }
        Ok(NewDisk {
            record,
            needs: DiskNeeds::Older(parent.needs.clone()),
            file,
        })
    }

    /// What is lost of the older point's files is no reason to make no point.
    fn carried_file(&self, disk: &DiskWork, parent: &Parent) -> Result<Option<NewFile>, Error> {
        let Some(record) = &parent.changed_areas else {
            return Ok(None);
        };
        match self.handle.block_on(self.repo.file(record)) {
            Ok(content) => Ok(Some(NewFile {
                name: changed_areas::file_name(disk.spec.identity.device_key),
                content,
            })),
            Err(error) if error.is_damage() => {
                tracing::warn!(disk = %disk.label(), %error, "its changed areas are not carried");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The newest point of an earlier run that has the disk as it was at a snapshot: whose data it is, the point,
    /// and the disk's index in it.
    fn newest_whole(&self, spec: &DiskSpec) -> Option<(PointId, PointId, usize)> {
        let earlier = |point: &&Point| !self.made.contains(&point.id());
        self.parents.iter().filter(earlier).find_map(|point| {
            let disks = point.root.disks.iter().enumerate();
            let moref = &self.spec.vm.moref;
            let mut same =
                disks.filter(|(_, record)| point.root.is_earlier(record, moref, &spec.identity));
            same.find_map(|(index, record)| match &record.state {
                DiskState::Complete => Some((point.id(), point.id(), index)),
                DiskState::Carried { from, .. } => Some((*from, point.id(), index)),
                DiskState::Partial { .. } | DiskState::Absent { .. } => None,
            })
        })
    }

    /// A disk all of which is there.
    fn finish_all(
        &self,
        disk: &DiskWork,
        state: DiskState,
        coverage: Coverage,
    ) -> Result<NewDisk, Error> {
        let missing = disk.work().missing.len();
        if missing > 0 {
            return Err(Error::BlocksMissing {
                label: disk.label(),
                blocks: missing,
            });
        }
        self.finish_tree(disk, state, coverage)
    }

    /// A disk that was not read to its end. What its parent cannot supply and nobody has put yet
    /// becomes a hole, so that the root needs no pack that is lost. Whoever goes on from a backup reads
    /// everything behind the first of them. Whoever goes on from a copy compares, and would take such a hole for
    /// what the parent has there: there they are named as lost.
    fn finish_partial(&self, disk: &DiskWork) -> Result<NewDisk, Error> {
        let blocks = disk.geometry.blocks();
        let (lost, covered) = {
            let work = disk.work();
            let missing = work.missing.first().unwrap_or(blocks);
            let expected = match &work.expected {
                Some(expected) => expected.first().unwrap_or(blocks),
                None => 0,
            };
            (work.missing.clone(), missing.min(expected))
        };
        for run in lost.runs() {
            self.put_hole(DiskSlot(disk.index), run.first, run.blocks)?;
            if self.origin.is_some() {
                disk.work().unreadable.insert(run.first, run.blocks);
            }
        }
        if disk.work().unreadable.runs().count() > MAX_UNREADABLE_RUNS {
            let reason = "more of it is lost in the target than a partial point can name";
            return Ok(absent(disk, reason.to_owned()));
        }
        let covered_bytes = (covered << disk.geometry.block_shift()).min(disk.spec.capacity_bytes);
        let state = DiskState::Partial { covered_bytes };
        self.finish_tree(disk, state, Coverage::default())
    }

    fn finish_tree(
        &self,
        disk: &DiskWork,
        state: DiskState,
        coverage: Coverage,
    ) -> Result<NewDisk, Error> {
        let (root, change) = self.finish_nodes(disk)?;
        let level = disk.geometry.level();
        let tree = root.map(|reference| TreeRecord { reference, level });
        Ok(NewDisk {
            record: new_record(disk, state, tree, coverage),
            needs: if disk.recount {
                DiskNeeds::Recount
            } else {
                DiskNeeds::Changed(change)
            },
            file: None,
        })
    }

    fn store_file(&self, name: &str, content: &[u8]) -> Result<FileRecord, Error> {
        let length_bytes = content.len() as u64;
        // An empty blob has no place in a pack.
        if !(1..=MAX_FILE_BYTES).contains(&content.len()) {
            return Err(Error::OutOfRange {
                what: "length of a file in bytes",
                value: length_bytes,
            });
        }
        let id = self.repo.keys().blob_id(content);
        let reference = self.store_blob(&self.nodes, BlobKind::File, NO_DISK, 0, id, content)?;
        Ok(FileRecord {
            name: name.to_owned(),
            length_bytes,
            reference,
        })
    }

    /// Writes the usage table, alone in the session's last pack.
    fn store_usage(
        &self,
        disks: &[Arc<DiskWork>],
        new_disks: &mut [NewDisk],
        files: &UsageChange,
    ) -> Result<UsageRecord, Error> {
        let length = |pack| {
            let of_parents = disks.iter().filter_map(|disk| disk.parent.as_ref());
            let needed = of_parents.filter_map(|parent| parent.needs.get(pack));
            let needed = needed.map(|need| need.pack_bytes).next();
            let needed = needed.or_else(|| self.uploads.stored_bytes(pack));
            needed.or_else(|| self.seed_pack_bytes(pack))
        };
        let mut usage = Usage::default();
        for (disk, new) in disks.iter().zip(new_disks) {
            let needs = self.disk_needs(disk, new, length)?;
            usage.set(disk.index, needs);
        }
        let needs = files.apply(Needs::default(), length);
        usage.set(NO_DISK, needs.map_err(|pack| self.bad_usage(pack))?);
        self.write_usage(&usage)
    }

    fn disk_needs(
        &self,
        disk: &DiskWork,
        new: &mut NewDisk,
        length: impl Fn(PackId) -> Option<u64>,
    ) -> Result<Needs, Error> {
        // The tables of a large disk are large: none is kept longer than it must.
        let changed = match std::mem::take(&mut new.needs) {
            DiskNeeds::None => return Ok(Needs::default()),
            DiskNeeds::Older(needs) => return Ok(needs),
            DiskNeeds::Changed(change) => {
                let parent = disk.parent.as_ref().map(|parent| parent.needs.clone());
                change.apply(parent.unwrap_or_default(), length)
            }
            DiskNeeds::Recount => {
                let tree = new.record.tree.map(TreeRecord::base);
                let counted = self.handle.block_on(self.count(disk, tree))?;
                counted.apply(Needs::default(), length)
            }
        };
        changed.map_err(|pack| self.bad_usage(pack))
    }

    /// Counts the references of a tree whose nodes are all stored.
    async fn count(&self, disk: &DiskWork, tree: Option<BaseTree>) -> Result<UsageChange, Error> {
        let mut change = UsageChange::default();
        if let Some(tree) = tree {
            let mut cursor = TreeCursor::new(&self.repo, disk.geometry, Some(tree));
            while let Some(item) = cursor.next().await {
                match item {
                    TreeItem::Node(reference) => change.add(PackKind::Node, &reference),
                    TreeItem::Block { reference, .. } => change.add(PackKind::Data, &reference),
                    TreeItem::Hole(_) => {}
                    TreeItem::Damaged { error, .. } => return Err(error),
                }
            }
        }
        Ok(change)
    }

    pub(super) fn bad_usage(&self, pack: PackId) -> Error {
        let what = format!("the parent's usage table does not fit its tree at {pack}");
        Error::damaged(&format!("point of session {}", self.id), what)
    }
}

fn absent(disk: &DiskWork, reason: String) -> NewDisk {
    let state = DiskState::Absent { reason };
    NewDisk {
        record: new_record(disk, state, None, Coverage::default()),
        needs: DiskNeeds::None,
        file: None,
    }
}

fn new_record(
    disk: &DiskWork,
    state: DiskState,
    tree: Option<TreeRecord>,
    coverage: Coverage,
) -> DiskRecord {
    let change_id = disk.spec.change_id.clone();
    let complete = matches!(state, DiskState::Complete | DiskState::Partial { .. });
    let has_data = !matches!(state, DiskState::Absent { .. });
    DiskRecord {
        identity: disk.spec.identity.clone(),
        capacity_bytes: disk.spec.capacity_bytes,
        block_shift: disk.geometry.block_shift(),
        fan_out_bits: disk.geometry.fan_out_bits(),
        // An increment on a disk without data would miss all of it.
        change_id: change_id.filter(|_| has_data),
        distrust: disk.distrust(),
        sound_tracking: disk.spec.sound_tracking.clone(),
        snapshots_before: disk.spec.snapshots_before.filter(|_| has_data),
        change_id_after_ms: disk.spec.change_id_after_ms.filter(|_| has_data),
        state,
        tree,
        unreadable: if has_data {
            disk.work().unreadable.runs().collect()
        } else {
            Vec::new()
        },
        coverage,
        stats: if complete {
            disk.work().stats
        } else {
            PutStats::default()
        },
    }
}
