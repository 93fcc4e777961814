//! Files, folders and disks of datastores that belong to no VM.

use lab::{
    DatastoreKind, DatastoreSpec, DiskChange, DiskSpec, Error, Kind, PowerState, Provisioning,
    SiteSpec, VmChange,
};

use crate::{Fixture, GRAIN};

fn fixture() -> Fixture {
    let site = SiteSpec::default().with_datastores([
        DatastoreSpec::new("datastore1", DatastoreKind::Vmfs),
        DatastoreSpec::new("vsan", DatastoreKind::Vsan),
    ]);
    Fixture::with(site, 4 * GRAIN)
}

fn listed(fixture: &Fixture, folder: &str) -> Vec<String> {
    let listed = fixture.lab.list_datastore(folder, false).unwrap();
    let entries = listed[0].entries.iter();
    entries.map(|entry| entry.name.clone()).collect()
}

#[test]
fn folders_are_made_moved_copied_listed_and_deleted() {
    let fixture = fixture();
    let lab = &fixture.lab;
    lab.make_datastore_folder("[datastore1] a", false).unwrap();
    let twice = lab.make_datastore_folder("[datastore1] a/", false);
    assert!(matches!(
        twice,
        Err(Error::AlreadyExists {
            kind: Kind::File,
            ..
        })
    ));
    let no_parent = lab.make_datastore_folder("[datastore1] x/y/z", false);
    assert!(matches!(no_parent, Err(Error::NotFound { .. })));
    lab.make_datastore_folder("[datastore1] x/y/z", true)
        .unwrap();
    let file = lab
        .file_on_datastore("datastore1", &["a", "notes"])
        .unwrap();
    std::fs::write(&file, "text").unwrap();

    lab.copy_datastore_file("[datastore1] a", "[datastore1] x/a", false)
        .unwrap();
    lab.move_datastore_file("[datastore1] a/notes", "[vsan] notes", false)
        .unwrap();
    let taken = lab.copy_datastore_file("[vsan] notes", "[datastore1] x/a/notes", false);
    assert!(matches!(taken, Err(Error::AlreadyExists { .. })));
    lab.copy_datastore_file("[vsan] notes", "[datastore1] x/a/notes", true)
        .unwrap();
    assert!(listed(&fixture, "[datastore1] a").is_empty());
    assert_eq!(listed(&fixture, "[datastore1]"), ["a", "app01", "x"]);

    let below = lab.list_datastore("[datastore1] x", true).unwrap();
    let folders: Vec<&str> = below.iter().map(|found| found.folder.as_str()).collect();
    let expected = ["x/", "x/a/", "x/y/", "x/y/z/"];
    assert_eq!(folders, expected.map(|name| format!("[datastore1] {name}")));
    assert_eq!(below[1].entries[0].size_bytes, 4);

    lab.delete_datastore_file("[datastore1] x").unwrap();
    assert_eq!(listed(&fixture, "[datastore1]"), ["a", "app01"]);
    for path in [
        "[datastore1] none",
        "[none] a",
        "[datastore1] ../x",
        "no path",
    ] {
        let refused = lab.delete_datastore_file(path);
        assert!(matches!(refused, Err(Error::NotFound { .. })), "{path}");
    }
    let root = lab.delete_datastore_file("[datastore1]");
    assert!(matches!(root, Err(Error::InvalidSpec { .. })));
}

#[test]
fn a_running_vm_and_a_reader_keep_their_files() {
    let fixture = fixture();
    let lab = &fixture.lab;
    for path in ["[datastore1] app01", "[datastore1] app01/app01-flat.vmdk"] {
        let refused = lab.delete_datastore_file(path);
        assert!(matches!(refused, Err(Error::Locked { .. })), "{path}");
        let refused = lab.move_datastore_file(path, "[datastore1] other", false);
        assert!(matches!(refused, Err(Error::Locked { .. })), "{path}");
    }
    let disk = "[datastore1] app01/app01.vmdk";
    let refused = lab.delete_virtual_disk(disk);
    assert!(matches!(refused, Err(Error::Locked { .. })));
    lab.set_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    let path = lab.datastore_file(disk).unwrap();
    let hold = lab.disk_lock(&path).unwrap();
    let refused = lab.delete_virtual_disk(disk);
    assert!(matches!(refused, Err(Error::Locked { .. })));
    let refused = lab.delete_datastore_file("[datastore1] app01");
    assert!(matches!(refused, Err(Error::Locked { .. })));
    drop(hold);
    lab.delete_virtual_disk(disk).unwrap();
    lab.delete_datastore_file("[datastore1] app01").unwrap();
}

#[test]
fn a_datastore_of_objects_has_no_folders_in_its_root_but_by_its_own_way() {
    let fixture = fixture();
    let lab = &fixture.lab;
    let refused = lab.make_datastore_folder("[vsan] a", false);
    assert!(matches!(refused, Err(Error::NoTopFolder { .. })));
    let refused = lab.make_datastore_folder("[vsan] a/b", true);
    assert!(matches!(refused, Err(Error::NoTopFolder { .. })));
    assert_eq!(lab.make_top_folder("vsan", "a").unwrap(), "[vsan] a");
    lab.make_datastore_folder("[vsan] a/b", false).unwrap();
}

#[test]
fn a_disk_is_made_extended_copied_moved_and_attached() {
    let fixture = fixture();
    let lab = &fixture.lab;
    lab.make_datastore_folder("[datastore1] loose", false)
        .unwrap();
    let spec = DiskSpec {
        capacity_bytes: 2 * GRAIN,
        provisioning: Provisioning::LazyThick,
        ..DiskSpec::default()
    };
    let [first, second, third] =
        ["first", "second", "third"].map(|name| format!("[datastore1] loose/{name}.vmdk"));
    lab.create_virtual_disk(&first, &spec).unwrap();
    let twice = lab.create_virtual_disk(&first, &spec);
    assert!(matches!(twice, Err(Error::AlreadyExists { .. })));
    let nowhere = lab.create_virtual_disk("[datastore1] none/x.vmdk", &spec);
    assert!(matches!(nowhere, Err(Error::NotFound { .. })));

    lab.extend_virtual_disk(&first, 4 * GRAIN).unwrap();
    let smaller = lab.extend_virtual_disk(&first, GRAIN);
    assert!(matches!(smaller, Err(Error::InvalidSpec { .. })));
    lab.copy_virtual_disk(&first, &second, false).unwrap();
    let uuid = |path: &str| lab.virtual_disk_uuid(path).unwrap().unwrap();
    assert_ne!(uuid(&first), uuid(&second));
    let wanted = "6000C293-70f3-46b3-8d1d-0c2f4b6a8e11";
    lab.set_virtual_disk_uuid(&second, &lab::ddb_uuid(wanted))
        .unwrap();
    lab.move_virtual_disk(&second, &third, false).unwrap();
    assert_eq!(uuid(&third), wanted);
    let taken = lab.move_virtual_disk(&first, &third, false);
    assert!(matches!(taken, Err(Error::AlreadyExists { .. })));

    let attach = VmChange {
        disks: vec![DiskChange::Attach {
            file: third,
            mode: "persistent".into(),
            controller_key: 1000,
            unit: None,
        }],
        ..VmChange::default()
    };
    lab.reconfigure(&fixture.vm, attach).unwrap();
    let disk = lab.vm(&fixture.vm).unwrap().disks.remove(1);
    assert_eq!(
        (disk.disk_uuid.as_str(), disk.capacity_bytes),
        (wanted, 4 * GRAIN)
    );
    assert_eq!(disk.provisioning, Provisioning::LazyThick);
    lab.delete_virtual_disk(&first).unwrap();
    let left = ["third-flat.vmdk", "third.vmdk"];
    assert_eq!(listed(&fixture, "[datastore1] loose"), left);
}
