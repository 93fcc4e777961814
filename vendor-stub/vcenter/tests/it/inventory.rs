//! The inventory by traversal, by search and by Fetch; HTTP around it.

use std::io::Read as _;

use flate2::read::GzDecoder;

use crate::client::{between, envelope};
use crate::rig::Rig;

const TRAVERSAL: &str =
    include_str!("../../testdata/18-retrieve-properties-ex-inventory-traversal.xml");

#[test]
fn the_sample_traversal_reaches_every_vm_once() {
    let rig = Rig::with(&["app01", "Tom & Jerry"], lab::SiteSpec::default(), 100);
    let mut client = rig.client();
    let answer = client.post(TRAVERSAL, "");
    let text = answer.text();
    assert_eq!(answer.status, 200, "{text}");
    assert_eq!(text.matches("<obj type=\"VirtualMachine\">").count(), 2);
    assert_eq!(
        text.matches("<obj type=\"Folder\">group-v4</obj>").count(),
        1
    );
    assert_eq!(
        text.matches("<obj type=\"ResourcePool\">resgroup-9</obj>")
            .count(),
        1
    );
    assert!(text.contains("<val xsi:type=\"xsd:string\">Tom &amp; Jerry</val>"));
    assert!(text.contains(
        "<val xsi:type=\"ArrayOfVirtualDevice\"><VirtualDevice xsi:type=\"VirtualIDEController\">"
    ));
    assert!(text.contains("<VirtualDevice xsi:type=\"VirtualDisk\"><key>2000</key>"));
    assert!(text.contains(
        "<backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\"><fileName>[datastore1] app01/"
    ));
}

#[test]
fn what_the_lab_has_no_value_for_is_unset_and_no_error() {
    let rig = Rig::new();
    let mut client = rig.client();
    for (object, paths) in [
        (
            ("Datastore", "datastore-17"),
            &["name", "iormConfiguration"][..],
        ),
        (("HostSystem", "host-16"), &["name", "licensableResource"]),
        (
            ("ResourcePool", "resgroup-9"),
            &["name", "childConfiguration"],
        ),
        (
            ("OvfManager", "OvfManager"),
            &["ovfImportOption", "ovfExportOption"],
        ),
        (
            ("HostStorageSystem", "storageSystem-16"),
            &["systemFile", "multipathStateInfo.path"],
        ),
    ] {
        let answer = client.read(object, paths).unwrap();
        let set = answer.matches("<propSet>").count();
        assert_eq!(set, usize::from(paths[0] == "name"), "{answer}");
        assert!(!answer.contains("<missingSet>"), "{answer}");
    }
    let body = client.read(("OvfManager", "OvfManager"), &["ovfOption"]);
    assert_eq!(body.unwrap_err().type_name, "InvalidProperty");
}

#[test]
fn finding_by_path_and_uuid() {
    let rig = Rig::new();
    let mut client = rig.client();
    let index = ("SearchIndex", "SearchIndex");
    let mut find = |path: &str| {
        let args = format!("<inventoryPath>{path}</inventoryPath>");
        client.call("FindByInventoryPath", index, &args).unwrap()
    };
    assert_eq!(
        find("DC0/vm/app01"),
        "<returnval type=\"VirtualMachine\">vm-1021</returnval>"
    );
    assert_eq!(
        find("/DC0/vm/"),
        "<returnval type=\"Folder\">group-v4</returnval>"
    );
    assert_eq!(
        find("DC0/datastore/datastore1"),
        "<returnval type=\"Datastore\">datastore-17</returnval>"
    );
    assert_eq!(find("DC0/vm/none"), "");
    assert!(find("DC0/host/esx01.lab.test/Resources").contains("resgroup-9"));

    let vm = rig.lab.vm(&rig.vm).unwrap();
    for (uuid, instance, found) in [
        (&vm.instance_uuid, true, true),
        (&vm.instance_uuid, false, false),
        (&vm.bios_uuid, false, true),
    ] {
        let args = format!(
            "<uuid>{uuid}</uuid><vmSearch>true</vmSearch><instanceUuid>{instance}</instanceUuid>"
        );
        let answer = client.call("FindByUuid", index, &args).unwrap();
        assert_eq!(answer.contains("vm-1021"), found, "{answer}");
    }
}

#[test]
fn fetch_and_the_old_retrieve() {
    let rig = Rig::new();
    let mut client = rig.client();
    let vm = ("VirtualMachine", rig.vm.as_str());
    let mut fetch = |path: &str| {
        client
            .call("Fetch", vm, &format!("<prop>{path}</prop>"))
            .unwrap()
    };
    assert_eq!(
        fetch("runtime.powerState"),
        "<returnval xsi:type=\"VirtualMachinePowerState\">poweredOn</returnval>"
    );
    assert_eq!(
        fetch("runtime.host"),
        "<returnval type=\"HostSystem\" xsi:type=\"ManagedObjectReference\">host-16</returnval>"
    );
    assert_eq!(fetch("snapshot"), "");
    assert_eq!(fetch("config.keyId"), "");
    assert_eq!(
        fetch("config.hardware.device[2001].capacityInBytes"),
        "<returnval xsi:type=\"xsd:long\">8388608</returnval>"
    );
    let disabled = fetch("disabledMethod");
    let start = "<returnval xsi:type=\"ArrayOfString\"><string xsi:type=\"xsd:string\">AnswerVM<";
    assert!(disabled.starts_with(start), "{disabled}");
    let spec = "<specSet><propSet><type>ManagedEntity</type><pathSet>name</pathSet></propSet>\
                <objectSet><obj type=\"VirtualMachine\">vm-1021</obj></objectSet></specSet>";
    let collector = ("PropertyCollector", "propertyCollector");
    assert_eq!(
        client.call("RetrieveProperties", collector, spec).unwrap(),
        "<returnval><obj type=\"VirtualMachine\">vm-1021</obj><propSet><name>name</name>\
         <val xsi:type=\"xsd:string\">app01</val></propSet></returnval>"
    );
}

#[test]
fn every_property_of_every_object_can_be_read() {
    let rig = Rig::new();
    let mut client = rig.client();
    rig.lab.set_change_tracking(&rig.vm, true).unwrap();
    let snapshot = client.snapshot(&rig.vm);
    let mut seen = 0;
    for (type_name, id) in [
        ("ServiceInstance", "ServiceInstance"),
        ("SessionManager", "SessionManager"),
        ("PropertyCollector", "propertyCollector"),
        ("ViewManager", "ViewManager"),
        ("SearchIndex", "SearchIndex"),
        ("Folder", "group-d1"),
        ("Folder", "group-n7"),
        ("Datacenter", "datacenter-3"),
        ("ComputeResource", "domain-s8"),
        ("HostSystem", "host-16"),
        ("ResourcePool", "resgroup-9"),
        ("Datastore", "datastore-17"),
        ("VirtualMachine", "vm-1021"),
        ("VirtualMachineSnapshot", &snapshot),
        ("Task", "task-5001"),
    ] {
        let spec = format!(
            "<specSet><propSet><type>{type_name}</type><all>true</all></propSet>\
             <objectSet><obj type=\"{type_name}\">{id}</obj></objectSet></specSet><options></options>"
        );
        let collector = ("PropertyCollector", "propertyCollector");
        let answer = client
            .call("RetrievePropertiesEx", collector, &spec)
            .unwrap();
        let start = format!("<obj type=\"{type_name}\">{id}</obj>");
        assert!(answer.contains(&start), "{type_name}: {answer}");
        seen += check_times(&answer);
    }
    assert!(seen > 10, "{seen} times");
}

/// Every time in an answer is in UTC with at most six digits of a second. Returns how many there are.
fn check_times(answer: &str) -> usize {
    let texts = answer.split(['<', '>']);
    let is_time = |text: &&str| {
        let bytes = text.as_bytes();
        bytes.len() > 18 && (bytes[4], bytes[7], bytes[10], bytes[13]) == (b'-', b'-', b'T', b':')
    };
    let times = texts.filter(is_time).inspect(|time| {
        let rest = time[19..].strip_suffix('Z');
        let fraction = rest.map(|rest| rest.strip_prefix('.').unwrap_or(rest));
        assert!(
            fraction.is_some_and(|fraction| fraction.len() <= 6),
            "{time}"
        );
    });
    times.count()
}

#[test]
fn service_versions_need_no_login() {
    let rig = Rig::new();
    let answer = rig
        .stranger()
        .http("GET", "/sdk/vimServiceVersions.xml", "", "");
    assert_eq!(answer.status, 200);
    let text = answer.text();
    assert!(text.contains(
        "<name>urn:vim25</name><version>8.0.2.0</version><priorVersions><version>8.0.1.0</version>"
    ));
    assert!(text.ends_with("<version>4.0</version></priorVersions></namespace></namespaces>"));
}

#[test]
fn answers_are_packed_when_asked_for() {
    let rig = Rig::new();
    let mut client = rig.client();
    let time = envelope(
        "CurrentTime",
        "<_this type=\"ServiceInstance\">ServiceInstance</_this>",
    );
    let plain = client.post(&time, "");
    assert_eq!(plain.header("Content-Encoding"), None);
    let packed = client.post(&time, "Accept-Encoding: gzip, deflate\r\n");
    assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
    let mut text = String::new();
    GzDecoder::new(packed.body.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    assert!(between(&text, "<returnval>", "</returnval>").ends_with('Z'));
}

/// Every managed type of the API may be asked for, also where there is nothing of it.
#[test]
fn types_that_nothing_is_of_are_asked_for_in_vain() {
    let rig = Rig::new();
    let mut client = rig.client();
    let collector = ("PropertyCollector", "propertyCollector");
    let mut ask = |kind: &str, all: bool| {
        let spec = format!(
            "<specSet><propSet><type>{kind}</type><all>{all}</all></propSet><objectSet>\
             <obj type=\"Folder\">group-d1</obj></objectSet></specSet><options></options>"
        );
        client.call("RetrievePropertiesEx", collector, &spec)
    };
    for kind in [
        "OpaqueNetwork",
        "Alarm",
        "HostNetworkSystem",
        "PerformanceManager",
        "OvfManager",
    ] {
        let answer = ask(kind, true).unwrap();
        assert!(!answer.contains("<propSet>"), "{kind}: {answer}");
    }
    assert_eq!(
        ask("NoSuchManager", true).unwrap_err().type_name,
        "InvalidArgument"
    );
    for (object, paths, part) in [
        (("PerformanceManager", "PerfMgr"), ["perfCounter"], ""),
        (
            ("OptionManager", "VpxSettings"),
            ["setting"],
            "VirtualCenter.InstanceName",
        ),
        (
            ("LicenseManager", "LicenseManager"),
            ["licenses"],
            "Evaluation Mode",
        ),
    ] {
        let answer = client.read(object, &paths).unwrap();
        assert!(answer.contains(part), "{answer}");
    }
}
