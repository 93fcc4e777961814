//! A VM, its disks, and the links they are made of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Attachment, Bus, Error, Kind, Question, Quiescing, Snapshot};

/// Is the VM on?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PowerState {
    /// Running.
    PoweredOn,
    /// Not running.
    PoweredOff,
    /// Frozen to disk.
    Suspended,
}

impl PowerState {
    /// The word vSphere uses: `poweredOn`, `poweredOff`, `suspended`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PoweredOn => "poweredOn",
            Self::PoweredOff => "poweredOff",
            Self::Suspended => "suspended",
        }
    }
}

/// How the space of a disk is given out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Provisioning {
    /// Blocks come when they are written.
    #[default]
    Thin,
    /// Blocks are reserved, and zeroed when they are written; only then they count as allocated.
    LazyThick,
    /// Blocks are reserved and zeroed: all of them count as allocated.
    EagerThick,
    /// Made as a copy of a thick disk: all blocks count as allocated.
    ClonedThick,
}

impl Provisioning {
    /// Does every block count as allocated, written or not?
    pub fn is_all_allocated(self) -> bool {
        matches!(self, Self::EagerThick | Self::ClonedThick)
    }
}

/// A disk to make.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they say independent things about a disk"
)]
pub struct DiskSpec {
    /// Capacity, a multiple of 512; 0 = that of the image.
    pub capacity_bytes: u64,
    /// A raw or VMDK image to copy in. It may be smaller than the capacity.
    pub image: Option<PathBuf>,
    /// Name of the datastore; `None` = the VM's own.
    pub datastore: Option<String>,
    /// Datastore path of its descriptor, which does not exist; `None` = beside the VM's other files.
    pub file: Option<String>,
    /// One of the modes of `VirtualDiskMode`, such as `persistent` or `independent_persistent`.
    pub mode: String,
    /// What it is plugged into.
    pub bus: Bus,
    /// The number of its controller on the bus; `None` = the first with a free unit.
    pub controller: Option<u8>,
    /// Is it encrypted? The lab keeps its data in the clear all the same.
    pub encrypted: bool,
    /// Is it a raw device mapping? The lab keeps its data in a file all the same.
    pub raw_mapping: bool,
    /// Is it a raw device mapping in physical mode?
    pub raw_physical: bool,
    /// Does its controller share the bus with other machines?
    pub shared_bus: bool,
    /// How its space is given out.
    pub provisioning: Provisioning,
}

impl Default for DiskSpec {
    fn default() -> Self {
        Self {
            capacity_bytes: 0,
            image: None,
            datastore: None,
            file: None,
            mode: "persistent".into(),
            bus: Bus::Scsi,
            controller: None,
            encrypted: false,
            raw_mapping: false,
            raw_physical: false,
            shared_bus: false,
            provisioning: Provisioning::Thin,
        }
    }
}

/// A VM to make.
#[derive(Clone, Debug)]
pub struct VmSpec {
    /// Its name. None of the same inventory folder has it.
    pub name: String,
    /// Where its files go: `[datastore]`, `[datastore] folder` or the path of the .vmx file; `None` =
    /// the first datastore of the site. Where no folder is named it is one of the VM's name, with a
    /// number behind it if that is taken.
    pub home: Option<String>,
    /// Its disks, at most 60.
    pub disks: Vec<DiskSpec>,
    /// Numbers of SCSI controllers it has besides those that its disks need, from 0 to 3.
    pub scsi_controllers: Vec<u8>,
    /// Is it running?
    pub powered_on: bool,
    /// Hardware version, the NN of `vmx-NN`.
    pub hardware_version: u32,
    /// Moref of an inventory folder, or name of one under the VM folder, which is made when missing.
    pub folder: Option<String>,
    /// `capability.changeTrackingSupported`.
    pub change_tracking_supported: bool,
    /// Notes.
    pub annotation: String,
    /// Is it a template? One is not powered on, and has no snapshots.
    pub is_template: bool,
}

impl Default for VmSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            home: None,
            disks: Vec::new(),
            scsi_controllers: Vec::new(),
            powered_on: true,
            hardware_version: 19,
            folder: None,
            change_tracking_supported: true,
            annotation: String::new(),
            is_template: false,
        }
    }
}

/// The switch for change tracking of a VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracking {
    /// `config.changeTrackingEnabled`: what is in effect.
    pub enabled: bool,
    /// What was asked for and waits for the next stun cycle.
    pub pending: Option<bool>,
    /// Was it switched on by `ctkEnabled` in the extra configuration? Then only disks are tracked
    /// whose own key says so.
    #[serde(default)]
    pub by_keys: bool,
}

/// A method someone disabled on a VM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisabledMethod {
    /// Name of the method.
    pub method: String,
    /// Who disabled it.
    pub source_id: String,
}

/// The change tracking of one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkTracking {
    /// UUID part of the change id, as it stands there.
    pub uuid: String,
    /// Sequence number that writes to this link get. When the link freezes this becomes the
    /// number of the change id.
    pub sequence: u32,
    /// Datastore path of the map.
    pub ctk_file: String,
    /// Was it switched on over snapshots, so that what lies below them is not told?
    #[serde(default)]
    pub incomplete: bool,
    /// Where the part begins that came with growth and is not tracked.
    #[serde(default)]
    pub untracked_from_bytes: Option<u64>,
    /// Are areas told one grain too far up, as after growth over a multiple of 128 GiB?
    #[serde(default)]
    pub shifted: bool,
}

/// One VMDK of a disk's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Datastore path of the descriptor.
    pub file: String,
    /// `backing.contentId`; a write changes it.
    pub content_id: String,
    /// Change tracking, when the link has it.
    pub tracking: Option<LinkTracking>,
}

/// A virtual disk of a VM, or its frozen copy in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they say independent things about a disk"
)]
pub struct Disk {
    /// Device key, from 2000.
    pub device_key: i32,
    /// `Hard disk 1` and on.
    pub label: String,
    /// Key of its controller: 1000 to 1003 for SCSI, else as [`Bus`] has it.
    pub controller_key: i32,
    /// Unit on that controller; never 7 on SCSI, which is the controller's own.
    pub unit_number: i32,
    /// Capacity, a multiple of 512.
    pub capacity_bytes: u64,
    /// `backing.uuid`.
    pub disk_uuid: String,
    /// `backing.diskMode`.
    pub mode: String,
    /// Name of its datastore.
    pub datastore: String,
    /// The links, base first; the last is the running link, or the frozen one in a snapshot.
    pub chain: Vec<Link>,
    /// Change id; only in a snapshot, and only when the disk was tracked.
    pub change_id: Option<String>,
    /// Is it encrypted?
    #[serde(default)]
    pub encrypted: bool,
    /// Is it a raw device mapping?
    #[serde(default)]
    pub raw_mapping: bool,
    /// Is it a raw device mapping in physical mode?
    #[serde(default)]
    pub raw_physical: bool,
    /// Does its controller share the bus with other machines?
    #[serde(default)]
    pub shared_bus: bool,
    /// How its space is given out.
    #[serde(default)]
    pub provisioning: Provisioning,
    /// Where it belongs, when it is another VM's disk that HotAdd attached.
    #[serde(default)]
    pub attached: Option<Attachment>,
}

impl Disk {
    /// What the disk is plugged into.
    pub fn bus(&self) -> Bus {
        Bus::of_controller(self.controller_key).unwrap_or_default()
    }

    /// May the disk be part of a snapshot?
    pub fn is_independent(&self) -> bool {
        self.mode.starts_with("independent")
    }

    /// Is the disk left out of snapshots that are made?
    pub fn takes_no_part(&self) -> bool {
        self.is_independent() || self.raw_physical
    }

    /// The last link: the running one, or the frozen one in a snapshot.
    pub fn top(&self) -> Option<&Link> {
        self.chain.last()
    }
}

/// A virtual machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they say independent things about a VM"
)]
pub struct Vm {
    /// `vm-1021` and on.
    pub moref: String,
    /// Its name.
    pub name: String,
    /// `config.instanceUuid`.
    pub instance_uuid: String,
    /// `config.uuid`.
    pub bios_uuid: String,
    /// Hardware version, the NN of `vmx-NN`.
    pub hardware_version: u32,
    /// Is it on?
    pub power_state: PowerState,
    /// Moref of its host.
    pub host: String,
    /// Moref of its inventory folder.
    pub folder: String,
    /// Moref of its resource pool; `None` = that of the compute resource.
    #[serde(default)]
    pub pool: Option<String>,
    /// Datastore path of the .vmx file.
    pub vmx_path: String,
    /// `config.guestId`.
    pub guest_id: String,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// Number of virtual CPUs.
    pub cpus: u32,
    /// Notes.
    pub annotation: String,
    /// `config.changeVersion`: another text after each change of the configuration.
    pub change_version: String,
    /// The switch for change tracking.
    pub change_tracking: Tracking,
    /// `capability.changeTrackingSupported`.
    pub change_tracking_supported: bool,
    /// Its disks in the running state.
    pub disks: Vec<Disk>,
    /// Numbers of SCSI controllers it has besides those that its disks need.
    #[serde(default)]
    pub scsi_controllers: Vec<u8>,
    /// Entries of `extraConfig` besides those the server makes.
    #[serde(default)]
    pub extra_config: BTreeMap<String, String>,
    /// Devices besides disks and their controllers by their key, as the server keeps them.
    #[serde(default)]
    pub other_devices: BTreeMap<i32, serde_json::Value>,
    /// Settings besides those that have a place of their own, by their names in a specification, as
    /// the server keeps them.
    #[serde(default)]
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Types of controllers by their key, where they are not the usual ones of their bus.
    #[serde(default)]
    pub controller_types: BTreeMap<i32, String>,
    /// Its snapshots, oldest first; `parent` makes the tree.
    pub snapshots: Vec<Snapshot>,
    /// The snapshot the running state stands on.
    pub current_snapshot: Option<String>,
    /// Methods that were disabled.
    pub disabled_methods: Vec<DisabledMethod>,
    /// Links are left that no snapshot needs.
    pub consolidation_needed: bool,
    /// Is it a template?
    #[serde(default)]
    pub is_template: bool,
    /// What comes of quiescing its guest.
    #[serde(default)]
    pub quiescing: Quiescing,
    /// Did its .vmx file lie elsewhere when it was written?
    #[serde(default)]
    pub lay_elsewhere: bool,
    /// What it asks.
    #[serde(default)]
    pub question: Option<Question>,
    /// When it was last powered on.
    #[serde(default)]
    pub booted: Option<String>,
}

impl Vm {
    /// The disk with that device key, in the running state.
    pub fn disk(&self, device_key: i32) -> Option<&Disk> {
        self.disks.iter().find(|disk| disk.device_key == device_key)
    }

    /// The numbers of its SCSI controllers.
    pub fn scsi_bus_numbers(&self) -> BTreeSet<i32> {
        let used = self.disks.iter().filter(|disk| disk.bus() == Bus::Scsi);
        used.map(|disk| Bus::Scsi.number(disk.controller_key))
            .chain(self.scsi_controllers.iter().copied().map(i32::from))
            .collect()
    }

    /// The keys of its controllers, without those of IDE that every VM has.
    pub fn controllers(&self) -> BTreeSet<i32> {
        let of_disks = self.disks.iter().map(|disk| disk.controller_key);
        let spare = self.scsi_controllers.iter().copied();
        let spare = spare.map(|number| Bus::Scsi.controller_key(i32::from(number)));
        let keys = of_disks
            .chain(spare)
            .chain(self.controller_types.keys().copied());
        keys.filter(|key| Bus::of_controller(*key) != Some(Bus::Ide))
            .collect()
    }

    /// Is one of its disks encrypted?
    pub fn is_encrypted(&self) -> bool {
        self.disks.iter().any(|disk| disk.encrypted)
    }

    /// The label of the next disk: the lowest `Hard disk N` that is free.
    pub(crate) fn next_label(&self) -> String {
        let mut labels = (1..).map(|number| format!("Hard disk {number}"));
        let taken = |label: &String| self.disks.iter().any(|disk| disk.label == *label);
        labels.find(|label| !taken(label)).unwrap_or_default()
    }

    /// The snapshot of that moref.
    pub fn snapshot(&self, moref: &str) -> Option<&Snapshot> {
        self.snapshots
            .iter()
            .find(|snapshot| snapshot.moref == moref)
    }

    /// The disks of the running state, or those frozen in a snapshot of this VM.
    pub(crate) fn disks_of(&self, snapshot: Option<&str>) -> Result<&[Disk], Error> {
        match snapshot {
            None => Ok(&self.disks),
            Some(moref) => self
                .snapshot(moref)
                .map(|snapshot| snapshot.disks.as_slice())
                .ok_or_else(|| Error::not_found(Kind::Snapshot, moref)),
        }
    }
}
