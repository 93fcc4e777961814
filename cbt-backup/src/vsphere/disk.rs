//! Disks: where their content is, whether a snapshot can hold it, whether it can be tracked.

mod backing;
mod exclusion;
mod tracking;

use std::collections::HashMap;

pub(super) use backing::read_backing;
pub use backing::{Backing, BackingKind};
pub use exclusion::Exclusion;
pub use tracking::{DiskTracking, Untrackable};

use super::device::{Controller, Device};
use super::xml::XmlError;

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

impl Disk {
    /// Where it hangs, such as `scsi0:1`, if its controller is known: what the VM's settings
    /// call it.
    pub fn address(&self) -> Option<String> {
        Some(format!("{}:{}", self.controller.as_ref()?, self.unit?))
    }

    /// The disks among `devices`, each with its controller, in the order of the list.
    pub(super) fn from_devices(devices: Vec<Device>) -> Result<Vec<Self>, XmlError> {
        let mut controllers = HashMap::new();
        for controller in devices
            .iter()
            .filter_map(|device| device.controller.clone())
        {
            // Keys are unique; where a server lies, the first counts.
            controllers.entry(controller.key).or_insert(controller);
        }
        let disks = devices.into_iter().filter(|device| device.is_disk);
        disks
            .map(|device| Self::new(device, &controllers))
            .collect()
    }

    fn new(device: Device, controllers: &HashMap<i32, Controller>) -> Result<Self, XmlError> {
        let missing = |element| XmlError::Missing {
            element,
            inside: "VirtualDisk",
        };
        let key = device.controller_key;
        let controller = key.and_then(|key| controllers.get(&key)).cloned();
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
