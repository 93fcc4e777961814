//! The order of devices to boot from, which names devices by keys: it can be given to the new VM
//! once the server has given keys to its devices ("vSphere API reference, 7.4").

use super::ConfigSpec;
use super::device::Old;
use crate::vsphere::vm::Vm;
use crate::vsphere::xml::Node;

const DISK: &str = "VirtualMachineBootOptionsBootableDiskDevice";
const CARD: &str = "VirtualMachineBootOptionsBootableEthernetDevice";

/// The boot order of the old VM, by the places of its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootOrder {
    places: Vec<Place>,
}

/// One device to boot from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// The disk at this place.
    Disk {
        controller: String,
        bus: i64,
        unit: i64,
    },
    /// The network card that is the n-th, from 0.
    Card(usize),
    /// Whatever is of this kind.
    Kind(String),
    /// A device that the old configuration does not have.
    Lost(String),
}

impl BootOrder {
    /// The order in `config`; nothing if the VM boots from what it finds.
    pub(super) fn of(config: &Node, olds: &[Old<'_>]) -> Option<Self> {
        let options = config.child("bootOptions")?;
        let order = options.children.iter().filter(|n| n.name == "bootOrder");
        let places: Vec<Place> = order.map(|entry| Place::of(entry, olds)).collect();
        (!places.is_empty()).then_some(Self { places })
    }

    /// The change that gives the order to `vm`, once it has all its devices. Those that it lacks
    /// are in [`ConfigSpec::left_out`]; with none at all there is nothing to change.
    pub fn spec(&self, vm: &Vm) -> Option<ConfigSpec> {
        let mut left_out = Vec::new();
        let mut order = Vec::new();
        for place in &self.places {
            match place.entry(vm) {
                Ok(entry) => order.push(entry),
                Err(missing) => left_out.push(format!("boot order: {missing}")),
            }
        }
        if order.is_empty() {
            return None;
        }
        let mut spec = ConfigSpec::of(vec![Node::of("bootOptions", order)]);
        spec.left_out = left_out;
        Some(spec)
    }
}

impl Place {
    fn of(entry: &Node, olds: &[Old<'_>]) -> Self {
        let kind = entry.xsi_type.as_deref().unwrap_or_default();
        if kind != DISK && kind != CARD {
            return Self::Kind(kind.to_owned());
        }
        let key = entry.child_text("deviceKey").unwrap_or_default();
        let lost = || Self::Lost(format!("a device of key {key}"));
        let Some(old) = olds.iter().find(|old| key.parse() == Ok(old.key)) else {
            return lost();
        };
        if kind == CARD {
            let mut cards: Vec<i64> = olds.iter().filter(|o| o.is_card()).map(|o| o.key).collect();
            cards.sort_unstable();
            let place = cards.iter().position(|card| *card == old.key);
            return place.map_or_else(lost, Self::Card);
        }
        let controller = olds.iter().find(|o| o.key == old.controller);
        controller.map_or_else(lost, |controller| Self::Disk {
            controller: controller.kind.to_owned(),
            bus: controller.bus,
            unit: old.unit,
        })
    }

    fn entry(&self, vm: &Vm) -> Result<Node, String> {
        let (kind, key) = match self {
            Self::Disk {
                controller,
                bus,
                unit,
            } => {
                let disk = vm.disks.iter().find(|disk| {
                    let of = disk.controller.as_ref();
                    disk.unit.map(i64::from) == Some(*unit)
                        && of.is_some_and(|c| {
                            c.kind.as_str() == controller && i64::from(c.bus_number) == *bus
                        })
                });
                let missing = || format!("the disk at unit {unit} of {controller} {bus}");
                (DISK, Some(disk.ok_or_else(missing)?.device_key))
            }
            Self::Card(place) => {
                let card = vm.network_cards.get(*place);
                let missing = || format!("network card {}", place + 1);
                (CARD, Some(card.ok_or_else(missing)?.device_key))
            }
            Self::Kind(kind) => (kind.as_str(), None),
            Self::Lost(what) => return Err(what.clone()),
        };
        let key = key.map(|key| Node::leaf("deviceKey", key.to_string()));
        Ok(Node::of("bootOrder", key.into_iter().collect()).typed(kind))
    }
}
