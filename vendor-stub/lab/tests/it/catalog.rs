//! What a server keeps in memory is what stands in the files.

use std::sync::Arc;

use lab::{SiteSpec, SnapshotSpec, VmSpec};

use super::Fixture;

#[test]
fn a_catalog_follows_the_files_and_keeps_what_did_not_change() {
    let fixture = Fixture::new(1 << 20);
    let (lab, vm) = (&fixture.lab, &fixture.vm);
    let catalog = lab.catalog();
    let other = lab.add_vm(VmSpec {
        name: "other".to_owned(),
        ..VmSpec::default()
    });
    let other = other.unwrap().moref;
    assert_eq!(catalog.vms().unwrap().len(), 2);
    // Until the files are old enough to be told from newer ones they are read again.
    let settled = |catalog: &lab::Catalog| loop {
        let (first, second) = (catalog.vms().unwrap(), catalog.vms().unwrap());
        if Arc::ptr_eq(&first, &second) {
            return first;
        }
    };
    let before = settled(&catalog);
    let generation = catalog.generation().unwrap();
    assert_eq!(catalog.generation().unwrap(), generation);

    // Another handle changes one VM: the other one is not read again.
    let snapshot = lab
        .create_snapshot(vm, &SnapshotSpec::named("one"))
        .unwrap();
    let after = catalog.vms().unwrap();
    assert!(catalog.generation().unwrap() > generation);
    assert_eq!(after.by_snapshot(&snapshot.moref).unwrap().moref, *vm);
    assert!(before.by_snapshot(&snapshot.moref).is_none());
    let kept = |vms: &lab::Vms| Arc::clone(vms.get(&other).unwrap());
    assert!(Arc::ptr_eq(&kept(&before), &kept(&after)));

    std::fs::remove_file(lab.root().join(format!("vm/{other}.json"))).unwrap();
    let left = catalog.vms().unwrap();
    assert!(left.get(&other).is_none());
    assert_eq!(left.iter().map(|vm| &vm.moref).collect::<Vec<_>>(), [vm]);
    assert_eq!(
        catalog.site().unwrap().host.moref,
        lab.site().unwrap().host.moref
    );
}

#[test]
fn changes_in_quick_succession_are_all_seen() {
    let fixture = Fixture::new(1 << 20);
    let catalog = fixture.lab.catalog();
    for round in 0..200 {
        let text = format!("{round:03}");
        let note = text.clone();
        fixture
            .lab
            .update_vm(&fixture.vm, |vm| {
                vm.annotation = note;
                Ok(())
            })
            .unwrap();
        let vms = catalog.vms().unwrap();
        assert_eq!(vms.get(&fixture.vm).unwrap().annotation, text);
    }
}

#[test]
fn a_host_calls_its_vms_by_numbers_and_a_vcenter_does_not() {
    let bare_host = SiteSpec {
        bare_host: true,
        ..SiteSpec::default()
    };
    let host = Fixture::with(bare_host, 1 << 20);
    let number = host.vm.strip_prefix("vm-").unwrap();
    assert_eq!(host.lab.vm(number).unwrap().moref, host.vm);
    let path = host.lab.vm(&host.vm).unwrap().disks[0].chain[0]
        .file
        .clone();
    host.lab.resolve_disk(number, None, &path).unwrap();
    for wrong in ["", "1", "01021", "+1021"] {
        assert!(host.lab.vm(wrong).is_err(), "{wrong}");
    }
    let vcenter = Fixture::new(1 << 20);
    assert!(vcenter.lab.vm(number).is_err());
}
