//! The files of a lab that people write, for the manual page: every word, and an example of each file.

use clap_mangen::roff::{Roff, bold, roman};

/// A word and what it says.
type Word = (&'static str, &'static str);

/// The words of a table `[[fault]]` in `faults.toml`.
const FAULT: [Word; 24] = [
    (
        "call",
        "SOAP method or VixDiskLib function. With .callback after an asynchronous function, the completion of the request is meant and not the call. Always needed.",
    ),
    (
        "nth",
        "Fires first on this call of the process, from 1. Default 1.",
    ),
    (
        "count",
        "For how many calls in a row; 0 = for ever. Default 1, with a rate 0.",
    ),
    (
        "rate",
        "Fires on each of those calls with this chance, over 0 and up to 1.",
    ),
    ("seed", "Decides which calls a rate hits. Default 0."),
    ("pid", "Fires in the process of that id only."),
    ("once", "true: fires in one process only, and once."),
    (
        "code",
        "Error code to return (VixDiskLib); 0 = success is returned and nothing was done.",
    ),
    (
        "fault",
        "Type of the fault to return (SOAP), such as FileFault.",
    ),
    ("message", "Text that goes with it."),
    ("delay_ms", "Wait this long first, in milliseconds."),
    (
        "hang_until_ms",
        "Wait until that time first, in milliseconds since 1970, or until the faults of the lab are replaced (VixDiskLib).",
    ),
    (
        "crash",
        "End the process of the caller (VixDiskLib): segv, abort or kill.",
    ),
    (
        "after",
        "true: a crash comes once the work is done and stands in the journal (VixDiskLib).",
    ),
    (
        "lose_link",
        "true: the connection of the disk to its host is lost (VixDiskLib).",
    ),
    (
        "disk_full",
        "true: half of a write is written, and 8 is returned (VixDiskLib).",
    ),
    (
        "never",
        "true: the callback of an accepted request never comes (VixDiskLib, with .callback).",
    ),
    (
        "text",
        "What is given in place of a text (VixDiskLib): null or not-utf8.",
    ),
    (
        "required_bytes",
        "Length in bytes that is said to be needed for metadata (VixDiskLib).",
    ),
    (
        "blocks",
        "How allocated blocks lie (VixDiskLib): outside, before, unordered, overlap, empty, missing, not-whole, too-many, absurd-count or null.",
    ),
    (
        "http_status",
        "Answer with this HTTP status and a page of HTML (SOAP).",
    ),
    ("truncate", "Cut the answer after that many bytes (SOAP)."),
    (
        "lie",
        "How QueryChangedDiskAreas lies (SOAP): stalled-page, wrong-start, out-of-page, beyond-capacity, empty-end, overlap or omit.",
    ),
    (
        "[[fault]]",
        "Begins a fault. The first one of the file that fires on a call is the one that happens.",
    ),
];

const FAULT_EXAMPLE: &str = r#"[[fault]]
call = "CreateSnapshot_Task"
fault = "ApplicationQuiesceFault"
message = "the writer did not answer"

[[fault]]
call = "QueryChangedDiskAreas"
nth = 2
lie = "omit"

[[fault]]
call = "RetrievePropertiesEx"
count = 0
rate = 0.1
http_status = 503
"#;

/// The words of `site.json` that people change.
const SITE: [Word; 34] = [
    ("users", "Who may log in."),
    ("users.name", "Login name."),
    ("users.password", "Password, in the clear."),
    (
        "users.permissions",
        "null = the user may do everything; else a list of permissions. The nearest one decides.",
    ),
    (
        "users.permissions.entity",
        "Id of the object, such as group-d1, the root folder.",
    ),
    (
        "users.permissions.role",
        "Its name, and its privileges as a list of ids. Admin, ReadOnly, View, Anonymous and NoAccess are those of the system.",
    ),
    (
        "users.permissions.propagate",
        "Does it hold for what is below, too?",
    ),
    (
        "api_version",
        "API version of the vCenter, such as 8.0.2.0.",
    ),
    (
        "version",
        "Version of the vCenter. That of the host stands in host.",
    ),
    (
        "build",
        "Build number of the vCenter. That of the host stands in host.",
    ),
    (
        "datastores",
        "The datastores. Their folders lie in LAB/datastores, under their names.",
    ),
    (
        "datastores.kind",
        "Vmfs, Nfs, Vsan, Local (VMFS that no other machine sees) or Vvol.",
    ),
    (
        "datastores.lun",
        "Device node through which this machine sees the LUN of a Vmfs, such as /dev/sdb; null = it does not.",
    ),
    (
        "datastores.vmfs",
        "version (3, 5 or 6) and blockMib (1, and for 3 also 2, 4 or 8); null = version 6, allocated by the grain.",
    ),
    (
        "page_extents",
        "Greatest number of areas in one answer of QueryChangedDiskAreas.",
    ),
    (
        "page_span_bytes",
        "Greatest number of bytes that one answer examines; null = no limit. A small number makes pages without areas.",
    ),
    ("session_idle_secs", "Idle sessions end after this time."),
    (
        "bare_host",
        "true: the server is an ESXi host and no vCenter.",
    ),
    (
        "machine",
        "What the library runs on: kind physical, proxy (with vm, its id) or foreign (a VM of another vCenter).",
    ),
    (
        "nfc_time_scale",
        "How long a host keeps the link of a dead client: its NFC time-outs times this number; null = it frees the link at once.",
    ),
    (
        "custom_fields",
        "Definitions of custom attributes; their values stand in custom_values.",
    ),
    ("behaviour", "What is not the same on every site:"),
    (
        "behaviour.physicalRawDisk",
        "Snapshots of a VM with a raw disk in physical mode: skipped (the disk is left out) or snapshotFails.",
    ),
    (
        "behaviour.unknownAllocation",
        "What * answers off VMFS: wholeDisk or fileFault.",
    ),
    (
        "behaviour.trackingOverSnapshots",
        "Tracking that is switched on while snapshots exist: works, fileFault or incomplete.",
    ),
    (
        "behaviour.trackingKeysAtOnce",
        "true: the ctkEnabled keys show before any stun cycle.",
    ),
    (
        "behaviour.relocationResetsTracking",
        "true: storage vMotion starts tracking again.",
    ),
    (
        "behaviour.grainsToldAtOnce",
        "Changes are told by this many grains of 64 KiB.",
    ),
    (
        "behaviour.overReportedGrains",
        "Queries answer with this many grains more around each area.",
    ),
    (
        "behaviour.growthOver128GibShiftsAreas",
        "true: a disk grown over a multiple of 128 GiB tells wrong areas.",
    ),
    (
        "behaviour.hotGrowthIsNotTracked",
        "true: what is behind the old end of a disk that grew while its VM was on is not told.",
    ),
    (
        "host, datacenter, pool, compute_resource, networks, folders",
        "Names and ids of what exists once. The names may be changed.",
    ),
    (
        "more_datacenters, more_pools, places, roles",
        "What clients made and moved.",
    ),
    (
        "instance_uuid, custom_values, next_custom_field, next_role, next_vm, next_snapshot, next_folder",
        "The server keeps these.",
    ),
];

const SITE_EXAMPLE: &str = r#"{
  "users": [
    { "name": "backup@vsphere.local", "password": "stand-in", "permissions": null },
    { "name": "reader@vsphere.local", "password": "other", "permissions": [
      { "entity": "group-d1", "propagate": true,
        "role": { "name": "reader", "privileges": ["VirtualMachine.State.CreateSnapshot"] } } ] }
  ],
  "datastores": [
    { "moref": "datastore-17", "name": "datastore1", "kind": "Vmfs", "lun": null,
      "vmfs": { "version": 5, "blockMib": 1 } }
  ],
  "page_extents": 3,
  "session_idle_secs": 60,
  "behaviour": { "unknownAllocation": "fileFault", "trackingKeysAtOnce": true }
}
"#;

/// The section FILES.
pub(super) fn section() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["FILES"]);
    file(
        &mut roff,
        "LAB/faults.toml",
        "What shall go wrong. It may be missing; it is read again when it changes, and calls are \
         counted anew then. Words that are left out have their default or do not happen.",
        (&FAULT, FAULT_EXAMPLE),
    );
    file(
        &mut roff,
        "LAB/site.json",
        "What exists besides VMs, and how it behaves. The server makes it and reads it again when \
         it changes. The example shows some members; the others stay as they are.",
        (&SITE, SITE_EXAMPLE),
    );
    roff
}

fn file(roff: &mut Roff, name: &str, about: &str, (words, example): (&[Word], &str)) {
    roff.control("SS", [name]);
    roff.text([roman(about)]);
    for (word, text) in words {
        roff.control("TP", []);
        roff.text([bold(*word)]);
        roff.text([roman(*text)]);
    }
    roff.control("PP", []);
    roff.text([roman("Example:")]);
    roff.control("PP", []);
    roff.control("nf", []);
    roff.control("RS", ["4"]);
    for line in example.lines() {
        roff.text([roman(line)]);
    }
    roff.control("RE", []);
    roff.control("fi", []);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use lab::{Lab, SiteSpec};
    use serde_json::Value;

    use super::*;

    fn lab() -> (tempfile::TempDir, Lab) {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(&folder.path().join("lab"), SiteSpec::default()).unwrap();
        (folder, lab)
    }

    /// The words between back quotes in the text of an error, which lists what would be right.
    fn expected(faults: &str) -> Vec<String> {
        let (_folder, lab) = lab();
        fs::write(lab.root().join("faults.toml"), faults).unwrap();
        let error = lab.faults().any().unwrap_err();
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            text += &error.to_string();
            cause = error.source();
        }
        let right = text.split_once("expected").unwrap().1;
        let words = right.split('`').skip(1).step_by(2);
        words.map(str::to_owned).collect()
    }

    #[test]
    fn every_word_of_faults_is_told() {
        let told: BTreeSet<&str> = FAULT.iter().map(|(word, _)| *word).collect();
        let known = expected("[[fault]]\ncall = \"x\"\nnosuch = 1\n");
        assert_eq!(known.len() + 1, told.len(), "{known:?}");
        for word in known {
            assert!(told.contains(word.as_str()), "{word}");
        }
        for word in ["lie", "blocks", "text", "crash"] {
            let text = FAULT.iter().find(|(known, _)| *known == word).unwrap().1;
            let known = expected(&format!("[[fault]]\ncall = \"x\"\n{word} = \"nosuch\"\n"));
            assert!(known.len() > 1);
            for value in known {
                assert!(text.contains(&value), "{word} = {value}");
            }
        }
    }

    #[test]
    fn the_example_of_faults_is_read() {
        let (_folder, lab) = lab();
        fs::write(lab.root().join("faults.toml"), FAULT_EXAMPLE).unwrap();
        let faults = lab.faults();
        let fault = faults.next("CreateSnapshot_Task").unwrap().unwrap();
        assert_eq!(fault.fault.as_deref(), Some("ApplicationQuiesceFault"));
        assert_eq!(faults.next("QueryChangedDiskAreas").unwrap(), None);
        let lie = faults.next("QueryChangedDiskAreas").unwrap().unwrap();
        assert_eq!(lie.lie, Some(lab::Lie::Omit));
    }

    fn site(lab: &Lab) -> Value {
        let text = fs::read(lab.root().join("site.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    #[test]
    fn every_word_of_a_site_is_told() {
        let (_folder, lab) = lab();
        let site = site(&lab);
        let told: BTreeSet<&str> = SITE.iter().flat_map(|(word, _)| word.split(", ")).collect();
        let mut known: BTreeSet<String> = site.as_object().unwrap().keys().cloned().collect();
        let behaviour = site["behaviour"].as_object().unwrap();
        known.extend(behaviour.keys().map(|word| format!("behaviour.{word}")));
        let user = site["users"][0].as_object().unwrap();
        known.extend(user.keys().map(|word| format!("users.{word}")));
        for word in known {
            assert!(told.contains(word.as_str()), "{word}");
        }
    }

    #[test]
    fn the_example_of_a_site_is_read() {
        let (_folder, lab) = lab();
        let mut whole = site(&lab);
        let example: Value = serde_json::from_str(SITE_EXAMPLE).unwrap();
        for (word, value) in example.as_object().unwrap() {
            assert!(whole.get(word).is_some(), "{word}");
            whole[word] = value.clone();
        }
        fs::write(lab.root().join("site.json"), whole.to_string()).unwrap();
        let site = lab.site().unwrap();
        assert!(site.behaviour.tracking_keys_at_once);
        assert_eq!(
            site.behaviour.unknown_allocation,
            lab::UnknownAllocation::FileFault
        );
        assert_eq!(site.datastores[0].vmfs.map(|vmfs| vmfs.version), Some(5));
        let reader = site.user("reader@vsphere.local").unwrap();
        assert!(!reader.may(&["group-d1".into()], "Global.DisableMethods"));
    }
}
