//! Disks of the lab: login, names, thumbprint, states, transports, access.

use lab::{DiskSpec, VmSpec};
use vddk_sys::VixDiskLibCredType;
use vixDiskLib::*;

use crate::harness::*;

#[test]
fn connecting_checks_login_vm_and_snapshot() {
    in_own_process("managed::connecting_checks_login_vm_and_snapshot", || {
        let site = Site::new();
        site.init("");
        let good = site.params();
        let snapshot = site.snapshot.moref.as_str();
        let code = |params: &Params, snapshot| connect(params, true, snapshot, None).err();
        assert_eq!(code(&good, Some(snapshot)), None);
        assert_eq!(code(&good, None), None);
        assert_eq!(code(&good, Some("")), None, "empty is none");
        let vmx_spec = Some(format!("moRef={}", site.vm.moref));
        let other_case = Params {
            vmx_spec,
            ..good.clone()
        };
        assert_eq!(code(&other_case, None), None);

        let password = Some("geheim".to_owned());
        let wrong = Params {
            password,
            ..good.clone()
        };
        assert_eq!(code(&wrong, None), Some(35));
        let wrong = Params {
            user: Some("nobody".into()),
            ..good.clone()
        };
        assert_eq!(code(&wrong, None), Some(35));
        for spec in [
            "moref=vm-9",
            "moref=../site",
            "moref=",
            "vm-1021",
            "name=app01",
        ] {
            let wrong = Params {
                vmx_spec: Some(spec.into()),
                ..good.clone()
            };
            assert_eq!(code(&wrong, None), Some(4000), "{spec}");
        }
        assert_eq!(code(&good, Some("snapshot-1")), Some(13003));
        let wrong = Params {
            vmx_spec: None,
            ..good.clone()
        };
        assert_eq!(code(&wrong, None), Some(3));
        let wrong = Params {
            password: None,
            ..good.clone()
        };
        assert_eq!(code(&wrong, None), Some(3));
        for (cred_type, expected) in [(2, 35), (3, 6), (4, 6), (5, 3), (256, 3)] {
            let wrong = Params {
                cred_type: VixDiskLibCredType(cred_type),
                ..good.clone()
            };
            assert_eq!(code(&wrong, None), Some(expected), "{cred_type}");
        }
        exit();

        let entries = site.journal("VixDiskLib_ConnectEx");
        assert_eq!(entries[0].args["snapshot"], snapshot);
        assert_eq!(entries[0].args["vm"], site.vm.moref);
        assert_eq!(entries[0].result["code"], 0);
        let all = std::fs::read_to_string(site.lab.root().join("journal.jsonl")).unwrap();
        assert!(
            !all.contains("geheim") && !all.contains("stand-in"),
            "a password"
        );
        assert_eq!(
            site.journal("VixDiskLib_Exit")[0].args["open_connections"],
            4
        );
    });
}

#[test]
fn a_snapshot_is_read_as_it_was() {
    in_own_process("managed::a_snapshot_is_read_as_it_was", || {
        let site = Site::new();
        site.init("");
        let (connection, disk) = site.open_frozen();
        assert_eq!(transport(disk), "nbdssl");
        assert_eq!(read(disk, 256, 1).unwrap(), [0x11; 512]);
        assert_eq!(read(disk, CAPACITY_SECTORS - 1, 1).unwrap(), [0x33; 512]);
        assert_eq!(read(disk, CAPACITY_SECTORS, 1), Err(16007));
        assert_eq!(write(disk, 0, &[0; 512]), 11);

        let held = site.lab.remove_snapshot(&site.snapshot.moref, false);
        assert!(matches!(held, Err(lab::Error::Locked { .. })), "{held:?}");
        assert_eq!(close(disk), 0);
        assert_eq!(disconnect(connection), 0);
        assert_eq!(disconnect(connection), 1000);
        exit();

        let reads = site.journal("VixDiskLib_Read");
        let sums: Vec<_> = reads
            .iter()
            .filter(|entry| entry.result["code"] == 0)
            .collect();
        assert_eq!(sums.len(), 1, "reads are summed up");
        assert_eq!(
            (&sums[0].args["count"], &sums[0].args["bytes"]),
            (&2.into(), &1024.into())
        );
        assert_eq!(reads.len(), 2, "a failed read has a line of its own");
        assert_eq!(log_lines("; open for ").len(), 1);
    });
}

#[test]
fn a_wrong_thumbprint_shows_at_open_with_both_values() {
    in_own_process(
        "managed::a_wrong_thumbprint_shows_at_open_with_both_values",
        || {
            let site = Site::new();
            site.init("");
            let right = site.lab.thumbprint_sha1().unwrap();
            let wrong = ["00"; 20].join(":");
            for (thumbprint, code) in [
                (Some(wrong.clone()), Some(1)),
                (None, Some(1)),
                (Some(right.to_lowercase()), None),
            ] {
                let params = Params {
                    thumbprint,
                    ..site.params()
                };
                let snapshot = Some(site.snapshot.moref.as_str());
                let connection = connect(&params, true, snapshot, None).unwrap();
                assert_eq!(open(connection, site.frozen(), READ_ONLY).err(), code);
            }
            let line = format!("actual thumbprint={right} expected={wrong}\n");
            assert_eq!(log_lines(&line).len(), 1);
            exit();
        },
    );
}

#[test]
fn only_disks_the_connection_may_open_are_opened() {
    in_own_process(
        "managed::only_disks_the_connection_may_open_are_opened",
        || {
            let site = Site::new();
            let spec = VmSpec {
                name: "off01".into(),
                disks: vec![DiskSpec {
                    capacity_bytes: 1 << 20,
                    ..DiskSpec::default()
                }],
                powered_on: false,
                ..VmSpec::default()
            };
            let off = site.lab.add_vm(spec).unwrap();
            site.init("");
            let snapshot = Some(site.snapshot.moref.as_str());
            let connection = connect(&site.params(), true, snapshot, None).unwrap();
            let off_disk = off.disks[0].top().unwrap().file.as_str();
            for path in ["[datastore1] app01/no.vmdk", "/etc/passwd", "", off_disk] {
                assert_eq!(open(connection, path, READ_ONLY), Err(4), "{path}");
            }
            let independent = &site.snapshot.disks[1].top().unwrap().file;
            assert_eq!(
                open(connection, independent, READ_ONLY),
                Err(1),
                "independent"
            );
            assert_eq!(
                open(connection, site.frozen(), READ_ONLY | 2),
                Err(20),
                "one link"
            );

            let running = connect(&site.params(), true, None, None).unwrap();
            let running_disk = &site.vm.disks[0].top().unwrap().file;
            assert_eq!(open(running, running_disk, READ_ONLY), Err(13), "in use");
            let vmx_spec = Some(format!("moref={}", off.moref));
            let params = Params {
                vmx_spec,
                ..site.params()
            };
            let connection = connect(&params, false, None, None).unwrap();
            let disk = open(connection, off_disk, READ_ONLY).unwrap();
            assert_eq!(read(disk, 0, 1).unwrap(), [0; 512]);
            assert_eq!(disconnect(connection), 0);
            assert_eq!(close(disk), 1000, "ended with its connection");
            exit();
        },
    );
}

#[test]
fn the_transport_is_chosen_at_open() {
    in_own_process("managed::the_transport_is_chosen_at_open", || {
        let site = Site::new();
        site.init("");
        let chosen = |modes: &str| {
            let snapshot = Some(site.snapshot.moref.as_str());
            let connection = connect(&site.params(), true, snapshot, Some(modes)).unwrap();
            open(connection, site.frozen(), READ_ONLY).map(transport)
        };
        assert_eq!(chosen("san:hotadd:nbdssl"), Ok("nbdssl".into()));
        assert_eq!(chosen("nbd"), Ok("nbd".into()));
        assert_eq!(chosen("san"), Err(16065));
        assert_eq!(chosen("hotadd"), Err(16065));
        assert_eq!(chosen("file"), Err(6));

        let connection = site.params().lend(|params| {
            let mut connection = std::ptr::null_mut();
            // SAFETY: the pointers are valid during the call.
            let code = unsafe { VixDiskLib_Connect(params, &raw mut connection) };
            assert_eq!(code, 0);
            // SAFETY: a null out pointer is refused.
            let code = unsafe { VixDiskLib_Connect(params, std::ptr::null_mut()) };
            assert_eq!(code, 3);
            connection
        });
        assert_eq!(
            open(connection, site.frozen(), READ_ONLY),
            Err(13),
            "no snapshot"
        );
        exit();
    });
}

#[test]
fn access_keeps_the_vm_in_its_place() {
    in_own_process("managed::access_keeps_the_vm_in_its_place", || {
        let site = Site::new();
        site.init("");
        let params = site.params();
        let disabled = || site.lab.vm(&site.vm.moref).unwrap().disabled_methods;
        assert_eq!(access(&params, &"x".repeat(51), true), 3);
        let wrong = Params {
            password: Some("x".into()),
            ..params.clone()
        };
        assert_eq!(access(&wrong, "one", true), 35);
        assert!(disabled().is_empty());

        assert_eq!(
            access(&params, &"é".repeat(50), true),
            0,
            "characters, not bytes"
        );
        assert_eq!(disabled()[0].method, "RelocateVM_Task");
        assert_eq!(access(&params, "two", true), 1, "disabled already");
        assert_eq!(log_lines("MethodAlreadyDisabled").len(), 1);
        assert_eq!(access(&params, "two", false), 0, "nothing of its own");
        assert_eq!(disabled().len(), 1);
        assert_eq!(access(&params, &"é".repeat(50), false), 0);
        assert!(disabled().is_empty());
        // SAFETY: null is refused.
        let code = unsafe { VixDiskLib_EndAccess(std::ptr::null(), c"x".as_ptr()) };
        assert_eq!(code, 3);
        exit();
        assert_eq!(site.journal("VixDiskLib_PrepareForAccess").len(), 4);
        assert_eq!(site.journal("VixDiskLib_EndAccess").len(), 3);
    });
}

#[test]
fn the_lab_is_found_through_the_environment() {
    let name = "managed::the_lab_is_found_through_the_environment";
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("lab");
    let lab = lab::Lab::create(&root, lab::SiteSpec::default()).unwrap();
    in_own_process_with(name, &[("VDDK_STANDIN_LAB", &root)], || {
        assert_eq!(init((6, 5), None), 0);
        exit();
    });
    let entries = lab.journal().entries().unwrap();
    let calls: Vec<_> = entries.iter().map(|entry| entry.call.as_str()).collect();
    // In the child this part runs on a lab of its own.
    if std::env::var_os("VDDK_STANDIN_LAB").is_none() {
        assert_eq!(calls, ["VixDiskLib_InitEx", "VixDiskLib_Exit"]);
    }
}
