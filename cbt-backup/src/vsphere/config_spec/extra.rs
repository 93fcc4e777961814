//! Extra settings: which describe the VM, and which its old state or place.

use super::encryption::is_bundle;
use crate::vsphere::xml::Node;

/// Keys, or starts of keys that end in `*`, of state that must not come back.
const DROPPED: &[&str] = &[
    "ctkenabled",
    "nvram",
    "sched.swap.derivedname",
    "migrate.*",
    "viv.moid",
    "vmxstats.filename",
    "hostcpuid.*",
    "guestcpuid.*",
    "usercpuid.*",
    "featmask.vm.*",
    "featurecompat.*",
    "monitor.phys_bits_used",
    "numa.autosize.*",
    "softpoweroff",
    "replay.*",
    "vmotion.*",
    "guestinfo.*",
    "vmware.tools.*",
    "checkpoint.*",
];

/// Ends of keys that belong to single disks.
const DROPPED_ENDS: &[&str] = &[".ctkenabled", ".redo"];

/// The settings to be sent. Unknown ones are kept, as `*.pciSlotNumber`, by which guests know
/// their cards. The bundle of keys is of no use without the key's name, and refused with a VM
/// that is not encrypted.
pub(super) fn kept(config: &Node, keeps_bundle: bool) -> Vec<Node> {
    let settings = config.children.iter();
    settings
        .filter(|setting| setting.name == "extraConfig")
        .filter(|setting| {
            setting
                .child_text("key")
                .is_some_and(|key| !is_dropped(key) && (keeps_bundle || !is_bundle(key)))
        })
        .filter_map(|setting| {
            let key = setting.child_text("key")?;
            let value = setting
                .child("value")
                .map_or("", |value| value.text.as_str());
            // An empty value would take the key away.
            (!value.is_empty()).then(|| {
                let value = Node::leaf("value", value).typed("string");
                Node::of("extraConfig", vec![Node::leaf("key", key), value])
            })
        })
        .collect()
}

fn is_dropped(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    DROPPED
        .iter()
        .any(|dropped| match dropped.strip_suffix('*') {
            Some(start) => key.starts_with(start),
            None => key == *dropped,
        })
        || DROPPED_ENDS.iter().any(|end| key.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::is_dropped;

    #[test]
    fn state_is_dropped_and_settings_are_kept() {
        for state in [
            "ctkEnabled",
            "scsi0:0.ctkEnabled",
            "sata1:3.redo",
            "nvram",
            "migrate.hostLogState",
            "guestCPUID.0",
            "vmware.tools.internalversion",
            "numa.autosize.cookie",
            "softPowerOff",
        ] {
            assert!(is_dropped(state), "{state}");
        }
        for setting in [
            "ethernet0.pciSlotNumber",
            "disk.EnableUUID",
            "nvramx",
            "example.restore.id",
            "sched.cpu.latencySensitivity",
        ] {
            assert!(!is_dropped(setting), "{setting}");
        }
    }
}
