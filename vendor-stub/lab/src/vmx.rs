//! The .vmx file of a VM.

use crate::Vm;
use crate::tracking::change_id::spaced;

/// The configuration file of a VM.
pub(crate) fn text(vm: &Vm) -> String {
    let mut lines = vec![
        (".encoding".to_owned(), "UTF-8".to_owned()),
        ("config.version".into(), "8".into()),
        ("virtualHW.version".into(), vm.hardware_version.to_string()),
        ("displayName".into(), vm.name.clone()),
        ("guestOS".into(), "other-64".into()),
        ("memSize".into(), vm.memory_mib.to_string()),
        ("numvcpus".into(), vm.cpus.to_string()),
        ("uuid.bios".into(), ddb_uuid(&vm.bios_uuid)),
        ("vc.uuid".into(), ddb_uuid(&vm.instance_uuid)),
    ];
    for disk in &vm.disks {
        let bus = disk.bus();
        let number = bus.number(disk.controller_key);
        let place = format!("{}{number}:{}", bus.word(), disk.unit_number);
        let file = disk
            .chain
            .first()
            .map(|link| link.file.clone())
            .unwrap_or_default();
        lines.push((format!("{place}.present"), "TRUE".into()));
        lines.push((format!("{place}.fileName"), file));
    }
    // Quotes and the escape itself are written as |22 and |7C.
    let escape = |value: &str| value.replace('|', "|7C").replace('"', "|22");
    lines.iter().fold(String::new(), |text, (key, value)| {
        text + key + " = \"" + &escape(value) + "\"\n"
    })
}

/// A UUID as the disk database has it: `60 00 C2 9a ... -... `, here in lower case.
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
}
