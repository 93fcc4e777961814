//! Making and opening labs, VMs and disks; what is refused; two handles and two processes.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use lab::{
    DatastoreKind, DatastoreSpec, DiskSpec, Error, Lab, PowerState, Site, SiteSpec, SnapshotSpec,
    VmSpec,
};

use crate::{Fixture, GRAIN, KEY, read_disk};

fn named(name: &str) -> VmSpec {
    VmSpec {
        name: name.into(),
        ..VmSpec::default()
    }
}

#[test]
fn a_lab_is_created_once_and_opened_again() {
    let fixture = Fixture::new(GRAIN);
    let root = fixture.lab.root();
    assert!(matches!(
        Lab::create(root, SiteSpec::default()),
        Err(Error::AlreadyExists { .. })
    ));
    assert!(matches!(
        Lab::open(fixture.folder.path()),
        Err(Error::NotFound { .. })
    ));
    let again = Lab::open(root).unwrap();
    let site = again.site().unwrap();
    assert_eq!(
        (site.datacenter.moref.as_str(), site.host.moref.as_str()),
        ("datacenter-3", "host-16")
    );
    assert_eq!(site.datastores[0].moref, "datastore-17");
    assert_eq!(again.vm(&fixture.vm).unwrap().name, "app01");
    assert_eq!(
        again.thumbprint_sha1().unwrap(),
        fixture.lab.thumbprint_sha1().unwrap()
    );
}

#[test]
fn specifications_of_a_site_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let datastore = |name: &str| DatastoreSpec::new(name, DatastoreKind::Nfs);
    let two = vec![datastore("a"), datastore("a")];
    let bad = [
        SiteSpec {
            datastores: vec![],
            ..SiteSpec::default()
        },
        SiteSpec {
            datastores: vec![datastore("..")],
            ..SiteSpec::default()
        },
        SiteSpec {
            datastores: two,
            ..SiteSpec::default()
        },
        SiteSpec {
            page_extents: 0,
            ..SiteSpec::default()
        },
        SiteSpec {
            page_span_bytes: Some(0),
            ..SiteSpec::default()
        },
    ];
    for spec in bad {
        assert!(Lab::create(&folder.path().join("lab"), spec).is_err());
        assert!(!folder.path().join("lab").exists());
    }
}

#[test]
fn hostile_names_are_refused_and_leave_nothing() {
    let fixture = Fixture::new(GRAIN);
    for name in [
        "", "..", ".", "/", "a/b", "../app02", "[", "a]b", "a\0", "\"",
    ] {
        assert!(
            matches!(
                fixture.lab.add_vm(named(name)),
                Err(Error::InvalidName { .. })
            ),
            "{name:?}"
        );
        let spec = VmSpec {
            folder: Some(name.into()),
            ..named("app02")
        };
        assert!(
            matches!(fixture.lab.add_vm(spec), Err(Error::InvalidName { .. })),
            "{name:?}"
        );
        let disk = DiskSpec {
            capacity_bytes: GRAIN,
            datastore: Some(name.into()),
            ..DiskSpec::default()
        };
        let spec = VmSpec {
            disks: vec![disk],
            ..named("app02")
        };
        assert!(
            matches!(fixture.lab.add_vm(spec), Err(Error::NotFound { .. })),
            "{name:?}"
        );
        for lookup in [
            fixture.lab.vm(name).err(),
            fixture.lab.vm_by_snapshot(name).err(),
        ] {
            assert!(matches!(lookup, Some(Error::NotFound { .. })), "{name:?}");
        }
    }
    assert!(matches!(
        fixture.lab.vm("../site"),
        Err(Error::NotFound { .. })
    ));
    assert_eq!(fixture.lab.vms().unwrap().len(), 1);
    let folders = std::fs::read_dir(fixture.lab.root().join("datastores/datastore1")).unwrap();
    assert_eq!(folders.count(), 1);
}

#[test]
fn odd_but_legal_names_work() {
    let fixture = Fixture::new(GRAIN);
    for name in ["a & b", "<x>", "%2f", "Bücher", "a..b"] {
        let disk = DiskSpec {
            capacity_bytes: GRAIN,
            ..DiskSpec::default()
        };
        let vm = fixture
            .lab
            .add_vm(VmSpec {
                disks: vec![disk],
                ..named(name)
            })
            .unwrap();
        let snapshot = fixture
            .lab
            .create_snapshot(&vm.moref, &SnapshotSpec::named("s"))
            .unwrap();
        fixture
            .lab
            .guest_write(&vm.moref, KEY, 0, &[1; 512])
            .unwrap();
        fixture.lab.remove_snapshot(&snapshot.moref, false).unwrap();
    }
}

#[test]
fn bad_disks_are_refused_and_leave_nothing() {
    let fixture = Fixture::new(GRAIN);
    let image = fixture.folder.path().join("image");
    std::fs::write(&image, [1; 2000]).unwrap();
    let bad = [
        DiskSpec::default(),
        DiskSpec {
            capacity_bytes: 513,
            ..DiskSpec::default()
        },
        DiskSpec {
            capacity_bytes: 63 << 40,
            ..DiskSpec::default()
        },
        DiskSpec {
            capacity_bytes: GRAIN,
            mode: "other".into(),
            ..DiskSpec::default()
        },
        DiskSpec {
            capacity_bytes: 512,
            image: Some(image),
            ..DiskSpec::default()
        },
        DiskSpec {
            capacity_bytes: GRAIN,
            image: Some("/nonexistent/image".into()),
            ..DiskSpec::default()
        },
    ];
    for disk in bad {
        let good = DiskSpec {
            capacity_bytes: GRAIN,
            ..DiskSpec::default()
        };
        let spec = VmSpec {
            disks: vec![good, disk.clone()],
            ..named("app02")
        };
        let refused = fixture.lab.add_vm(spec);
        assert!(
            matches!(refused, Err(Error::InvalidSpec { .. } | Error::Io { .. })),
            "{disk:?}"
        );
        assert!(
            !fixture
                .lab
                .root()
                .join("datastores/datastore1/app02")
                .exists()
        );
    }
    let many = vec![
        DiskSpec {
            capacity_bytes: GRAIN,
            ..DiskSpec::default()
        };
        61
    ];
    assert!(
        fixture
            .lab
            .add_vm(VmSpec {
                disks: many,
                ..named("app02")
            })
            .is_err()
    );
    assert!(matches!(
        fixture.lab.add_vm(named("app01")),
        Err(Error::DuplicateName { .. })
    ));
}

#[test]
fn a_vm_has_what_a_client_reads() {
    let fixture = Fixture::new(GRAIN);
    let disk = || DiskSpec {
        capacity_bytes: GRAIN,
        ..DiskSpec::default()
    };
    let spec = VmSpec {
        disks: (0..9).map(|_| disk()).collect(),
        powered_on: false,
        folder: Some("Team A".into()),
        ..named("app02")
    };
    let vm = fixture.lab.add_vm(spec).unwrap();
    assert_eq!(
        (vm.moref.as_str(), vm.power_state),
        ("vm-1022", PowerState::PoweredOff)
    );
    assert_eq!(vm.vmx_path, "[datastore1] app02/app02.vmx");
    let site = fixture.lab.site().unwrap();
    let folder = site
        .folders
        .iter()
        .find(|folder| folder.moref == vm.folder)
        .unwrap();
    assert_eq!(
        (folder.name.as_str(), folder.parent.as_deref()),
        ("Team A", Some(Site::VM_FOLDER))
    );
    let keys: Vec<_> = vm
        .disks
        .iter()
        .map(|disk| (disk.device_key, disk.unit_number))
        .collect();
    assert_eq!(keys[6..], [(2006, 6), (2008, 8), (2009, 9)]);
    assert_eq!(vm.disks[1].label, "Hard disk 2");
    assert_eq!(vm.disks[1].chain[0].file, "[datastore1] app02/app02_1.vmdk");
    let home = fixture.lab.root().join("datastores/datastore1");
    assert!(home.join("app01/app01.nvram").exists() && !home.join("app02/app02.nvram").exists());
    assert!(
        std::fs::read_to_string(home.join("app02/app02.vmx"))
            .unwrap()
            .contains("displayName = \"app02\"\n")
    );
}

#[test]
fn images_are_copied_and_holes_stay_holes() {
    let fixture = Fixture::new(GRAIN);
    let folder = fixture.folder.path();
    let mut content = vec![0; (40 * GRAIN + 700) as usize];
    content[..100].fill(1);
    content[(20 * GRAIN) as usize..][..512].fill(2);
    *content.last_mut().unwrap() = 3;
    let raw = folder.join("image.raw");
    std::fs::write(&raw, &content).unwrap();
    content.resize((40 * GRAIN + 1024) as usize, 0);

    let sparse = folder.join("image.vmdk");
    let options = vmdk::CreateOptions::new(content.len() as u64 / 512);
    vmdk::create_monolithic_sparse(&sparse, &options)
        .unwrap()
        .write_at(0, &content)
        .unwrap();

    for (name, image) in [("raw", &raw), ("sparse", &sparse)] {
        let disk = DiskSpec {
            image: Some(image.clone()),
            ..DiskSpec::default()
        };
        let larger = DiskSpec {
            capacity_bytes: 64 * GRAIN,
            ..disk.clone()
        };
        let vm = fixture
            .lab
            .add_vm(VmSpec {
                disks: vec![disk, larger],
                ..named(name)
            })
            .unwrap();
        assert_eq!(vm.disks[0].capacity_bytes, content.len() as u64);
        for disk in &vm.disks {
            let path = fixture
                .lab
                .resolve_disk(&vm.moref, None, &disk.chain[0].file)
                .unwrap();
            let read = read_disk(&path);
            assert_eq!(read.len() as u64, disk.capacity_bytes);
            assert!(
                read[..content.len()] == content
                    && read[content.len()..].iter().all(|byte| *byte == 0)
            );
            let open = vmdk::Disk::open(&path, vmdk::OpenOptions::default()).unwrap();
            let held: u64 = open
                .allocated(0, open.capacity_sectors())
                .unwrap()
                .iter()
                .map(|run| run.sectors)
                .sum();
            assert!(held * 512 <= 4 * GRAIN, "{held} sectors");
        }
    }
}

#[test]
fn a_disk_may_lie_on_another_datastore() {
    let folder = tempfile::tempdir().unwrap();
    let datastores = ["one", "two"].map(|name| DatastoreSpec::new(name, DatastoreKind::Vmfs));
    let lab = Lab::create(
        folder.path(),
        SiteSpec {
            datastores: datastores.into(),
            ..SiteSpec::default()
        },
    )
    .unwrap();
    let disk = |datastore: Option<&str>| DiskSpec {
        capacity_bytes: GRAIN,
        datastore: datastore.map(Into::into),
        ..DiskSpec::default()
    };
    let vm = lab
        .add_vm(VmSpec {
            disks: vec![disk(None), disk(Some("two")), disk(Some("two"))],
            ..named("a")
        })
        .unwrap();
    let files: Vec<_> = vm
        .disks
        .iter()
        .map(|disk| disk.chain[0].file.as_str())
        .collect();
    assert_eq!(
        files,
        ["[one] a/a.vmdk", "[two] a/a_1.vmdk", "[two] a/a_2.vmdk"]
    );
    lab.create_snapshot(&vm.moref, &SnapshotSpec::named("s"))
        .unwrap();
    assert!(
        folder
            .path()
            .join("datastores/two/a/a_2-000001.vmdk")
            .exists()
    );
}

#[test]
fn only_files_of_the_vm_resolve() {
    let fixture = Fixture::new(GRAIN);
    let other = fixture.lab.add_vm(named("app02")).unwrap().moref;
    let (snapshot, _) = fixture.snapshot("s");
    let (base, child) = (
        "[datastore1] app01/app01.vmdk",
        "[datastore1] app01/app01-000001.vmdk",
    );
    let resolve =
        |vm: &str, snapshot: Option<&str>, file: &str| fixture.lab.resolve_disk(vm, snapshot, file);
    assert!(resolve(&fixture.vm, None, base).is_ok());
    assert!(resolve(&fixture.vm, None, child).is_ok());
    assert!(
        resolve(&fixture.vm, Some(&snapshot), base)
            .unwrap()
            .ends_with("datastore1/app01/app01.vmdk")
    );
    for refused in [
        resolve(&fixture.vm, Some(&snapshot), child),
        resolve(&fixture.vm, Some("snapshot-1"), base),
        resolve(&other, None, base),
        resolve(&other, Some(&snapshot), base),
        resolve("vm-1", None, base),
        resolve(&fixture.vm, None, "[datastore1] app01/../../../site.json"),
        resolve(&fixture.vm, None, "[datastore1] app01/app01.vmx"),
        resolve(&fixture.vm, None, ""),
    ] {
        assert!(
            matches!(refused, Err(Error::NotFound { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn changes_from_several_handles_do_not_get_lost() {
    let fixture = Fixture::new(GRAIN);
    thread::scope(|scope| {
        for _ in 0..4 {
            let (lab, vm) = (Lab::open(fixture.lab.root()).unwrap(), fixture.vm.clone());
            scope.spawn(move || {
                for _ in 0..25 {
                    lab.update_vm(&vm, |vm| {
                        vm.annotation.push('x');
                        Ok(())
                    })
                    .unwrap();
                    // A reader without the lock always meets a whole file.
                    lab.vm(&vm).unwrap();
                }
            });
        }
    });
    let before = fixture.lab.vm(&fixture.vm).unwrap();
    assert_eq!(before.annotation.len(), 100);
    let failed: Result<(), Error> = fixture.lab.update_vm(&fixture.vm, |vm| {
        vm.annotation.clear();
        Err(Error::InvalidLogin)
    });
    assert!(failed.is_err());
    let after = fixture.lab.vm(&fixture.vm).unwrap();
    assert_eq!(
        (after.annotation, after.change_version),
        (before.annotation, before.change_version)
    );
}

/// Where `another_process_takes_part` finds the lab; unset in the process of the user.
const CHILD_LAB: &str = "LAB_TEST_CHILD";

/// Appends to the annotation, the journal and the disk. Runs in both processes at once.
fn take_part(lab: &Lab, mark: char) {
    for turn in 0..20u64 {
        lab.update_vm("vm-1021", |vm| {
            vm.annotation.push(mark);
            Ok(())
        })
        .unwrap();
        lab.journal()
            .record("lab", "Turn", turn.into(), "ok".into())
            .unwrap();
        lab.guest_write("vm-1021", KEY, turn * 512, &[mark as u8; 512])
            .unwrap();
    }
}

#[test]
fn another_process_takes_part() {
    if let Some(root) = env::var_os(CHILD_LAB) {
        take_part(&Lab::open(Path::new(&root)).unwrap(), 'c');
        return;
    }
    let fixture = Fixture::new(GRAIN);
    let program: PathBuf = env::current_exe().unwrap();
    let mut child = Command::new(program)
        .args(["--exact", "site::another_process_takes_part"])
        .env(CHILD_LAB, fixture.lab.root())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    take_part(&fixture.lab, 'p');
    assert!(child.wait().unwrap().success());
    assert_eq!(fixture.lab.vm(&fixture.vm).unwrap().annotation.len(), 40);
    let entries = fixture.lab.journal().entries().unwrap();
    assert_eq!(
        entries.iter().map(|entry| entry.n).collect::<Vec<_>>(),
        (1..=40).collect::<Vec<_>>()
    );
    assert!(entries.iter().any(|entry| entry.pid != std::process::id()));
}
