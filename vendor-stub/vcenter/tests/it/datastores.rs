//! Files, disks and listings of datastores.

use lab::{DatastoreKind, DatastoreSpec, SiteSpec};

use crate::client::{Client, between};
use crate::rig::Rig;

const FILES: (&str, &str) = ("FileManager", "FileManager");
const DISKS: (&str, &str) = ("VirtualDiskManager", "virtualDiskManager");
const DATACENTER: &str = "<datacenter type=\"Datacenter\">datacenter-3</datacenter>";

fn named(path: &str, more: &str) -> String {
    format!("<name>{path}</name>{DATACENTER}{more}")
}

fn done(client: &mut Client, method: &str, this: (&str, &str), args: &str) -> String {
    let info = client.task(method, this, args);
    assert!(info.contains("<state>success</state>"), "{info}");
    info
}

fn fails(client: &mut Client, method: &str, this: (&str, &str), args: &str, fault: &str) {
    let info = client.task(method, this, args);
    assert!(info.contains(&format!("xsi:type=\"{fault}\"")), "{info}");
}

#[test]
fn directories_and_files_are_made_moved_copied_and_deleted() {
    let rig = Rig::new();
    let mut client = rig.client();
    let parents = "<createParentDirectories>true</createParentDirectories>";
    let made = named("[datastore1] restore/one", parents);
    client.call("MakeDirectory", FILES, &made).unwrap();
    let again = client.call("MakeDirectory", FILES, &made).unwrap_err();
    assert_eq!(again.type_name, "FileAlreadyExists");
    for (path, fault) in [
        ("[datastore1] no/parent", "FileNotFound"),
        ("[none] x", "InvalidDatastore"),
        ("no path", "InvalidDatastorePath"),
        ("[datastore1] ../x", "FileNotFound"),
    ] {
        let args = named(path, "");
        let refused = client.call("MakeDirectory", FILES, &args).unwrap_err();
        assert_eq!(refused.type_name, fault, "{path}");
    }
    let no_datacenter = client
        .call("MakeDirectory", FILES, "<name>[datastore1] x</name>")
        .unwrap_err();
    assert_eq!(no_datacenter.type_name, "InvalidArgument");

    let copy = "<sourceName>[datastore1] app01/app01.vmx</sourceName>\
         <sourceDatacenter type=\"Datacenter\">datacenter-3</sourceDatacenter>\
         <destinationName>[datastore1] restore/one/x.vmx</destinationName>";
    done(&mut client, "CopyDatastoreFile_Task", FILES, copy);
    fails(
        &mut client,
        "CopyDatastoreFile_Task",
        FILES,
        copy,
        "FileAlreadyExists",
    );
    let relocate = copy
        .replace("app01/app01.vmx", "restore/one")
        .replace("restore/one/x.vmx", "moved");
    done(&mut client, "MoveDatastoreFile_Task", FILES, &relocate);
    let root = rig.lab.root().join("datastores/datastore1");
    assert!(root.join("moved/x.vmx").is_file());

    let delete = |path: &str| named(path, "");
    fails(
        &mut client,
        "DeleteDatastoreFile_Task",
        FILES,
        &delete("[datastore1] app01"),
        "FileLocked",
    );
    let moved = delete("[datastore1] moved");
    done(&mut client, "DeleteDatastoreFile_Task", FILES, &moved);
    assert!(!root.join("moved").exists());
}

#[test]
fn disks_without_a_vm_are_made_extended_copied_and_deleted() {
    let rig = Rig::new();
    let mut client = rig.client();
    let path = "[datastore1] app01/loose.vmdk";
    let spec = "<spec xsi:type=\"FileBackedVirtualDiskSpec\"><diskType>thin</diskType>\
        <adapterType>lsiLogic</adapterType><capacityKb>1024</capacityKb></spec>";
    let create = named(path, spec);
    let info = done(&mut client, "CreateVirtualDisk_Task", DISKS, &create);
    assert!(info.contains(&format!("<result xsi:type=\"xsd:string\">{path}</result>")));
    fails(
        &mut client,
        "CreateVirtualDisk_Task",
        DISKS,
        &create,
        "FileAlreadyExists",
    );
    let odd = create.replace("thin", "liquid");
    let refused = client
        .call("CreateVirtualDisk_Task", DISKS, &odd)
        .unwrap_err();
    assert_eq!(refused.type_name, "InvalidArgument");

    let grow = named(
        path,
        "<newCapacityKb>2048</newCapacityKb><eagerZero>false</eagerZero>",
    );
    done(&mut client, "ExtendVirtualDisk_Task", DISKS, &grow);
    let uuid = "60 00 C2 93 70 f3 46 b3-8d 1d 0c 2f 4b 6a 8e 11";
    let set = named(path, &format!("<uuid>{uuid}</uuid>"));
    client.call("SetVirtualDiskUuid", DISKS, &set).unwrap();
    let told = client
        .call("QueryVirtualDiskUuid", DISKS, &named(path, ""))
        .unwrap();
    assert_eq!(
        told,
        format!("<returnval>{}</returnval>", uuid.to_lowercase())
    );

    let both = |to: &str| {
        format!(
            "<sourceName>{path}</sourceName>\
             <sourceDatacenter type=\"Datacenter\">datacenter-3</sourceDatacenter>\
             <destName>[datastore1] app01/{to}.vmdk</destName>"
        )
    };
    done(&mut client, "CopyVirtualDisk_Task", DISKS, &both("copy"));
    done(&mut client, "MoveVirtualDisk_Task", DISKS, &both("moved"));
    let gone = client
        .call("QueryVirtualDiskUuid", DISKS, &named(path, ""))
        .unwrap_err();
    assert_eq!(gone.type_name, "FileNotFound");

    let vm = ("VirtualMachine", rig.vm.as_str());
    let attach = "<spec><deviceChange><operation>add</operation><device xsi:type=\"VirtualDisk\">\
        <key>-102</key><backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">\
        <fileName>[datastore1] app01/moved.vmdk</fileName><diskMode>persistent</diskMode></backing>\
        <controllerKey>1000</controllerKey><unitNumber>6</unitNumber>\
        <capacityInKB>0</capacityInKB></device></deviceChange></spec>";
    done(&mut client, "ReconfigVM_Task", vm, attach);
    let config = client.read(vm, &["config.hardware.device"]).unwrap();
    assert!(config.contains("<capacityInBytes>2097152</capacityInBytes>"));
    assert!(config.contains("6000C293-70f3-46b3-8d1d-0c2f4b6a8e11"));
    let held = named("[datastore1] app01/moved.vmdk", "");
    fails(
        &mut client,
        "DeleteVirtualDisk_Task",
        DISKS,
        &held,
        "FileLocked",
    );
    let copy = named("[datastore1] app01/copy.vmdk", "");
    done(&mut client, "DeleteVirtualDisk_Task", DISKS, &copy);
}

#[test]
fn a_datastore_is_searched_by_pattern_type_and_depth() {
    let rig = Rig::new();
    let mut client = rig.client();
    let datastore = client
        .read(("Datastore", "datastore-17"), &["browser"])
        .unwrap();
    let id = between(&datastore, "xsi:type=\"ManagedObjectReference\">", "<").to_owned();
    let browser = ("HostDatastoreBrowser", id.as_str());
    let spec = |path: &str, inner: &str| {
        format!("<datastorePath>{path}</datastorePath><searchSpec>{inner}</searchSpec>")
    };
    let details = "<details><fileType>true</fileType><fileSize>true</fileSize>\
        <modification>true</modification></details><matchPattern>*.vm?k</matchPattern>";
    let args = spec("[datastore1] app01", details);
    let info = done(&mut client, "SearchDatastore_Task", browser, &args);
    for part in [
        "xsi:type=\"HostDatastoreBrowserSearchResults\"><datastore type=\"Datastore\">datastore-17</datastore>\
         <folderPath>[datastore1] app01/</folderPath>",
        "<file xsi:type=\"VmDiskFileInfo\"><path>app01.vmdk</path><fileSize>",
        "<path>app01-flat.vmdk</path>",
    ] {
        assert!(info.contains(part), "{part}: {info}");
    }
    assert!(!info.contains(".vmx<"), "{info}");

    let queries =
        "<query xsi:type=\"VmDiskFileQuery\"></query><query xsi:type=\"VmNvramFileQuery\"></query>";
    let args = spec("[datastore1]", queries);
    let info = done(
        &mut client,
        "SearchDatastoreSubFolders_Task",
        browser,
        &args,
    );
    assert!(
        info.contains("xsi:type=\"ArrayOfHostDatastoreBrowserSearchResults\""),
        "{info}"
    );
    assert!(
        info.contains("<folderPath>[datastore1]</folderPath>"),
        "{info}"
    );
    let found: Vec<&str> = info
        .split("<path>")
        .skip(1)
        .map(|rest| between(rest, "", "<"))
        .collect();
    assert_eq!(found, ["app01.nvram", "app01.vmdk", "app01_1.vmdk"]);

    fails(
        &mut client,
        "SearchDatastore_Task",
        browser,
        &spec("[datastore1] none", ""),
        "FileNotFound",
    );
    let host = client
        .read(("HostSystem", "host-16"), &["datastoreBrowser"])
        .unwrap();
    let id = between(&host, "xsi:type=\"ManagedObjectReference\">", "<").to_owned();
    let args = spec("[datastore1] app01", "");
    let browser = ("HostDatastoreBrowser", id.as_str());
    let info = done(&mut client, "SearchDatastore_Task", browser, &args);
    assert!(
        info.contains("<file><path>app01.nvram</path></file>"),
        "{info}"
    );
}

#[test]
fn a_vsan_has_no_directories_in_its_root_but_by_its_namespace_manager() {
    let datastores = [
        DatastoreSpec::new("datastore1", DatastoreKind::Vmfs),
        DatastoreSpec::new("vsan", DatastoreKind::Vsan),
    ];
    let spec = SiteSpec::default().with_datastores(datastores);
    let rig = Rig::with(&["app01"], spec, 100);
    let mut client = rig.client();
    let refused = client
        .call("MakeDirectory", FILES, &named("[vsan] a", ""))
        .unwrap_err();
    assert_eq!(refused.type_name, "CannotCreateFile");
    let manager = ("DatastoreNamespaceManager", "DatastoreNamespaceManager");
    let directory = |datastore: &str| {
        format!("<datastore type=\"Datastore\">{datastore}</datastore><displayName>a</displayName>")
    };
    let made = client
        .call("CreateDirectory", manager, &directory("datastore-18"))
        .unwrap();
    assert!(made.contains("/vmfs/volumes/") && made.contains("/a</returnval>"));
    let refused = client
        .call("CreateDirectory", manager, &directory("datastore-17"))
        .unwrap_err();
    assert_eq!(refused.type_name, "InvalidDatastore");
    assert!(rig.lab.root().join("datastores/vsan/a").is_dir());
}

#[test]
fn a_datastore_tells_what_it_is() {
    let kinds = [
        DatastoreSpec::new("old", DatastoreKind::Vmfs).formatted(3, 4),
        DatastoreSpec::new("five", DatastoreKind::Vmfs).formatted(5, 1),
        DatastoreSpec::new("own", DatastoreKind::Local),
        DatastoreSpec::new("nas", DatastoreKind::Nfs),
        DatastoreSpec::new("vsan", DatastoreKind::Vsan),
        DatastoreSpec::new("vvol", DatastoreKind::Vvol),
    ];
    let spec = SiteSpec::default().with_datastores(kinds);
    let rig = Rig::with(&["app01"], spec, 100);
    let mut client = rig.client();
    let vmfs = |version, block, max: u64, local| {
        vec![
            format!("<majorVersion>{version}</majorVersion>"),
            format!("<blockSizeMb>{block}</blockSizeMb>"),
            format!("<maxFileSize>{max}</maxFileSize>"),
            format!("<local>{local}</local>"),
            "xsi:type=\"VmfsDatastoreInfo\"".to_owned(),
        ]
    };
    let plain = |name: &str| vec![format!("xsi:type=\"{name}\"")];
    let expected = [
        ("VMFS", vmfs(3, 4, 1 << 40, false)),
        ("VMFS", vmfs(5, 1, 62 << 40, false)),
        ("VMFS", vmfs(6, 1, 62 << 40, true)),
        ("NFS", plain("NasDatastoreInfo")),
        ("vsan", plain("VsanDatastoreInfo")),
        ("VVOL", plain("VvolDatastoreInfo")),
    ];
    for (number, (kind, parts)) in (17..).zip(expected) {
        let id = format!("datastore-{number}");
        let shown = client
            .read(("Datastore", &id), &["info", "summary.type"])
            .unwrap();
        assert!(shown.contains(&format!(">{kind}<")), "{shown}");
        for part in parts {
            assert!(shown.contains(&part), "{part}: {shown}");
        }
    }
}
