//! Removing snapshots, and merging the links they leave.
//!
//! A link that no snapshot ends with and that has one child only is merged: the data of the child
//! go down into it, and the child's file is dropped. The link then stands for both, with the
//! child's map and sequence number, so ids of snapshots that ended with the child stay valid.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use vmdk::{OpenOptions, SectorRun};

use crate::made::Made;
use crate::revert::deltas_of;
use crate::state::{LabLock, remove_if_there};
use crate::time::timestamp;
use crate::tracking::{GRAIN_BYTES, ctk_of};
use crate::{Disk, Error, Lab, Link, Vm};

/// Sectors copied in one go: one grain, so that grains of zeros can be told.
const PIECE_SECTORS: u64 = GRAIN_BYTES / vmdk::SECTOR_BYTES;

/// A link and its only child, as datastore paths.
type Pair = (String, String);

impl Lab {
    /// Removes a snapshot, with its children if asked, and merges the links nobody needs any
    /// more. This is a stun cycle.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a snapshot. [`Error::Locked`] while a reader holds a link
    /// that was to be merged, or while HotAdd has it attached to another VM: the snapshot is gone then, its files stay, and
    /// `consolidation_needed` is set until [`Lab::consolidate`] succeeds.
    pub fn remove_snapshot(&self, snapshot: &str, remove_children: bool) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.vm_by_snapshot(snapshot)?;
        let before = deltas_of(&vm);
        let records = self.snapshot_files(&vm)?;
        take_from_tree(&mut vm, snapshot, remove_children);
        let mut made = Made::default();
        let mut dropped = self.stun_cycle(&mut vm, &mut made)?;
        // A branch that the VM left has nothing to be merged into.
        let attached = self.attached_files()?;
        let left = deltas_of(&vm);
        for file in before
            .difference(&left)
            .filter(|file| !attached.contains(*file))
        {
            dropped.extend(self.files_of_link(file)?);
        }
        let kept = self.snapshot_files(&vm)?;
        dropped.extend(records.into_iter().filter(|file| !kept.contains(file)));
        vm.change_version = timestamp();
        vm.consolidation_needed = true;
        self.store_vm(&lock, &vm)?;
        made.keep();
        dropped.iter().try_for_each(|path| remove_if_there(path))?;
        self.merge_links(&lock, &mut vm)
    }

    /// Removes all snapshots of a VM and merges their links. This is a stun cycle.
    ///
    /// # Errors
    ///
    /// As [`Lab::remove_snapshot`].
    pub fn remove_all_snapshots(&self, vm: &str) -> Result<(), Error> {
        let vm = self.vm(vm)?;
        let roots = vm.snapshots.iter().filter(|found| found.parent.is_none());
        for root in roots {
            self.remove_snapshot(&root.moref, true)?;
        }
        Ok(())
    }

    /// Merges links that no snapshot needs.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::Locked`] while a reader holds a link.
    pub fn consolidate(&self, vm: &str) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        self.merge_links(&lock, &mut vm)
    }

    /// Merges what can be merged. The VM is stored after each step, so a crash loses nothing.
    fn merge_links(&self, lock: &LabLock, vm: &mut Vm) -> Result<(), Error> {
        let mut held: Vec<Pair> = Vec::new();
        // Disks attached by HotAdd, also those of dead processes, are in the way.
        let attached = self.attached_files()?;
        while let Some((link, child)) = next_pair(vm, &held) {
            if attached.contains(&link) || attached.contains(&child) {
                held.push((link, child));
                continue;
            }
            let (link_path, child_path) = (self.path_of(&link)?, self.path_of(&child)?);
            // Both rights are kept until the merge is done.
            let rights = (
                self.try_merging(&link_path)?,
                self.try_merging(&child_path)?,
            );
            if let (Some(_), Some(_)) = rights {
                self.merge(lock, vm, &link, &child)?;
                self.forget_hold(&child_path)?;
            } else {
                held.push((link, child));
            }
        }
        vm.consolidation_needed = !held.is_empty();
        self.store_vm(lock, vm)?;
        match held.into_iter().next() {
            Some((file, _)) => Err(Error::Locked { file }),
            None => Ok(()),
        }
    }

    /// Merges a child into its link.
    fn merge(&self, lock: &LabLock, vm: &mut Vm, link: &str, child: &str) -> Result<(), Error> {
        let (target, child_path) = (self.path_of(link)?, self.path_of(child)?);
        copy_held(&child_path, &target)?;
        for grandchild in children_of(vm, child) {
            let path = self.path_of(&grandchild)?;
            vmdk::set_parent(&path, &target).map_err(Error::disk("move", path))?;
        }

        let ctk_file = ctk_of(link)?;
        let ctk_path = self.path_of(&ctk_file)?;
        match chains(vm)
            .flatten()
            .find(|other| other.file == child)
            .and_then(|child| child.tracking.clone())
        {
            Some(tracking) => {
                let from = self.path_of(&tracking.ctk_file)?;
                // A map that was lost stays lost: queries answer with a fault.
                if from.exists() {
                    fs::rename(&from, &ctk_path).map_err(Error::io("rename", from))?;
                } else {
                    remove_if_there(&ctk_path)?;
                }
            }
            None => remove_if_there(&ctk_path)?,
        }
        for disk in disks_mut(vm) {
            join(disk, link, child, &ctk_file);
        }
        self.store_vm(lock, vm)?;
        remove_if_there(&child_path)
    }
}

/// Takes a snapshot out of the tree. Its children go to its parent, unless they go with it.
fn take_from_tree(vm: &mut Vm, snapshot: &str, with_children: bool) {
    let mut doomed = BTreeSet::from([snapshot.to_owned()]);
    // Children come after their parent in the list.
    for candidate in &vm.snapshots {
        let below = candidate
            .parent
            .as_ref()
            .is_some_and(|parent| doomed.contains(parent));
        if with_children && below {
            doomed.insert(candidate.moref.clone());
        }
    }
    let parents: BTreeMap<String, Option<String>> = vm
        .snapshots
        .iter()
        .map(|snapshot| (snapshot.moref.clone(), snapshot.parent.clone()))
        .collect();
    let survivor = |mut moref: Option<String>| {
        while let Some(gone) = moref.as_ref().filter(|moref| doomed.contains(*moref)) {
            moref = parents.get(gone).cloned().flatten();
        }
        moref
    };
    vm.current_snapshot = survivor(vm.current_snapshot.take());
    vm.snapshots
        .retain(|snapshot| !doomed.contains(&snapshot.moref));
    for snapshot in &mut vm.snapshots {
        snapshot.parent = survivor(snapshot.parent.take());
    }
}

/// All chains of a VM: those of its running state and those of its snapshots. What HotAdd
/// attached is another VM's.
fn chains(vm: &Vm) -> impl Iterator<Item = &Vec<Link>> {
    let frozen = vm.snapshots.iter().flat_map(|snapshot| &snapshot.disks);
    let disks = vm.disks.iter().chain(frozen);
    disks
        .filter(|disk| disk.attached.is_none())
        .map(|disk| &disk.chain)
}

fn disks_mut(vm: &mut Vm) -> impl Iterator<Item = &mut Disk> {
    let frozen = vm
        .snapshots
        .iter_mut()
        .flat_map(|snapshot| &mut snapshot.disks);
    vm.disks.iter_mut().chain(frozen)
}

/// The links that stand directly on a link.
pub(crate) fn children_of(vm: &Vm, file: &str) -> BTreeSet<String> {
    chains(vm)
        .flat_map(|chain| chain.windows(2))
        .filter(|pair| pair[0].file == file)
        .map(|pair| pair[1].file.clone())
        .collect()
}

/// The next link to merge with its only child. A link that a snapshot ends with stays.
fn next_pair(vm: &Vm, held: &[Pair]) -> Option<Pair> {
    let tops: BTreeSet<&str> = chains(vm)
        .filter_map(|chain| chain.last())
        .map(|link| link.file.as_str())
        .collect();
    chains(vm)
        .flatten()
        .filter(|link| !tops.contains(link.file.as_str()))
        .filter_map(|link| {
            let mut children = children_of(vm, &link.file).into_iter();
            let only = children.next()?;
            children.next().is_none().then(|| (link.file.clone(), only))
        })
        .find(|pair| !held.contains(pair))
}

/// Makes one link out of a link and its child in the chain of a disk.
fn join(disk: &mut Disk, link: &str, child: &str, ctk_file: &str) {
    let Some(position) = disk
        .chain
        .windows(2)
        .position(|pair| pair[0].file == link && pair[1].file == child)
    else {
        return;
    };
    let child = disk.chain.remove(position + 1);
    let link = &mut disk.chain[position];
    link.content_id = child.content_id;
    link.tracking = child.tracking;
    if let Some(tracking) = &mut link.tracking {
        ctk_file.clone_into(&mut tracking.ctk_file);
    }
}

/// Copies what a child holds down into its parent. Both are opened without the links below them,
/// so this works again after a crash on the way.
fn copy_held(child_path: &Path, target_path: &Path) -> Result<(), Error> {
    let alone = OpenOptions {
        single_link: true,
        ..OpenOptions::default()
    };
    let child = vmdk::Disk::open(child_path, alone).map_err(Error::disk("open", child_path))?;
    let held = child
        .allocated(0, child.capacity_sectors())
        .map_err(Error::disk("map", child_path))?;
    let mut target = vmdk::Disk::open(
        target_path,
        OpenOptions {
            write: true,
            ..alone
        },
    )
    .map_err(Error::disk("open", target_path))?;
    let mut buffer = vec![0; GRAIN_BYTES as usize];
    for piece in pieces(&held) {
        let buffer = &mut buffer[..(piece.sectors * vmdk::SECTOR_BYTES) as usize];
        child
            .read_at(piece.start_sector, buffer)
            .map_err(Error::disk("read", child_path))?;
        let written = if buffer.iter().all(|byte| *byte == 0) {
            target.unmap(piece.start_sector, piece.sectors)
        } else {
            target.write_at(piece.start_sector, buffer)
        };
        written.map_err(Error::disk("write to", target_path))?;
    }
    Ok(())
}

/// Cuts runs at the borders of grains.
fn pieces(runs: &[SectorRun]) -> impl Iterator<Item = SectorRun> {
    runs.iter().flat_map(|run| {
        let end = run.start_sector + run.sectors;
        let mut next = run.start_sector;
        std::iter::from_fn(move || {
            let start_sector = next;
            next = end.min((start_sector / PIECE_SECTORS + 1) * PIECE_SECTORS);
            (start_sector < end).then(|| SectorRun {
                start_sector,
                sectors: next - start_sector,
            })
        })
    })
}
