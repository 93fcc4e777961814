//! Writing to disks of the lab, and who may have a disk open beside whom.

use lab::{DatastoreKind, DatastoreSpec, DiskSpec, SiteSpec, SnapshotSpec, Vm};

use crate::harness::*;

fn file(vm: &Vm) -> String {
    vm.disks[0].top().unwrap().file.clone()
}

#[test]
fn a_vm_that_is_off_is_written_and_its_tracking_does_not_notice() {
    let name = "writing::a_vm_that_is_off_is_written_and_its_tracking_does_not_notice";
    in_own_process(name, || {
        let site = Site::new();
        let vm = site.add_off("off", DiskSpec::default());
        site.lab.set_change_tracking(&vm.moref, true).unwrap();
        let first = site
            .lab
            .create_snapshot(&vm.moref, &SnapshotSpec::named("a"))
            .unwrap();
        let id = first.disks[0].change_id.clone().unwrap();
        site.lab.remove_snapshot(&first.moref, false).unwrap();
        site.init("");

        let content_id = || {
            site.lab.vm(&vm.moref).unwrap().disks[0].chain[0]
                .content_id
                .clone()
        };
        let before = content_id();
        let disk = site.open_of(&vm, None, &file(&vm), None, 0).unwrap();
        assert_eq!(close(disk), 0);
        assert_eq!(content_id(), before, "nothing was written");
        let disk = site.open_of(&vm, None, &file(&vm), None, 0).unwrap();
        assert_eq!(transport(disk), "nbdssl");
        assert_eq!(write(disk, 9, &[5; 1024]), 0);
        assert_eq!(read(disk, 9, 2).unwrap(), [5; 1024]);
        assert_eq!(close(disk), 0);
        assert_ne!(content_id(), before);

        let disk = site
            .open_of(&vm, None, &file(&vm), None, READ_ONLY)
            .unwrap();
        assert_eq!(read(disk, 8, 3).unwrap()[512..], [5; 1024]);
        assert_eq!(write(disk, 0, &[1; 512]), 11);
        exit();
        let last = site
            .lab
            .create_snapshot(&vm.moref, &SnapshotSpec::named("b"))
            .unwrap();
        let page = site
            .lab
            .changed_areas(&vm.moref, Some(&last.moref), 2000, 0, &id);
        assert!(
            page.unwrap().areas.is_empty(),
            "a write from outside is not tracked"
        );
    });
}

#[test]
fn the_base_and_an_own_snapshot_are_written_under_their_children() {
    let name = "writing::the_base_and_an_own_snapshot_are_written_under_their_children";
    in_own_process(name, || {
        let site = Site::new();
        let vm = site.add_off("off", DiskSpec::default());
        let base = file(&vm);
        let snapshot = |name: &str| {
            site.lab
                .create_snapshot(&vm.moref, &SnapshotSpec::named(name))
                .unwrap()
        };
        let (first, second) = (snapshot("a"), snapshot("b"));
        let middle = second.disks[0].top().unwrap().file.clone();
        site.init("");
        assert_eq!(
            site.open_of(&vm, None, &middle, None, 0),
            Err(11),
            "in the middle"
        );
        let second = Some(second.moref.as_str());
        for (snapshot, file, byte) in [
            (None, &base, 1),
            (Some(first.moref.as_str()), &base, 2),
            (second, &middle, 3),
        ] {
            let disk = site.open_of(&vm, snapshot, file, None, 0).unwrap();
            assert_eq!(write(disk, u64::from(byte), &[byte; 512]), 0);
            assert_eq!(close(disk), 0);
        }
        // The chain over what was written is whole.
        let now = file(&site.lab.vm(&vm.moref).unwrap());
        let disk = site.open_of(&vm, None, &now, None, READ_ONLY).unwrap();
        for byte in [1, 2, 3] {
            assert_eq!(read(disk, u64::from(byte), 1).unwrap(), [byte; 512]);
        }
        exit();
    });
}

#[test]
fn a_running_vm_is_not_written() {
    in_own_process("writing::a_running_vm_is_not_written", || {
        let site = Site::new();
        site.init("");
        let params = site.params();
        let snapshot = Some(site.snapshot.moref.as_str());
        let connection = connect(&params, false, snapshot, None).unwrap();
        assert_eq!(open(connection, site.frozen(), 0), Err(15));
        let disk = open(connection, site.frozen(), READ_ONLY).unwrap();
        assert_eq!(write(disk, 0, &[1; 512]), 11);
        let connection = connect(&params, true, snapshot, None).unwrap();
        let disk = open(connection, site.frozen(), 0).unwrap();
        assert_eq!(
            write(disk, 0, &[1; 512]),
            11,
            "the connection is for reading"
        );
        exit();
    });
}

#[test]
fn one_writer_or_many_readers() {
    in_own_process("writing::one_writer_or_many_readers", || {
        let site = Site::new();
        let vm = site.add_off("off", DiskSpec::default());
        site.init("");
        let open = |flags| site.open_of(&vm, None, &file(&vm), None, flags);
        let writer = open(0).unwrap();
        assert_eq!(open(0), Err(15));
        assert_eq!(open(READ_ONLY), Err(15));
        assert_eq!(close(writer), 0);
        let readers = [open(READ_ONLY).unwrap(), open(READ_ONLY).unwrap()];
        assert_eq!(open(0), Err(15));
        assert_eq!(readers.map(close), [0, 0]);
        assert_eq!(close(open(0).unwrap()), 0);
        exit();
    });
}

#[test]
fn san_writes_only_bases_with_a_snapshot_and_without_tracking() {
    let name = "writing::san_writes_only_bases_with_a_snapshot_and_without_tracking";
    in_own_process(name, || {
        let lun = DatastoreSpec::new("lun", DatastoreKind::Vmfs).seen_at("/dev/sdb");
        let site = SiteSpec::default().with_datastores([lun]);
        let site = Site::with(site, DiskSpec::default());
        let vm = site.add_off("off", DiskSpec::default());
        let base = file(&vm);
        site.init("");
        let by = |file: &str, modes: &str| -> Result<String, u64> {
            let disk = site.open_of(&vm, None, file, Some(modes), 0)?;
            let chosen = transport(disk);
            assert_eq!(close(disk), 0);
            Ok(chosen)
        };
        assert_eq!(by(&base, "san"), Err(13), "no snapshot");
        let make = |name: &str| {
            site.lab
                .create_snapshot(&vm.moref, &SnapshotSpec::named(name))
                .unwrap();
        };
        make("one");
        assert_eq!(by(&base, "san"), Ok("san".into()));
        let child = file(&site.lab.vm(&vm.moref).unwrap());
        assert_eq!(by(&child, "san"), Err(11), "a child disk");
        assert_eq!(by(&child, "san:nbdssl"), Ok("nbdssl".into()));
        site.lab.set_change_tracking(&vm.moref, true).unwrap();
        make("two");
        assert_eq!(by(&base, "san"), Err(6), "tracked");
        exit();
    });
}

#[test]
fn hot_add_writes_to_the_disk_itself() {
    in_own_process("writing::hot_add_writes_to_the_disk_itself", || {
        let site = Site::new();
        let vm = site.add_off("off", DiskSpec::default());
        let base = file(&vm);
        let snapshot = site
            .lab
            .create_snapshot(&vm.moref, &SnapshotSpec::named("for HotAdd"))
            .unwrap();
        site.run_on_proxy();
        site.init("");
        let snapshot = Some(snapshot.moref.as_str());
        let disk = site
            .open_of(&vm, snapshot, &base, Some("hotadd"), 0)
            .unwrap();
        assert_eq!(write(disk, 3, &[6; 512]), 0);
        assert_eq!(close(disk), 0);
        let now = file(&site.lab.vm(&vm.moref).unwrap());
        let disk = site
            .open_of(&vm, None, &now, Some("nbd"), READ_ONLY)
            .unwrap();
        assert_eq!(read(disk, 3, 1).unwrap(), [6; 512]);
        exit();
    });
}
