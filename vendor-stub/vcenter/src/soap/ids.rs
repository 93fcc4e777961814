//! The ids of an ESXi host ("vSphere Web Services API" 1.8). Inside, objects have the ids
//! of the lab, which are those of a vCenter; they change on the way in and on the way out.

use std::borrow::Cow;

/// Ids of the lab and of a host.
const PAIRS: [(&str, &str); 27] = [
    ("group-d1", "ha-folder-root"),
    ("datacenter-3", "ha-datacenter"),
    ("group-v4", "ha-folder-vm"),
    ("group-h5", "ha-folder-host"),
    ("group-s6", "ha-folder-datastore"),
    ("group-n7", "ha-folder-network"),
    ("domain-s8", "ha-compute-res"),
    ("host-16", "ha-host"),
    ("network-15", "HaNetwork-VM Network"),
    ("resgroup-9", "ha-root-pool"),
    ("propertyCollector", "ha-property-collector"),
    ("SessionManager", "ha-sessionmgr"),
    ("SearchIndex", "ha-searchindex"),
    ("FileManager", "ha-nfc-file-manager"),
    ("virtualDiskManager", "ha-vdiskmanager"),
    ("AuthorizationManager", "ha-authmgr"),
    ("TaskManager", "ha-taskmgr"),
    ("EventManager", "ha-eventmgr"),
    ("PerfMgr", "ha-perfmgr"),
    ("DiagMgr", "ha-diagnosticmgr"),
    ("OvfManager", "ha-ovf-manager"),
    ("DVSManager", "ha-dvsmanager"),
    ("guestOperationsManager", "ha-guest-operations-manager"),
    ("LicenseManager", "ha-license-manager"),
    ("VpxSettings", "HostAgentSettings"),
    ("storageSystem-16", "storageSystem"),
    ("autoStartManager-16", "ha-autostart-mgr"),
];
/// The end of a datastore's id on a host, where it is that of its volume.
const VOLUME: &str = "-5e1ab0de-57ab-001b21d51c9a";
/// Marks an id of a vCenter that a client used on a host, where it means nothing.
const FOREIGN: char = '?';

/// The id as a host shows it.
pub(super) fn on_host(id: &str) -> Cow<'_, str> {
    if let Some((_, host)) = PAIRS.iter().find(|(lab, _)| *lab == id) {
        return Cow::Borrowed(host);
    }
    if let Some(number) = number(id, "vm-") {
        return Cow::Borrowed(number);
    }
    match number(id, "datastore-").and_then(|number| number.parse::<u32>().ok()) {
        Some(number) => Cow::Owned(format!("{number:08x}{VOLUME}")),
        None => Cow::Borrowed(id.strip_prefix(FOREIGN).unwrap_or(id)),
    }
}

/// The id in the lab of what a host shows under that id.
pub(super) fn in_lab(id: &str) -> Cow<'_, str> {
    if let Some((lab, _)) = PAIRS.iter().find(|(_, host)| *host == id) {
        return Cow::Borrowed(lab);
    }
    if number(id, "").is_some() {
        return Cow::Owned(format!("vm-{id}"));
    }
    let volume = id.strip_suffix(VOLUME);
    if let Some(number) = volume.and_then(|number| u32::from_str_radix(number, 16).ok()) {
        return Cow::Owned(format!("datastore-{number}"));
    }
    match on_host(id) {
        Cow::Borrowed(same) if same == id => Cow::Borrowed(id),
        _ => Cow::Owned(format!("{FOREIGN}{id}")),
    }
}

/// The digits behind a prefix, if there is nothing else.
fn number<'a>(id: &'a str, prefix: &str) -> Option<&'a str> {
    let digits = id.strip_prefix(prefix)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_as_they_went() {
        for (lab, host) in [
            ("vm-1021", "1021"),
            ("group-d1", "ha-folder-root"),
            ("datastore-17", "00000011-5e1ab0de-57ab-001b21d51c9a"),
            ("snapshot-2044", "snapshot-2044"),
            ("session[52]52", "session[52]52"),
        ] {
            assert_eq!(on_host(lab), host);
            assert_eq!(in_lab(host), lab);
        }
    }

    #[test]
    fn ids_of_a_vcenter_mean_nothing_on_a_host() {
        for id in ["vm-1021", "group-d1", "datastore-17"] {
            let inside = in_lab(id);
            assert_ne!(inside, id);
            assert_eq!(on_host(&inside), id);
        }
    }
}
