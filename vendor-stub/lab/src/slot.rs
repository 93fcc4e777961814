//! Where the disks of a VM are plugged in ("vSphere Web Services API" section 3.2).

use serde::{Deserialize, Serialize};

/// SCSI disks of a VM: as many as four controllers have units.
pub(crate) const MAX_DISKS: usize = 60;
/// The unit that a SCSI controller itself has.
const SCSI_CONTROLLER_UNIT: i32 = 7;

/// What a disk is plugged into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Bus {
    /// A SCSI controller, keys 1000 to 1003.
    #[default]
    Scsi,
    /// An IDE channel, keys 200 and 201.
    Ide,
    /// A SATA controller, keys 15000 to 15003.
    Sata,
    /// An NVMe controller, keys 31000 to 31003.
    Nvme,
}

/// How the slots of a bus are counted.
struct Plan {
    first_controller_key: i32,
    controllers: i32,
    /// Units of a controller, with the one it may keep for itself.
    units: i32,
    first_device_key: i32,
}

impl Bus {
    const ALL: [Self; 4] = [Self::Scsi, Self::Ide, Self::Sata, Self::Nvme];

    /// The bus of a controller.
    pub fn of_controller(controller_key: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|bus| {
            let plan = bus.plan();
            (0..plan.controllers).contains(&(controller_key - plan.first_controller_key))
        })
    }

    /// The number of a controller on its bus, from 0.
    pub fn number(self, controller_key: i32) -> i32 {
        controller_key - self.plan().first_controller_key
    }

    /// The key of the controller of that number.
    pub fn controller_key(self, number: i32) -> i32 {
        self.plan().first_controller_key + number
    }

    /// The word for it in a .vmx file, such as `scsi`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Scsi => "scsi",
            Self::Ide => "ide",
            Self::Sata => "sata",
            Self::Nvme => "nvme",
        }
    }

    /// The type that a controller of the bus has unless it is told otherwise.
    pub fn controller_type(self) -> &'static str {
        match self {
            Self::Scsi => "ParaVirtualSCSIController",
            Self::Sata => "VirtualAHCIController",
            Self::Nvme => "VirtualNVMEController",
            Self::Ide => "VirtualIDEController",
        }
    }

    /// The units of a controller of the bus that devices can have. One of a SCSI controller is its own.
    pub fn units(self) -> impl Iterator<Item = i32> {
        (0..self.plan().units)
            .filter(move |unit| self != Self::Scsi || *unit != SCSI_CONTROLLER_UNIT)
    }

    fn plan(self) -> Plan {
        let plan = |first_controller_key, controllers, units, first_device_key| Plan {
            first_controller_key,
            controllers,
            units,
            first_device_key,
        };
        match self {
            Self::Scsi => plan(1000, 4, 16, 2000),
            Self::Ide => plan(200, 2, 2, 3000),
            Self::Sata => plan(15_000, 4, 30, 16_000),
            Self::Nvme => plan(31_000, 4, 15, 32_000),
        }
    }
}

/// Where a disk is plugged in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) device_key: i32,
    pub(crate) controller_key: i32,
    pub(crate) unit_number: i32,
}

impl Slot {
    /// All slots of a bus, in the order they are given out. SCSI units skip the controller's own.
    pub(crate) fn all(bus: Bus) -> impl Iterator<Item = Self> {
        let plan = bus.plan();
        (0..plan.controllers)
            .flat_map(move |controller| bus.units().map(move |unit| (controller, unit)))
            .map(move |(controller, unit_number)| Self {
                device_key: plan.first_device_key + controller * plan.units + unit_number,
                controller_key: plan.first_controller_key + controller,
                unit_number,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_skip_the_unit_of_the_controller() {
        let slots: Vec<_> = Slot::all(Bus::Scsi).collect();
        assert_eq!(slots.len(), MAX_DISKS);
        let place = |index: usize| {
            let Slot {
                device_key,
                controller_key,
                unit_number,
            } = slots[index];
            (device_key, controller_key, unit_number)
        };
        assert_eq!((slots[6].device_key, place(7)), (2006, (2008, 1000, 8)));
        assert_eq!(place(15), (2016, 1001, 0));
        assert_eq!(place(59), (2063, 1003, 15));
        assert!(slots.iter().all(|slot| slot.unit_number != 7));
    }

    #[test]
    fn a_controller_key_tells_its_bus() {
        for bus in Bus::ALL {
            for slot in Slot::all(bus) {
                assert_eq!(Bus::of_controller(slot.controller_key), Some(bus));
            }
        }
        assert_eq!(Bus::of_controller(1004), None);
        assert_eq!(Bus::Scsi.number(1003), 3);
    }
}
