//! Snapshots: what one is, and making one. Removing one is in `consolidate`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::datastore_path::DatastorePath;
use crate::made::Made;
use crate::state::remove_if_there;
use crate::time::timestamp;
use crate::tracking::change_id;
use crate::{
    Disk, Error, FrozenConfig, Kind, Lab, Link, PhysicalRawDisk, PowerState, Site, Vm, random,
};

/// Highest number of a delta file, which has six digits.
const MAX_DELTA_NUMBER: u32 = 999_999;
/// Longest chain of snapshots.
const MAX_LEVELS: usize = 32;

/// A snapshot to make.
#[derive(Clone, Debug, Default)]
pub struct SnapshotSpec {
    /// Its name; need not be unique.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Quiesce the guest? Has no effect on a VM that is off.
    pub quiesce: bool,
    /// Keep the memory of the guest? Has no effect on a VM that is off.
    pub memory: bool,
}

impl SnapshotSpec {
    /// A snapshot with a name and nothing else.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// A snapshot: the configuration of a VM as of then.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// `snapshot-2044` and on.
    pub moref: String,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// Number within the VM.
    pub id: i32,
    /// When it was made, RFC 3339 in UTC.
    pub create_time: String,
    /// Moref of the snapshot it stands on.
    pub parent: Option<String>,
    /// Was the guest quiesced?
    pub quiesced: bool,
    /// Power state a revert would lead to: without memory always off.
    pub power_state: PowerState,
    /// Does it keep the memory of the guest?
    #[serde(default)]
    pub has_memory: bool,
    /// The disks as of then. Independent disks are listed as they were, and not frozen.
    pub disks: Vec<Disk>,
    /// Name of the VM as of then.
    pub vm_name: String,
    /// Hardware version as of then.
    pub hardware_version: u32,
    /// `config.changeVersion` as of then.
    pub change_version: String,
    /// `config.changeTrackingEnabled` as of then.
    pub change_tracking_enabled: bool,
    /// Notes as of then.
    pub annotation: String,
    /// The rest of the configuration as of then; `None` in labs from before it was kept.
    #[serde(default)]
    pub config: Option<FrozenConfig>,
}

impl Lab {
    /// Makes a snapshot: freezes each disk that is not independent and lets the VM go on in a
    /// new delta file. This is a stun cycle, so a pending switch of change tracking takes effect
    /// first.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::NoSnapshot`], [`Error::TooManySnapshots`],
    /// [`Error::MemoryOnIndependentDisk`], [`Error::Template`], [`Error::Quiesce`], [`Error::SequenceExhausted`], [`Error::Disk`] and
    /// [`Error::Io`] when files cannot be made. The VM is as before then.
    pub fn create_snapshot(&self, vm: &str, spec: &SnapshotSpec) -> Result<Snapshot, Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        let mut site = self.load_site()?;
        refuse_snapshot(&site, &vm)?;
        let has_memory = spec.memory && vm.power_state != PowerState::PoweredOff;
        if has_memory {
            refuse_memory(&vm)?;
        }
        let quiesced = spec.quiesce && vm.quiesce()?;
        let number = site.next_snapshot;
        site.next_snapshot += 1;

        let mut made = Made::default();
        let dropped = self.stun_cycle(&mut vm, &mut made)?;
        let disks = vm
            .disks
            .iter_mut()
            .map(|disk| self.freeze(disk, &mut made))
            .collect::<Result<_, _>>()?;
        let mut snapshot = describe(&vm, spec, disks, format!("snapshot-{number}"));
        snapshot.quiesced = quiesced;
        if has_memory {
            snapshot.has_memory = true;
            snapshot.power_state = vm.power_state;
        }
        self.write_snapshot_files(&vm, &snapshot, &mut made)?;
        vm.current_snapshot = Some(snapshot.moref.clone());
        vm.snapshots.push(snapshot.clone());
        vm.change_version = timestamp();
        self.store_site(&lock, &site)?;
        self.store_vm(&lock, &vm)?;
        made.keep();
        dropped.iter().try_for_each(|path| remove_if_there(path))?;
        Ok(snapshot)
    }

    /// Gives a snapshot another name or description; what is `None` stays.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a snapshot, [`Error::InvalidName`] for an empty name,
    /// [`Error::Io`].
    pub fn rename_snapshot(
        &self,
        snapshot: &str,
        name: Option<&str>,
        description: Option<&str>,
    ) -> Result<(), Error> {
        if name == Some("") {
            return Err(Error::InvalidName {
                name: String::new(),
                reason: "empty",
            });
        }
        let vm = self.vm_by_snapshot(snapshot)?.moref;
        self.update_vm(&vm, |vm| {
            let mut found = vm.snapshots.iter_mut();
            let found = found
                .find(|found| found.moref == snapshot)
                .ok_or_else(|| Error::not_found(Kind::Snapshot, snapshot))?;
            if let Some(name) = name {
                name.clone_into(&mut found.name);
            }
            if let Some(description) = description {
                description.clone_into(&mut found.description);
            }
            Ok(())
        })
    }

    /// Freezes the running link of a disk and puts a child over it. Returns the frozen copy.
    pub(crate) fn freeze(&self, disk: &mut Disk, made: &mut Made) -> Result<Disk, Error> {
        let mut frozen = disk.clone();
        let Some(link) = disk.chain.last().filter(|_| !disk.takes_no_part()) else {
            return Ok(frozen);
        };
        frozen.change_id = link
            .tracking
            .as_ref()
            .map(|tracking| change_id::format(&tracking.uuid, tracking.sequence));

        let parent = DatastorePath::parse(&link.file)?;
        let base = disk.chain.first().map_or(&link.file, |base| &base.file);
        let child = self.free_delta(&DatastorePath::parse(base)?)?;
        let tracking = link
            .tracking
            .as_ref()
            .map(|tracking| {
                self.continue_tracking(tracking, &child.to_string(), disk.device_key, made)
            })
            .transpose()?;
        let path = child.under(self.root());
        made.add(&path);
        vmdk::create_child(&parent.under(self.root()), &path).map_err(Error::disk("make", path))?;
        disk.chain.push(Link {
            file: child.to_string(),
            content_id: random::content_id()?,
            tracking,
        });
        Ok(frozen)
    }

    /// The next free name of a delta: `<base>-000001.vmdk` and on.
    fn free_delta(&self, base: &DatastorePath) -> Result<DatastorePath, Error> {
        (1..=MAX_DELTA_NUMBER)
            .map(|number| base.sibling(format!("{}-{number:06}.vmdk", base.stem())))
            .find(|child| !Path::new(&child.under(self.root())).exists())
            .ok_or_else(|| Error::AlreadyExists {
                kind: Kind::File,
                id: base.to_string(),
            })
    }
}

/// Refuses a snapshot that a disk or the length of the chain forbids ("vSphere API reference", 2.6).
fn refuse_snapshot(site: &Site, vm: &Vm) -> Result<(), Error> {
    vm.refuse_template()?;
    let raw_fails = site.behaviour.physical_raw_disk == PhysicalRawDisk::SnapshotFails;
    for disk in vm.disks.iter().filter(|disk| !disk.is_independent()) {
        let reason = if disk.shared_bus {
            "its controller shares the bus"
        } else if disk.raw_physical && raw_fails {
            "a raw disk in physical mode"
        } else {
            continue;
        };
        return Err(Error::NoSnapshot {
            device_key: disk.device_key,
            reason,
        });
    }
    let mut levels = 0;
    let mut next = vm.current_snapshot.as_deref();
    while let Some(found) = next.and_then(|moref| vm.snapshot(moref)) {
        levels += 1;
        if levels >= MAX_LEVELS {
            return Err(Error::TooManySnapshots { levels });
        }
        next = found.parent.as_deref();
    }
    Ok(())
}

/// Refuses to keep the memory where a disk goes on from another moment.
fn refuse_memory(vm: &Vm) -> Result<(), Error> {
    match vm.disks.iter().find(|disk| disk.is_independent()) {
        None => Ok(()),
        Some(disk) => Err(Error::MemoryOnIndependentDisk {
            device_key: disk.device_key,
        }),
    }
}

/// The record of a snapshot of a VM as it is now.
fn describe(vm: &Vm, spec: &SnapshotSpec, disks: Vec<Disk>, moref: String) -> Snapshot {
    let last_id = vm
        .snapshots
        .iter()
        .map(|snapshot| snapshot.id)
        .max()
        .unwrap_or(0);
    Snapshot {
        moref,
        name: spec.name.clone(),
        description: spec.description.clone(),
        id: last_id.saturating_add(1),
        create_time: timestamp(),
        parent: vm.current_snapshot.clone(),
        quiesced: false,
        power_state: PowerState::PoweredOff,
        has_memory: false,
        disks,
        vm_name: vm.name.clone(),
        hardware_version: vm.hardware_version,
        change_version: vm.change_version.clone(),
        change_tracking_enabled: vm.change_tracking.enabled,
        annotation: vm.annotation.clone(),
        config: Some(FrozenConfig::of(vm)),
    }
}
