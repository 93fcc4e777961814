//! Disks: where their content is, and whether a snapshot can hold it.

use std::fmt;

use super::device::{Controller, Device, SharedBus};
use super::moref::Moref;
use super::xml::{Reader, Tag, XmlError};

/// A virtual disk of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The device key: stable while the disk stays attached, reused later for others.
    pub device_key: i32,
    /// What the client of the administrator calls it, such as `Hard disk 1`.
    pub label: String,
    /// Its controller, if the list names it.
    pub controller: Option<Controller>,
    /// Its unit number on the controller.
    pub unit: Option<i32>,
    /// Its size in bytes.
    pub capacity_bytes: u64,
    /// Where its content is.
    pub backing: Backing,
}

/// What holds a disk's content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackingKind {
    /// A flat file, the usual one.
    FlatVer2,
    /// A space efficient sparse file.
    SeSparse,
    /// A sparse file of the hosted products.
    SparseVer2,
    /// A raw device that follows snapshots.
    RawVirtual,
    /// A raw device that does not.
    RawPhysical,
    /// A type this client does not know.
    Other(String),
}

/// The backing of a disk: the file in use and those below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backing {
    /// What it is.
    pub kind: BackingKind,
    /// The file in use, as `[datastore] folder/file.vmdk`.
    pub file_name: String,
    /// The file at the end of the chain of parents: the name that outlives snapshots.
    pub base_file_name: String,
    /// How many files the chain has, at least one.
    pub chain_links: usize,
    /// The datastore of the file in use.
    pub datastore: Option<Moref>,
    /// The disk's own UUID; copied by clones.
    pub disk_uuid: Option<String>,
    /// The landmark of change tracking; set only in the configuration of a snapshot, and only
    /// for a disk that is tracked.
    pub change_id: Option<String>,
    /// Such as `persistent` or `independent_persistent`.
    pub disk_mode: String,
    /// Such as `sharingNone`.
    pub sharing: Option<String>,
    /// Thin provisioned, where known.
    pub thin: Option<bool>,
    /// Zeroed when it was created, where known.
    pub eager_zeroed: Option<bool>,
    /// Encrypted with a key of its own.
    pub is_encrypted: bool,
}

/// Why a disk can't be part of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exclusion {
    /// Its mode leaves it out of snapshots.
    Independent {
        /// The mode.
        mode: String,
    },
    /// It forgets its changes at power-off.
    NonPersistent,
    /// It is a raw device in physical mode.
    PhysicalRdm,
    /// Its controller shares its disks with other VMs.
    SharedBus {
        /// The controller, such as `scsi1`.
        controller: String,
    },
    /// Several VMs write to it.
    MultiWriter,
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Independent { mode } => write!(f, "its mode {mode} leaves it out of snapshots"),
            Self::NonPersistent => f.write_str("it forgets its changes at power-off"),
            Self::PhysicalRdm => f.write_str("it is a raw device in physical mode"),
            Self::SharedBus { controller } => {
                write!(f, "its controller {controller} is shared with other VMs")
            }
            Self::MultiWriter => f.write_str("several VMs may write to it"),
        }
    }
}

impl Disk {
    /// Why the disk can't be backed up through a snapshot, or nothing if it can
    /// ("vsphere-api.md" 3.2). To be asked before the snapshot is made.
    pub fn exclusion(&self) -> Option<Exclusion> {
        let mode = self.backing.disk_mode.as_str();
        if mode.starts_with("independent_") {
            let mode = mode.to_owned();
            return Some(Exclusion::Independent { mode });
        }
        if mode == "nonpersistent" {
            return Some(Exclusion::NonPersistent);
        }
        if self.backing.kind == BackingKind::RawPhysical {
            return Some(Exclusion::PhysicalRdm);
        }
        if let Some(controller) = &self.controller
            && controller.shared_bus != SharedBus::No
        {
            let controller = controller.to_string();
            return Some(Exclusion::SharedBus { controller });
        }
        if self.backing.sharing.as_deref() == Some("sharingMultiWriter") {
            return Some(Exclusion::MultiWriter);
        }
        None
    }

    /// The disks among `devices`, each with its controller, in the order of the list.
    pub(super) fn from_devices(devices: Vec<Device>) -> Result<Vec<Self>, XmlError> {
        let controllers: Vec<Controller> = devices
            .iter()
            .filter_map(|device| device.controller.clone())
            .collect();
        let disks = devices.into_iter().filter(|device| device.is_disk);
        disks
            .map(|device| Self::new(device, &controllers))
            .collect()
    }

    fn new(device: Device, controllers: &[Controller]) -> Result<Self, XmlError> {
        let missing = |element| XmlError::Missing {
            element,
            inside: "VirtualDisk",
        };
        let key = device.controller_key;
        let controller = controllers.iter().find(|c| Some(c.key) == key).cloned();
        Ok(Self {
            device_key: device.key,
            label: device.label,
            controller,
            unit: device.unit,
            capacity_bytes: device.capacity_bytes.ok_or_else(|| missing("a capacity"))?,
            backing: device.backing.ok_or_else(|| missing("backing"))?,
        })
    }
}

/// Reads a backing with its chain of parents, each inside its child.
pub(super) fn read_backing(r: &mut Reader<'_>, tag: &Tag) -> Result<Backing, XmlError> {
    let type_name = tag.xsi_type.clone().unwrap_or_default();
    let mut compatibility = String::new();
    let mut parent: Option<Backing> = None;
    let mut backing = Backing {
        kind: BackingKind::Other(String::new()),
        file_name: String::new(),
        base_file_name: String::new(),
        chain_links: 1,
        datastore: None,
        disk_uuid: None,
        change_id: None,
        disk_mode: String::new(),
        sharing: None,
        thin: None,
        eager_zeroed: None,
        is_encrypted: false,
    };
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "fileName" => backing.file_name = r.text(tag)?,
            "datastore" => backing.datastore = Some(r.moref(tag)?),
            "uuid" => backing.disk_uuid = not_empty(r.text(tag)?),
            "changeId" => backing.change_id = not_empty(r.text(tag)?),
            "diskMode" => backing.disk_mode = r.text(tag)?,
            "sharing" => backing.sharing = not_empty(r.text(tag)?),
            "thinProvisioned" => backing.thin = Some(r.boolean(tag)?),
            "eagerlyScrub" => backing.eager_zeroed = Some(r.boolean(tag)?),
            "compatibilityMode" => compatibility = r.text(tag)?,
            "keyId" => backing.is_encrypted = true,
            "parent" => parent = Some(read_backing(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    backing.kind = backing_kind(type_name, &compatibility);
    match parent {
        Some(parent) => {
            backing.base_file_name = parent.base_file_name;
            backing.chain_links = parent.chain_links + 1;
        }
        None => backing.base_file_name.clone_from(&backing.file_name),
    }
    Ok(backing)
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A raw device of unknown mode counts as physical: it is then left out by name, not read wrong.
fn backing_kind(type_name: String, compatibility: &str) -> BackingKind {
    match type_name.as_str() {
        "VirtualDiskFlatVer2BackingInfo" => BackingKind::FlatVer2,
        "VirtualDiskSeSparseBackingInfo" => BackingKind::SeSparse,
        "VirtualDiskSparseVer2BackingInfo" => BackingKind::SparseVer2,
        "VirtualDiskRawDiskMappingVer1BackingInfo" if compatibility == "virtualMode" => {
            BackingKind::RawVirtual
        }
        "VirtualDiskRawDiskMappingVer1BackingInfo" => BackingKind::RawPhysical,
        _ => BackingKind::Other(type_name),
    }
}

#[cfg(test)]
mod tests {
    use super::{BackingKind, Disk, Exclusion};
    use crate::vsphere::device::{ControllerKind, SharedBus, read_device};
    use crate::vsphere::xml::{Reader, XmlError};

    fn disks(xml: &str) -> Result<Vec<Disk>, XmlError> {
        let xml = format!(r#"<h xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{xml}</h>"#);
        let mut devices = Vec::new();
        Reader::new(&xml).document(|r, root| {
            r.children(root, |r, tag| {
                devices.push(read_device(r, tag)?);
                Ok(())
            })
        })?;
        Disk::from_devices(devices)
    }

    fn disk(mode: &str, backing: &str, more: &str, shared: &str) -> Disk {
        let xml = format!(
            "<device xsi:type=\"ParaVirtualSCSIController\"><key>1000</key><busNumber>1</busNumber><device>2000</device><sharedBus>{shared}</sharedBus></device>\
             <device xsi:type=\"VirtualDisk\"><key>2000</key><backing xsi:type=\"{backing}\"><fileName>[ds] a.vmdk</fileName><diskMode>{mode}</diskMode>{more}</backing><controllerKey>1000</controllerKey><unitNumber>0</unitNumber><capacityInKB>1</capacityInKB></device>"
        );
        disks(&xml).unwrap().remove(0)
    }

    const FLAT: &str = "VirtualDiskFlatVer2BackingInfo";
    const RAW: &str = "VirtualDiskRawDiskMappingVer1BackingInfo";

    #[test]
    fn the_usual_disk_is_not_excluded() {
        let disk = disk(
            "persistent",
            FLAT,
            "<sharing>sharingNone</sharing>",
            "noSharing",
        );
        assert_eq!(disk.exclusion(), None);
        assert_eq!(disk.capacity_bytes, 1024);
        let controller = disk.controller.unwrap();
        assert_eq!(controller.kind, ControllerKind::ParaVirtualScsi);
        assert_eq!(controller.shared_bus, SharedBus::No);
        assert_eq!(controller.to_string(), "scsi1");
    }

    #[test]
    fn what_a_snapshot_can_not_hold_is_excluded_with_its_reason() {
        let reason = |mode, backing, more, shared| {
            let exclusion = disk(mode, backing, more, shared).exclusion();
            exclusion
                .map(|exclusion| exclusion.to_string())
                .unwrap_or_default()
        };
        assert!(reason("independent_persistent", FLAT, "", "noSharing").contains("independent"));
        assert!(reason("independent_nonpersistent", FLAT, "", "noSharing").contains("independent"));
        assert!(reason("nonpersistent", FLAT, "", "noSharing").contains("power-off"));
        assert!(reason("persistent", FLAT, "", "physicalSharing").contains("scsi1"));
        assert!(reason("persistent", FLAT, "", "futureSharing").contains("scsi1"));
        let writers = "<sharing>sharingMultiWriter</sharing>";
        assert!(reason("persistent", FLAT, writers, "noSharing").contains("several VMs"));
        let physical = "<compatibilityMode>physicalMode</compatibilityMode>";
        assert!(reason("", RAW, physical, "noSharing").contains("raw device"));
        assert!(reason("", RAW, "", "noSharing").contains("raw device"));
        let virtual_mode = "<compatibilityMode>virtualMode</compatibilityMode>";
        assert_eq!(reason("persistent", RAW, virtual_mode, "noSharing"), "");
        assert_eq!(
            disk("nonpersistent", FLAT, "", "noSharing").exclusion(),
            Some(Exclusion::NonPersistent)
        );
    }

    #[test]
    fn the_chain_of_parents_is_walked_to_its_end() {
        let parents = "<uuid>u</uuid><changeId></changeId><parent><fileName>[ds] a-000001.vmdk</fileName><parent><fileName>[ds] base.vmdk</fileName></parent></parent><keyId><keyId>k</keyId></keyId>";
        let backing = disk("persistent", FLAT, parents, "noSharing").backing;
        assert_eq!(backing.file_name, "[ds] a.vmdk");
        assert_eq!(backing.base_file_name, "[ds] base.vmdk");
        assert_eq!(backing.chain_links, 3);
        assert_eq!(backing.change_id, None);
        assert!(backing.is_encrypted);
    }

    #[test]
    fn bytes_win_over_kilobytes_and_a_size_is_needed() {
        let xml = |size: &str| {
            format!(
                "<d xsi:type=\"VirtualDisk\"><key>1</key><backing xsi:type=\"New\"><fileName>f</fileName></backing>{size}</d>"
            )
        };
        let both = "<capacityInKB>1</capacityInKB><capacityInBytes>1536</capacityInBytes>";
        let disk = disks(&xml(both)).unwrap().remove(0);
        assert_eq!(disk.capacity_bytes, 1536);
        assert_eq!(disk.backing.kind, BackingKind::Other("New".to_owned()));
        for bad in ["", "<capacityInBytes>-5</capacityInBytes>"] {
            assert!(disks(&xml(bad)).is_err(), "{bad}");
        }
    }
}
