//! Devices to be added, from the old ones: in the order that gives the old names in the guest.

use std::collections::BTreeSet;

use super::disk::{is_raw, new_disk, reason_to_leave_out};
use super::later::LaterDisk;
use super::{SpecOptions, bad, network};
use crate::vsphere::device::is_network_card;
use crate::vsphere::error::Error;
use crate::vsphere::xml::Node;

/// Devices that every VM has by itself.
const BY_ITSELF: &[&str] = &[
    "VirtualIDEController",
    "VirtualPS2Controller",
    "VirtualPCIController",
    "VirtualSIOController",
    "VirtualKeyboard",
    "VirtualPointingDevice",
    "VirtualMachineVideoCard",
    "VirtualMachineVMCIDevice",
];
const SCSI: &[&str] = &[
    "ParaVirtualSCSIController",
    "VirtualLsiLogicController",
    "VirtualLsiLogicSASController",
    "VirtualBusLogicController",
];
/// Controllers to be added that have nothing but a bus number.
const PLAIN: &[&str] = &[
    "VirtualAHCIController",
    "VirtualNVMEController",
    "VirtualUSBController",
    "VirtualUSBXHCIController",
];
/// The unit of a SCSI controller itself.
const SCSI_ITSELF: i64 = 7;

/// The changes that add devices.
#[derive(Debug, Default)]
pub(super) struct Devices {
    /// With the VM.
    pub(super) now: Vec<Node>,
    /// Afterwards, one by one: disks on other datastores.
    pub(super) later: Vec<LaterDisk>,
    /// What is not added, in words.
    pub(super) left_out: Vec<String>,
}

/// A device of the old VM.
pub(super) struct Old<'n> {
    node: &'n Node,
    pub(super) kind: &'n str,
    pub(super) key: i64,
    pub(super) controller: i64,
    pub(super) unit: i64,
    pub(super) bus: i64,
}

impl<'n> Old<'n> {
    fn of(node: &'n Node) -> Result<Self, Error> {
        let number = |name: &str| node.child_text(name).and_then(|text| text.parse().ok());
        Ok(Self {
            node,
            kind: node.xsi_type.as_deref().unwrap_or_default(),
            key: number("key").ok_or_else(|| bad("a device has no key"))?,
            controller: number("controllerKey").unwrap_or(0),
            unit: number("unitNumber").unwrap_or(0),
            bus: number("busNumber").unwrap_or(0),
        })
    }

    /// All devices, in the order of the list.
    pub(super) fn all(hardware: &'n Node) -> Result<Vec<Self>, Error> {
        let devices = hardware.children.iter().filter(|n| n.name == "device");
        devices.map(Self::of).collect()
    }

    /// True for network cards.
    pub(super) fn is_card(&self) -> bool {
        is_network_card(self.kind)
    }

    fn children_named(&self, names: &[&str]) -> Vec<Node> {
        let children = self.node.children.iter();
        let named = children.filter(|child| names.contains(&child.name.as_str()));
        named.cloned().collect()
    }

    fn label(&self) -> &str {
        let info = self.node.child("deviceInfo");
        let label = info.and_then(|info| info.child_text("label"));
        label.unwrap_or(self.kind)
    }
}

impl Devices {
    pub(super) fn of(olds: &[Old<'_>], options: &SpecOptions) -> Result<Self, Error> {
        let mut devices = Self::default();
        let mut controllers: Vec<&Old<'_>> = olds
            .iter()
            .filter(|old| SCSI.contains(&old.kind) || PLAIN.contains(&old.kind))
            .collect();
        // A bus that is skipped would get its controller out of turn.
        controllers.sort_by_key(|old| {
            let is_scsi = SCSI.contains(&old.kind);
            (!is_scsi, if is_scsi { "" } else { old.kind }, old.bus)
        });
        let added: BTreeSet<i64> = controllers.iter().map(|old| old.key).collect();
        for old in &controllers {
            devices.now.push(add(controller(old), old.kind, None));
        }
        let mut disks: Vec<&Old<'_>> = olds.iter().filter(|o| o.kind == "VirtualDisk").collect();
        let bus = |key: i64| {
            olds.iter()
                .find(|old| old.key == key)
                .map_or(0, |old| old.bus)
        };
        disks.sort_by_key(|old| (bus(old.controller), old.controller, old.unit));
        for old in disks {
            let is_scsi = olds
                .iter()
                .any(|c| c.key == old.controller && SCSI.contains(&c.kind));
            if is_scsi && old.unit == SCSI_ITSELF {
                return Err(bad("a disk has the unit of its controller"));
            }
            let controller = controllers.iter().find(|c| c.key == old.controller);
            devices.disk(old, controller.copied(), &added, options);
        }
        for old in olds {
            devices.other(old, &added, options);
        }
        Ok(devices)
    }

    /// `controller` is the disk's if it is added with the VM.
    fn disk(
        &mut self,
        old: &Old<'_>,
        controller: Option<&Old<'_>>,
        added: &BTreeSet<i64>,
        options: &SpecOptions,
    ) {
        let new = match reason_to_leave_out(old.node) {
            Some(reason) => Err(reason),
            None => new_disk(old.node, options).ok_or("a disk of unknown kind or size"),
        };
        let new = match new {
            Ok(new) => new,
            Err(reason) => {
                self.left_out.push(format!("{}: {reason}", old.label()));
                return;
            }
        };
        if options.encryption.strips_disk(old.node) {
            self.left_out
                .push(format!("{}: its encryption", old.label()));
        }
        if is_raw(old.node) {
            let label = old.label();
            self.left_out.push(format!(
                "{label}: it was a raw device in virtual mode, and becomes a flat disk"
            ));
        }
        let mut children = vec![temporary_key(old.key), new.backing];
        children.extend(place(old, added));
        children.extend(new.rest);
        let device = Node::of("device", children);
        let mut change = add(device, old.kind, Some("create"));
        change.children.extend(options.encryption.of_disk(old.node));
        if new.datastore == options.datastore {
            self.now.push(change);
        } else {
            let controller = controller.map(|c| (c.kind.to_owned(), c.bus));
            self.later.push(LaterDisk::new(change, controller));
        }
    }

    fn other(&mut self, old: &Old<'_>, added: &BTreeSet<i64>, options: &SpecOptions) {
        let mut device = match old.kind {
            "VirtualDisk" => return,
            kind if added.contains(&old.key) || BY_ITSELF.contains(&kind) => return,
            kind if is_network_card(kind) => network::card(old.node, options),
            // A medium that is gone would make the whole call fail.
            "VirtualCdrom" => disconnected(
                Node::of(
                    "backing",
                    vec![
                        Node::leaf("deviceName", ""),
                        Node::leaf("exclusive", "false"),
                    ],
                )
                .typed("VirtualCdromRemotePassthroughBackingInfo"),
                place(old, added),
            ),
            "VirtualFloppy" => disconnected(
                Node::of("backing", vec![Node::leaf("deviceName", "")])
                    .typed("VirtualFloppyRemoteDeviceBackingInfo"),
                place(old, added),
            ),
            "VirtualTPM" if options.encryption.keeps_bundle() => Node::of(
                "device",
                old.children_named(&[
                    "endorsementKeyCertificateSigningRequest",
                    "endorsementKeyCertificate",
                ]),
            ),
            "VirtualTPM" => {
                let label = old.label();
                self.left_out.push(format!(
                    "{label}: what it holds is sealed with the keys of the old VM"
                ));
                return;
            }
            kind => {
                self.left_out.push(format!("{} ({kind})", old.label()));
                return;
            }
        };
        device.children.insert(0, temporary_key(old.key));
        self.now.push(add(device, old.kind, None));
    }
}

fn temporary_key(old: i64) -> Node {
    Node::leaf("key", (-old.abs()).to_string())
}

/// Controller and unit. What hangs on a controller that the server makes keeps its real key.
fn place(old: &Old<'_>, added: &BTreeSet<i64>) -> Vec<Node> {
    let key = if added.contains(&old.controller) {
        -old.controller.abs()
    } else {
        old.controller
    };
    vec![
        Node::leaf("controllerKey", key.to_string()),
        Node::leaf("unitNumber", old.unit.to_string()),
    ]
}

fn controller(old: &Old<'_>) -> Node {
    let mut children = vec![
        temporary_key(old.key),
        Node::leaf("busNumber", old.bus.to_string()),
    ];
    if SCSI.contains(&old.kind) {
        let shared = old.node.child_text("sharedBus").unwrap_or("noSharing");
        children.push(Node::leaf("sharedBus", shared));
    }
    Node::of("device", children)
}

fn disconnected(backing: Node, place: Vec<Node>) -> Node {
    let connectable = Node::of(
        "connectable",
        vec![
            Node::leaf("startConnected", "false"),
            Node::leaf("allowGuestControl", "true"),
            Node::leaf("connected", "false"),
        ],
    );
    let mut children = vec![backing, connectable];
    children.extend(place);
    Node::of("device", children)
}

/// The change that adds a device.
fn add(device: Node, kind: &str, file_operation: Option<&str>) -> Node {
    let mut children = vec![Node::leaf("operation", "add")];
    children.extend(file_operation.map(|what| Node::leaf("fileOperation", what)));
    children.push(device.typed(kind));
    Node::of("deviceChange", children)
}
