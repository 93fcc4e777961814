//! Devices of a VM: controllers, and what a disk is made from.

use std::fmt;

use super::disk::{Backing, read_backing};
use super::xml::{Reader, Tag, XmlError};

/// What kind of controller a disk hangs on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ControllerKind {
    /// VMware's paravirtual SCSI.
    ParaVirtualScsi,
    /// LSI Logic SCSI.
    LsiLogic,
    /// LSI Logic SAS.
    LsiLogicSas,
    /// BusLogic SCSI.
    BusLogic,
    /// SATA.
    Ahci,
    /// NVMe.
    Nvme,
    /// IDE.
    Ide,
    /// A type this client does not know.
    Other(String),
}

impl ControllerKind {
    fn from_type(name: &str) -> Self {
        match name {
            "ParaVirtualSCSIController" => Self::ParaVirtualScsi,
            "VirtualLsiLogicController" => Self::LsiLogic,
            "VirtualLsiLogicSASController" => Self::LsiLogicSas,
            "VirtualBusLogicController" => Self::BusLogic,
            "VirtualAHCIController" => Self::Ahci,
            "VirtualNVMEController" => Self::Nvme,
            "VirtualIDEController" => Self::Ide,
            other => Self::Other(other.to_owned()),
        }
    }

    /// vSphere's own name of the type.
    pub fn as_str(&self) -> &str {
        match self {
            Self::ParaVirtualScsi => "ParaVirtualSCSIController",
            Self::LsiLogic => "VirtualLsiLogicController",
            Self::LsiLogicSas => "VirtualLsiLogicSASController",
            Self::BusLogic => "VirtualBusLogicController",
            Self::Ahci => "VirtualAHCIController",
            Self::Nvme => "VirtualNVMEController",
            Self::Ide => "VirtualIDEController",
            Self::Other(name) => name,
        }
    }

    /// True for the kinds that disks hang on, as far as they are known here.
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other(_))
    }

    /// The start of names such as `scsi0:1`.
    fn prefix(&self) -> &str {
        match self {
            Self::ParaVirtualScsi | Self::LsiLogic | Self::LsiLogicSas | Self::BusLogic => "scsi",
            Self::Ahci => "sata",
            Self::Nvme => "nvme",
            Self::Ide => "ide",
            Self::Other(name) => name,
        }
    }
}

/// May a controller's disks be seen by several VMs?
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SharedBus {
    /// No, or the controller knows no sharing.
    No,
    /// By VMs of the same host.
    Virtual,
    /// By VMs of any host.
    Physical,
    /// A value this client does not know.
    Other(String),
}

/// The controller of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Its device key.
    pub key: i32,
    /// What it is.
    pub kind: ControllerKind,
    /// Its number among its kind.
    pub bus_number: i32,
    /// Whether its disks are shared.
    pub shared_bus: SharedBus,
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind.prefix(), self.bus_number)
    }
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkCard {
    /// Its device key.
    pub device_key: i32,
    /// What the client of the administrator calls it, such as `Network adapter 1`.
    pub label: String,
    /// vSphere's own name of its type, such as `VirtualVmxnet3`.
    pub kind: String,
    /// Its address, if the server has given one.
    pub mac_address: Option<String>,
}

/// The types of network cards.
const CARDS: &[&str] = &[
    "VirtualVmxnet3",
    "VirtualVmxnet2",
    "VirtualVmxnet",
    "VirtualE1000",
    "VirtualE1000e",
    "VirtualPCNet32",
];

/// True if `kind` is a type of network card.
pub(super) fn is_network_card(kind: &str) -> bool {
    CARDS.contains(&kind)
}

/// Any device, as far as disks and cards need it.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) key: i32,
    pub(super) is_disk: bool,
    pub(super) is_tpm: bool,
    pub(super) label: String,
    pub(super) controller_key: Option<i32>,
    pub(super) unit: Option<i32>,
    pub(super) capacity_bytes: Option<u64>,
    pub(super) backing: Option<Backing>,
    /// Set for controllers.
    pub(super) controller: Option<Controller>,
    /// Set for network cards.
    pub(super) card: Option<NetworkCard>,
}

/// Reads the items of a device list, whatever they are called: `device` in a data object,
/// `VirtualDevice` in an array ("vsphere-api.md" 1.9).
pub(super) fn read_device(r: &mut Reader<'_>, tag: &Tag) -> Result<Device, XmlError> {
    let type_name = tag.xsi_type.as_deref().unwrap_or_default();
    let is_disk = type_name == "VirtualDisk";
    let (mut key, mut bus_number) = (None, None);
    let mut shared_bus = SharedBus::No;
    let mut size = Size::default();
    let mut mac_address = None;
    let mut device = Device {
        key: 0,
        is_disk,
        is_tpm: type_name == "VirtualTPM",
        label: String::new(),
        controller_key: None,
        unit: None,
        capacity_bytes: None,
        backing: None,
        controller: None,
        card: None,
    };
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "key" => key = Some(r.number(tag)?),
            "deviceInfo" => device.label = read_label(r, tag)?,
            "controllerKey" => device.controller_key = Some(r.number(tag)?),
            "unitNumber" => device.unit = Some(r.number(tag)?),
            "busNumber" => bus_number = Some(r.number(tag)?),
            "sharedBus" => shared_bus = read_shared_bus(r.text(tag)?),
            "backing" if is_disk => device.backing = Some(read_backing(r, tag)?),
            "macAddress" => mac_address = Some(r.text(tag)?),
            "capacityInBytes" if is_disk => size.bytes = Some(r.number(tag)?),
            "capacityInKB" if is_disk => size.kib = Some(r.number(tag)?),
            _ => {}
        }
        Ok(())
    })?;
    device.key = key.ok_or(XmlError::Missing {
        element: "key",
        inside: "VirtualDevice",
    })?;
    if is_disk {
        device.capacity_bytes = Some(size.in_bytes()?);
    }
    device.card = is_network_card(type_name).then(|| NetworkCard {
        device_key: device.key,
        label: device.label.clone(),
        kind: type_name.to_owned(),
        mac_address: mac_address.filter(|address: &String| !address.is_empty()),
    });
    device.controller = bus_number.map(|bus_number| Controller {
        key: device.key,
        kind: ControllerKind::from_type(type_name),
        bus_number,
        shared_bus,
    });
    Ok(device)
}

/// The two sizes of a disk; the one in bytes is exact, and newer than the other.
#[derive(Default)]
struct Size {
    bytes: Option<i64>,
    kib: Option<i64>,
}

impl Size {
    fn in_bytes(&self) -> Result<u64, XmlError> {
        let bytes = self
            .bytes
            .or(self.kib.and_then(|kib| kib.checked_mul(1024)));
        let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
        bytes.ok_or(XmlError::Missing {
            element: "a capacity",
            inside: "VirtualDisk",
        })
    }
}

fn read_label(r: &mut Reader<'_>, tag: &Tag) -> Result<String, XmlError> {
    let mut label = String::new();
    r.children(tag, |r, tag| {
        if tag.name == "label" {
            label = r.text(tag)?;
        }
        Ok(())
    })?;
    Ok(label)
}

fn read_shared_bus(text: String) -> SharedBus {
    match text.as_str() {
        "noSharing" | "" => SharedBus::No,
        "virtualSharing" => SharedBus::Virtual,
        "physicalSharing" => SharedBus::Physical,
        _ => SharedBus::Other(text),
    }
}
