//! The answers that were made by hand and are not read elsewhere.

use super::{leaves, objects, one};
use crate::vsphere::changed_areas;
use crate::vsphere::envelope::{Parse, nothing, read_answer, reference, required};
use crate::vsphere::property::PropertyMap;
use crate::vsphere::search_index::{read_all_found, read_found};
use crate::vsphere::task::TaskProperties;
use crate::vsphere::vm::VmProperties;
use crate::vsphere::xml::Reader;
use crate::vsphere::{ChangedArea, CryptoKeyId, DiskTracking, Moref, TaskState};

/// The answer whose file begins with `number`.
fn answer(number: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/vsphere/testdata/answers");
    let prefix = format!("{number}-");
    let mut files = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_it = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&prefix) && path.extension().is_some_and(|end| end == "xml")
    };
    std::fs::read(files.find(is_it).unwrap()).unwrap()
}

#[test]
fn all_samples_are_there_and_well_formed() {
    for number in 1..=54 {
        let body = answer(&format!("c{number:02}"));
        let read = Reader::from_bytes(&body).and_then(|mut r| r.document(|_, _| Ok(())));
        assert_eq!(read, Ok(()), "c{number:02}");
    }
}

#[test]
fn plain_results() {
    let active: Parse<bool> = |r, response| required(r, response, Reader::boolean);
    assert!(read_answer("SessionIsActive", &answer("c01"), active).unwrap());
    read_answer("Logout", &answer("c02"), nothing).unwrap();
    read_answer("DisableMethods", &answer("c41"), nothing).unwrap();
    let nothing_found = read_answer("FindByInventoryPath", &answer("c45"), read_found);
    assert_eq!(nothing_found.unwrap(), None);
    let text: Parse<String> = |r, response| required(r, response, Reader::text);
    let uuid = read_answer("QueryVirtualDiskUuid", &answer("c50"), text).unwrap();
    assert_eq!(uuid, "60 00 C2 93 70 f3 46 b3-8d 1d 0c 2f 4b 6a 8e 11");
    let session = "session[52f1d2a9-6c1b-4d0e-9a3e-2f6b1c7d8e90]";
    for (method, number, kind, id) in [
        (
            "CreateFilter",
            "c13",
            "PropertyFilter",
            "52c9be17-02d4-6f8a-b5c1-7e93a0d2f4b6",
        ),
        (
            "CreatePropertyCollector",
            "c47",
            "PropertyCollector",
            "52aa40f3-91c5-7e0d-3b6a-cc21f0d4b7e1",
        ),
    ] {
        let made = read_answer(method, &answer(number), reference).unwrap();
        assert_eq!(made, Moref::new(kind, format!("{session}{id}")));
    }
    let lease = read_answer("ExportSnapshot", &answer("c51"), reference).unwrap();
    assert_eq!(lease.kind, "HttpNfcLease");
    assert!(lease.id.ends_with("]52d3a7c0-44b9-1e2f-8a6d-0f5b9c3e7d12"));
    let copies = read_answer("FindAllByUuid", &answer("c46"), read_all_found).unwrap();
    assert_eq!(copies, [Moref::vm("vm-1021"), Moref::vm("vm-1187")]);
}

#[test]
fn the_whole_disk_as_one_area() {
    let body = answer("c24");
    let page = read_answer("QueryChangedDiskAreas", &body, changed_areas::read_page).unwrap();
    assert_eq!((page.start_offset_bytes, page.length_bytes), (0, 40 << 30));
    let whole = ChangedArea {
        start_bytes: 0,
        length_bytes: 40 << 30,
    };
    assert_eq!(page.areas, [whole]);
}

#[test]
fn faults_by_type_and_field() {
    for (number, type_name, field, value) in [
        ("c26", "InvalidArgument", "invalidProperty", "startOffset"),
        (
            "c30",
            "NoPermission",
            "privilegeId",
            "VirtualMachine.State.CreateSnapshot",
        ),
        ("c30", "NoPermission", "object", "VirtualMachine:vm-1021"),
        ("c32", "TaskInProgress", "task", "Task:task-5150"),
        ("c33", "MethodDisabled", "source", "example-backup"),
        (
            "c34",
            "MethodAlreadyDisabledFault",
            "sourceId",
            "example-backup",
        ),
        ("c37", "InvalidProperty", "name", "config.hardwar"),
        ("c38", "MethodNotFound", "method", "QueryChangedDiskAreas"),
        (
            "c38",
            "MethodNotFound",
            "receiver",
            "VirtualMachine:vm-1021",
        ),
    ] {
        let error = read_answer("M", &answer(number), nothing).unwrap_err();
        assert_eq!(error.fault_type(), Some(type_name), "{number}");
        assert_eq!(error.fault().unwrap().field(field), Some(value), "{number}");
    }
    for (number, type_name, message) in [
        ("c35", "InvalidCollectorVersion", "The version is invalid."),
        ("c36", "RequestCanceled", "The request was canceled."),
    ] {
        let error = read_answer("WaitForUpdatesEx", &answer(number), nothing).unwrap_err();
        let fault = error.fault().unwrap();
        assert_eq!(
            (fault.type_name.as_str(), fault.message.as_str()),
            (type_name, message)
        );
        assert!(fault.fields.is_empty() && !error.is_retryable());
    }
    let retryable = |number| {
        read_answer("M", &answer(number), nothing)
            .unwrap_err()
            .is_retryable()
    };
    assert!(retryable("c32") && !retryable("c30") && !retryable("c33"));
}

#[test]
fn an_encrypted_vm_has_keys_and_its_bundle() {
    let vm = one::<VmProperties>(&answer("c43")).into_vm().unwrap();
    let key = CryptoKeyId {
        key_id: "f1c0a2d4-0b8e-4a6f-9d3b-5e7c1a2b3c4d".to_owned(),
        provider_id: Some("kms-cluster-1".to_owned()),
    };
    assert_eq!(vm.encryption.key, Some(key.clone()));
    assert!(vm.is_encrypted && vm.encryption.is_encrypted() && vm.encryption.has_bundle);
    // What seals the keys is kept nowhere but on the server.
    assert!(!format!("{vm:?}").contains("HMAC"));
    assert_eq!(
        vm.nvram_path.as_deref(),
        Some("[datastore1] app01/app01.nvram")
    );
    assert_eq!(vm.firmware.as_deref(), Some("efi"));
    assert_eq!(vm.hardware_version, Some(19));
    let disk = &vm.disks[0];
    assert!(disk.backing.is_encrypted);
    assert_eq!(disk.backing.encryption_key, Some(key));
    assert_eq!(disk.address().as_deref(), Some("scsi0:0"));
    // The settings say on, the switch says off: as just after it was switched off.
    assert_eq!(vm.tracking_keys.vm, Some(true));
    assert_eq!(vm.tracking_keys.disk("scsi0:0"), Some(true));
    let state = disk.tracking(vm.change_tracking_enabled, &vm.tracking_keys);
    assert_eq!(state, DiskTracking::Off);
}

#[test]
fn tasks_tell_what_they_made() {
    let made = one::<TaskProperties>(&answer("c52")).info.unwrap();
    assert_eq!(
        (made.state, made.name.as_str()),
        (TaskState::Success, "CreateVM_Task")
    );
    assert_eq!(made.result, Some(Moref::vm("vm-1300")));
    let found: PropertyMap = one(&answer("c53"));
    let found = found.get("info.result").unwrap();
    assert_eq!(found.type_name(), Some("HostDatastoreBrowserSearchResults"));
    let found = leaves(&answer("c53"));
    let paths: Vec<&str> = found
        .iter()
        .filter(|(name, _)| name == "path")
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(paths, ["app01.vmx", "app01.vmdk", "app01.nvram"]);
}

#[test]
fn tickets_privileges_and_leases() {
    let has = |number: &str, name: &str, text: &str| {
        leaves(&answer(number)).contains(&(name.to_owned(), text.to_owned()))
    };
    assert!(has("c39", "id", "52e4a1c3-9f0d-7b62-41aa-8c5d3e2f1b07"));
    assert!(has("c39", "hostName", "esx07.example.test"));
    assert!(has("c39", "hashAlgorithm", "sha256"));
    assert!(has(
        "c40",
        "privId",
        "VirtualMachine.Provisioning.DiskRandomRead"
    ));
    assert!(has("c40", "isGranted", "false"));
    assert!(has("c42", "leaseTimeout", "300"));
    let lease: PropertyMap = one(&answer("c42"));
    assert_eq!(lease.get("state").unwrap().text().unwrap(), "ready");
}

#[test]
fn no_session_is_an_object_without_properties() {
    let page = objects::<PropertyMap>(&answer("c54"));
    assert_eq!(page.objects.len(), 1);
    assert!(page.objects[0].properties.is_empty() && page.objects[0].missing.is_empty());
}
