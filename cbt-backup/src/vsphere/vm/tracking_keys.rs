//! What the VM's own settings say of change tracking, for the VM and for single disks.

use std::collections::BTreeMap;

/// The end of every key of ours.
const CTK_ENABLED: &str = "ctkEnabled";

/// `ctkEnabled` and `scsi0:0.ctkEnabled` of the VM's extra settings ("vsphere-api.md" 3.3).
///
/// They appear when tracking is switched on and vanish when it is switched off. Someone may
/// have set one to false by hand: that disk then has no change id although the VM is tracked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackingKeys {
    /// `ctkEnabled`, if it is there.
    pub vm: Option<bool>,
    /// By the address of the disk in lower case, such as `scsi0:0`.
    disks: BTreeMap<String, bool>,
}

impl TrackingKeys {
    /// What is set for the disk at `address`, such as `scsi0:0`; nothing if nothing is.
    pub fn disk(&self, address: &str) -> Option<bool> {
        self.disks.get(&address.to_ascii_lowercase()).copied()
    }

    /// All disks that have a setting, with it.
    pub fn disks(&self) -> impl Iterator<Item = (&str, bool)> {
        self.disks
            .iter()
            .map(|(address, on)| (address.as_str(), *on))
    }

    /// True if nothing is set at all.
    pub fn is_empty(&self) -> bool {
        self.vm.is_none() && self.disks.is_empty()
    }

    /// Keeps one extra setting if it is one of these.
    pub(in crate::vsphere) fn note(&mut self, key: &str, value: &str) {
        let on = matches!(
            value.trim().to_ascii_lowercase().as_str(),
            "true" | "1" | "yes" | "on"
        );
        if key.eq_ignore_ascii_case(CTK_ENABLED) {
            self.vm = Some(on);
        } else if let Some((address, last)) = key.rsplit_once('.')
            && last.eq_ignore_ascii_case(CTK_ENABLED)
            && address.contains(':')
        {
            self.disks.insert(address.to_ascii_lowercase(), on);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TrackingKeys;

    #[test]
    fn keys_of_every_bus_are_kept_and_others_are_not() {
        let mut keys = TrackingKeys::default();
        for (key, value) in [
            ("ctkEnabled", "TRUE"),
            ("scsi0:0.ctkEnabled", "TRUE"),
            ("sata1:3.CtkEnabled", "false"),
            ("nvme0:1.ctkEnabled", "FALSE"),
            ("SCSI1:15.ctkenabled", "true"),
            ("scsi0:0.redo", ""),
            ("guestinfo.ctkEnabled", "TRUE"),
            ("nvram", "a.nvram"),
        ] {
            keys.note(key, value);
        }
        assert_eq!(keys.vm, Some(true));
        assert_eq!(keys.disk("scsi0:0"), Some(true));
        assert_eq!(keys.disk("sata1:3"), Some(false));
        assert_eq!(keys.disk("nvme0:1"), Some(false));
        assert_eq!(keys.disk("scsi1:15"), Some(true));
        assert_eq!(keys.disk("scsi0:1"), None);
        assert_eq!(keys.disks().count(), 4);
        assert!(!keys.is_empty() && TrackingKeys::default().is_empty());
    }
}
