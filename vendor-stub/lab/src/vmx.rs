//! The .vmx file of a VM, written and read.

use std::collections::BTreeMap;

use crate::guest_word::{id_of, word_of};
use crate::tracking::change_id::spaced;
use crate::{Bus, Vm};

/// Names of the usual controllers in a .vmx file, with those of the managed types.
const CONTROLLERS: [(&str, &str); 4] = [
    ("pvscsi", "ParaVirtualSCSIController"),
    ("lsilogic", "VirtualLsiLogicController"),
    ("lsisas1068", "VirtualLsiLogicSASController"),
    ("buslogic", "VirtualBusLogicController"),
];

/// What the entries of other devices begin with. A real host has entries of its own for each kind.
pub(crate) const OTHER_DEVICE: &str = "lab.device";

/// The entry of a guest id that the word for it does not tell.
pub(crate) const GUEST_ID: &str = "lab.guestId";
/// What the entries of settings begin with that have no place of their own.
pub(crate) const SETTING: &str = "lab.setting.";

/// The configuration file of a VM.
pub(crate) fn text(vm: &Vm) -> String {
    let mut lines = vec![
        (".encoding".to_owned(), "UTF-8".to_owned()),
        ("config.version".into(), "8".into()),
        ("virtualHW.version".into(), vm.hardware_version.to_string()),
        ("displayName".into(), vm.name.clone()),
        ("annotation".into(), vm.annotation.clone()),
        ("guestOS".into(), word_of(&vm.guest_id)),
        ("memSize".into(), vm.memory_mib.to_string()),
        ("numvcpus".into(), vm.cpus.to_string()),
        ("uuid.bios".into(), ddb_uuid(&vm.bios_uuid)),
        ("uuid.location".into(), location(&vm.vmx_path)),
        ("vc.uuid".into(), ddb_uuid(&vm.instance_uuid)),
    ];
    for key in vm.controllers() {
        if let Some(bus) = Bus::of_controller(key) {
            let place = format!("{}{}", bus.word(), bus.number(key));
            lines.push((format!("{place}.present"), "TRUE".into()));
        }
    }
    for (key, type_name) in &vm.controller_types {
        let known = CONTROLLERS.iter().find(|(_, known)| known == type_name);
        if let (Some((word, _)), Some(bus)) = (known, Bus::of_controller(*key)) {
            let place = format!("{}{}", bus.word(), bus.number(*key));
            lines.push((format!("{place}.virtualDev"), (*word).into()));
        }
    }
    for disk in vm.disks.iter().filter(|disk| disk.attached.is_none()) {
        let bus = disk.bus();
        let number = bus.number(disk.controller_key);
        let place = format!("{}{number}:{}", bus.word(), disk.unit_number);
        let file = disk
            .top()
            .map_or("", |link| in_folder(&vm.vmx_path, &link.file));
        lines.push((format!("{place}.present"), "TRUE".into()));
        lines.push((format!("{place}.fileName"), file.to_owned()));
        lines.push((format!("{place}.mode"), disk.mode.replace('_', "-")));
    }
    for (key, device) in &vm.other_devices {
        lines.push((format!("{OTHER_DEVICE}{key}"), device.to_string()));
    }
    // What the word does not lead back to is told besides.
    if id_of(&word_of(&vm.guest_id)) != vm.guest_id {
        lines.push((GUEST_ID.into(), vm.guest_id.clone()));
    }
    for (name, setting) in &vm.settings {
        lines.push((format!("{SETTING}{name}"), setting.to_string()));
    }
    let tracking = &vm.change_tracking;
    let tracking = tracking.pending.unwrap_or(tracking.enabled);
    lines.extend(vm.shown_extra_config(tracking, &vm.disks));
    // Quotes, ends of lines and the escape itself are written by their numbers.
    let escape = |value: &str| {
        value
            .replace('|', "|7C")
            .replace('"', "|22")
            .replace('\n', "|0A")
            .replace('\r', "|0D")
    };
    lines.iter().fold(String::new(), |text, (key, value)| {
        text + key + " = \"" + &escape(value) + "\"\n"
    })
}

/// The name alone of a file beside the .vmx file, as a host writes it; of others the whole path,
/// where a host has the path of its own file system.
fn in_folder<'a>(vmx_path: &str, file: &'a str) -> &'a str {
    let folder = vmx_path.rsplit_once('/').map(|(folder, _)| folder);
    let name = folder.and_then(|folder| file.strip_prefix(folder)?.strip_prefix('/'));
    name.filter(|name| !name.contains('/')).unwrap_or(file)
}

/// The entries of a configuration file. Lines that are none are left out.
pub(crate) fn entries(text: &str) -> BTreeMap<String, String> {
    let entry = |line: &str| {
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"')?.strip_suffix('"')?;
        let value = value
            .replace("|0D", "\r")
            .replace("|0A", "\n")
            .replace("|22", "\"")
            .replace("|7C", "|");
        Some((key.trim().to_owned(), value))
    };
    text.lines().filter_map(entry).collect()
}

/// The managed type of a controller by its name in a .vmx file.
pub(crate) fn controller_type(word: &str) -> Option<&'static str> {
    let known = CONTROLLERS.iter().find(|(known, _)| *known == word);
    known.map(|(_, type_name)| *type_name)
}

/// A digest of the place of a .vmx file. A file that was moved or copied has that of another place.
pub(crate) fn location(vmx_path: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, vmx_path.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_ref()[..16]);
    spaced(&bytes)
}

/// A UUID as the disk database has it, in lower case: `60 00 c2 9a ...-...`.
pub fn ddb_uuid(disk_uuid: &str) -> String {
    let digits: Vec<u8> = disk_uuid
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    spaced(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_take_the_form_of_the_disk_database() {
        let text = ddb_uuid("6000C290-a113-6543-7d13-7363c08fe61d");
        assert_eq!(text, "60 00 c2 90 a1 13 65 43-7d 13 73 63 c0 8f e6 1d");
    }

    #[test]
    fn files_beside_it_are_written_by_name() {
        for (file, written) in [
            ("[ds] app01/a.vmdk", "a.vmdk"),
            ("[ds] app01/b/a.vmdk", "[ds] app01/b/a.vmdk"),
            ("[ds] app012/a.vmdk", "[ds] app012/a.vmdk"),
            ("[other] app01/a.vmdk", "[other] app01/a.vmdk"),
        ] {
            assert_eq!(in_folder("[ds] app01/app01.vmx", file), written);
        }
    }

    #[test]
    fn entries_come_back_whatever_is_in_them() {
        let entries = entries("a = \"x |22y|22 |7C22\"\nb=\"\"\nno entry\nc = bare\nd = \"=\"\n");
        let pairs: Vec<(&str, &str)> = entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(pairs, [("a", "x \"y\" |22"), ("b", ""), ("d", "=")]);
    }
}
