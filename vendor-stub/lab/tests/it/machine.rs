//! What the machine of the library is, and what it sees of the datastores.

use lab::{DatastoreKind, DatastoreSpec, Error, Lab, Machine, SiteSpec, VmSpec};

#[test]
fn a_lab_without_the_newer_fields_is_a_physical_machine_that_sees_no_lun() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::create(&folder.path().join("lab"), SiteSpec::default()).unwrap();
    let file = lab.root().join("site.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let mut site: serde_json::Value = serde_json::from_str(&text).unwrap();
    for newer in ["machine", "bare_host", "nfc_time_scale"] {
        assert!(site.as_object_mut().unwrap().remove(newer).is_some());
    }
    let first = site["datastores"][0].as_object_mut().unwrap();
    assert!(first.remove("lun").is_some());
    std::fs::write(&file, site.to_string()).unwrap();

    let site = lab.site().unwrap();
    assert_eq!(site.machine, Machine::Physical);
    assert!(!site.bare_host);
    assert_eq!(site.nfc_time_scale, None);
    assert_eq!(site.datastores[0].lun, None);
}

#[test]
fn only_shared_vmfs_has_a_lun_to_see() {
    let folder = tempfile::tempdir().unwrap();
    let make = |kind, device: &str| {
        let datastore = DatastoreSpec::new("d", kind).seen_at(device);
        let spec = SiteSpec::default().with_datastores([datastore]);
        Lab::create(&folder.path().join(format!("{kind:?}")), spec)
    };
    let lab = make(DatastoreKind::Vmfs, "/dev/sdb").unwrap();
    assert_eq!(
        lab.site().unwrap().datastores[0].lun.as_deref(),
        Some("/dev/sdb")
    );
    for kind in [
        DatastoreKind::Local,
        DatastoreKind::Nfs,
        DatastoreKind::Vsan,
        DatastoreKind::Vvol,
    ] {
        let refused = make(kind, "/dev/sdb");
        assert!(matches!(
            refused,
            Err(Error::InvalidSpec { what: "lun", .. })
        ));
    }
    for device in ["sdb", "", "/dev/sdb,/dev/sdc"] {
        let refused = make(DatastoreKind::Vmfs, device);
        assert!(matches!(
            refused,
            Err(Error::InvalidSpec { what: "lun", .. })
        ));
    }
}

#[test]
fn a_proxy_is_a_vm_of_the_site() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::create(&folder.path().join("lab"), SiteSpec::default()).unwrap();
    let proxy = |vm: &str| Machine::Proxy { vm: vm.into() };
    let refused = lab.set_machine(proxy("vm-9"));
    assert!(matches!(refused, Err(Error::NotFound { .. })));
    let spec = VmSpec {
        name: "proxy".into(),
        ..VmSpec::default()
    };
    let vm = lab.add_vm(spec).unwrap().moref;
    lab.set_machine(proxy(&vm)).unwrap();
    assert_eq!(lab.site().unwrap().machine, proxy(&vm));
    lab.set_machine(Machine::Foreign).unwrap();
    assert_eq!(lab.site().unwrap().machine, Machine::Foreign);
}
