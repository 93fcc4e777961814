//! Where the disks of a VM are plugged in.

/// Disks of a VM: as many as it has units.
pub(crate) const MAX_DISKS: usize = 60;
const CONTROLLERS: i32 = 4;
/// Units beside the controller's own.
const UNITS_PER_CONTROLLER: i32 = 15;
/// The unit that the controller itself has ("vSphere Web Services API" section 3.2).
const CONTROLLER_UNIT: i32 = 7;

/// Where a disk is plugged in.
pub(crate) struct Slot {
    pub(crate) device_key: i32,
    pub(crate) controller_key: i32,
    pub(crate) unit_number: i32,
}

impl Slot {
    /// All slots, in the order they are given out. Units skip the controller's own.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        (0..CONTROLLERS)
            .flat_map(|controller| (0..=UNITS_PER_CONTROLLER).map(move |unit| (controller, unit)))
            .filter(|(_, unit)| *unit != CONTROLLER_UNIT)
            .map(|(controller, unit_number)| Self {
                device_key: 2000 + controller * 16 + unit_number,
                controller_key: 1000 + controller,
                unit_number,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_skip_the_unit_of_the_controller() {
        let slots: Vec<_> = Slot::all().collect();
        assert_eq!(slots.len(), MAX_DISKS);
        assert_eq!(
            (
                slots[6].device_key,
                slots[7].device_key,
                slots[7].unit_number
            ),
            (2006, 2008, 8)
        );
        assert_eq!(
            (
                slots[15].device_key,
                slots[15].controller_key,
                slots[15].unit_number
            ),
            (2016, 1001, 0)
        );
        assert_eq!(
            (slots[59].device_key, slots[59].controller_key),
            (2063, 1003)
        );
        assert!(slots.iter().all(|slot| slot.unit_number != CONTROLLER_UNIT));
    }
}
