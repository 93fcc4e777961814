//! The `ctkEnabled` keys of the extra configuration ("vSphere API reference", 3.3): what a user wrote
//! there, and what the server shows.

use std::collections::BTreeMap;

use crate::{Disk, Vm};

/// The key of a VM. Those of its disks have their slot before it.
const KEY: &str = "ctkEnabled";

/// The key of a disk, such as `scsi0:1.ctkEnabled`.
pub(crate) fn key_of(disk: &Disk) -> String {
    let bus = disk.bus();
    let number = bus.number(disk.controller_key);
    format!("{}{number}:{}.{KEY}", bus.word(), disk.unit_number)
}

/// What an entry says; `None` = it says neither.
fn flag(entries: &BTreeMap<String, String>, key: &str) -> Option<bool> {
    let value = entries.get(key)?;
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

impl Vm {
    /// What a user wrote about the tracking of the VM.
    pub(crate) fn tracking_key(&self) -> Option<bool> {
        flag(&self.extra_config, KEY)
    }

    /// Shall the disk be tracked where the VM is?
    pub(crate) fn wants_tracked(&self, disk: &Disk) -> bool {
        flag(&self.extra_config, &key_of(disk)).unwrap_or(!self.change_tracking.by_keys)
    }

    /// The keys go with a switch by the API: all that say "on" when it is switched off, and that of
    /// the VM in any case. A disk that is switched off stays so.
    pub(crate) fn drop_tracking_keys(&mut self, enabled: bool) {
        self.extra_config.remove(KEY);
        if !enabled {
            let says_on = |value: &str| value.eq_ignore_ascii_case("true");
            self.extra_config
                .retain(|key, value| !(key.ends_with(".ctkEnabled") && says_on(value)));
        }
    }

    /// All entries of the extra configuration that the VM shows, those that tracking makes among
    /// them. What a user wrote shows as written, and each key once.
    pub fn shown_extra_config(&self, tracking: bool, disks: &[Disk]) -> BTreeMap<String, String> {
        let mut shown = BTreeMap::new();
        if tracking {
            shown.insert(KEY.to_owned(), "TRUE".to_owned());
            let taking_part = disks.iter().filter(|disk| !disk.takes_no_part());
            for disk in taking_part.filter(|disk| self.wants_tracked(disk)) {
                shown.insert(key_of(disk), "TRUE".to_owned());
            }
        }
        shown.extend(self.extra_config.clone());
        shown
    }
}
