//! Which transport a disk gets, and what each can do ("VDDK API reference, 4").

use lab::{Bus, DatastoreKind, DatastoreSpec, DiskSpec, Machine, SiteSpec, SnapshotSpec, Vm};

use crate::harness::*;

/// No device, and a device that is not for this.
const NO_DEVICE: u64 = 16065;
const UNSUPPORTED: u64 = 16066;

/// A site of a physical machine that sees one LUN; the disks of the snapshot are on it.
fn with_lun() -> Site {
    let lun = DatastoreSpec::new("lun", DatastoreKind::Vmfs).seen_at("/dev/sdb");
    let others = [
        ("unseen", DatastoreKind::Vmfs),
        ("local", DatastoreKind::Local),
        ("nfs", DatastoreKind::Nfs),
        ("vsan", DatastoreKind::Vsan),
        ("vvol", DatastoreKind::Vvol),
    ]
    .map(|(name, kind)| DatastoreSpec::new(name, kind));
    let datastores = [lun].into_iter().chain(others);
    Site::with(
        SiteSpec::default().with_datastores(datastores),
        DiskSpec::default(),
    )
}

fn on(datastore: &str) -> DiskSpec {
    DiskSpec {
        datastore: Some(datastore.into()),
        ..DiskSpec::default()
    }
}

fn file(vm: &Vm) -> &str {
    &vm.disks[0].top().unwrap().file
}

/// The transport of the frozen disk, which is closed again.
fn chosen(site: &Site, modes: &str) -> Result<String, u64> {
    site.open_by(Some(modes)).map(|disk| {
        let chosen = transport(disk);
        assert_eq!(close(disk), 0);
        chosen
    })
}

#[test]
fn san_is_preferred_and_reads_what_is_on_the_lun() {
    let name = "transports::san_is_preferred_and_reads_what_is_on_the_lun";
    in_own_process(name, || {
        let site = with_lun();
        site.init("");
        let disk = site.open_by(None).unwrap();
        assert_eq!(transport(disk), "san", "no list is the default list");
        assert_eq!(read(disk, 256, 1).unwrap(), [0x11; 512]);
        let mut buffer = vec![0_u8; 2048];
        let aligned = buffer.as_ptr().align_offset(512);
        let start = buffer[aligned + 1..].as_mut_ptr();
        // SAFETY: more than 512 bytes follow in the buffer.
        let code = unsafe { vixDiskLib::VixDiskLib_Read(disk, 0, 1, start) };
        assert_eq!(code, 3, "SAN wants aligned buffers");
        assert_eq!(close(disk), 0);
        assert_eq!(chosen(&site, "nbd:san"), Ok("nbd".into()));
        assert_eq!(chosen(&site, "bogus:SAN"), Ok("san".into()));
        assert_eq!(log_lines("bogus is unknown").len(), 1);
        exit();
        let entries = site.journal("VixDiskLib_Open");
        assert_eq!(entries[0].args["transport"], "san");
    });
}

#[test]
fn san_opens_what_it_cannot_reach_and_reads_zeros() {
    let name = "transports::san_opens_what_it_cannot_reach_and_reads_zeros";
    in_own_process(name, || {
        let site = with_lun();
        let vms = ["unseen", "local"].map(|datastore| site.add_off(datastore, on(datastore)));
        site.init("");
        for vm in &vms {
            let disk = site.open_of(vm, None, file(vm), None, READ_ONLY).unwrap();
            assert_eq!(transport(disk), "san");
            assert_eq!(read(disk, 0, 1).unwrap(), [0; 512], "the documented danger");
            assert_eq!(close(disk), 0);

            let nbd = site.open_of(vm, None, file(vm), Some("nbdssl"), READ_ONLY);
            assert_eq!(read(nbd.unwrap(), 0, 1).unwrap(), [0x44; 512]);
        }
        exit();
    });
}

#[test]
fn san_that_does_not_reach_fails_when_written() {
    let name = "transports::san_that_does_not_reach_fails_when_written";
    in_own_process(name, || {
        let site = with_lun();
        let vm = site.add_off("off", on("local"));
        site.lab
            .create_snapshot(&vm.moref, &SnapshotSpec::named("for SAN"))
            .unwrap();
        site.init("");
        let disk = site.open_of(&vm, None, file(&vm), None, 0).unwrap();
        assert_eq!(transport(disk), "san", "no fall back to nbdssl");
        let data = Aligned([7; 512]);
        assert_eq!(write(disk, 0, &data.0), 7);
        assert_eq!(close(disk), 0);
        exit();
    });
}

/// A sector at an address that SAN takes.
#[repr(align(512))]
struct Aligned([u8; 512]);

#[test]
fn san_is_impossible_off_vmfs_and_for_encrypted_disks() {
    let name = "transports::san_is_impossible_off_vmfs_and_for_encrypted_disks";
    in_own_process(name, || {
        let site = with_lun();
        let vms = ["nfs", "vsan", "vvol"].map(|datastore| site.add_off(datastore, on(datastore)));
        let secret = DiskSpec {
            encrypted: true,
            ..on("lun")
        };
        let secret = site.add_off("secret", secret);
        site.init("");
        let by = |vm: &Vm, modes: &str| -> Result<String, u64> {
            let disk = site.open_of(vm, None, file(vm), Some(modes), READ_ONLY)?;
            Ok(transport(disk))
        };
        for vm in &vms {
            assert_eq!(by(vm, "san"), Err(NO_DEVICE), "{}", vm.name);
            assert_eq!(by(vm, "san:nbdssl"), Ok("nbdssl".into()), "{}", vm.name);
        }
        assert_eq!(by(&secret, "san"), Err(UNSUPPORTED));
        assert_eq!(by(&secret, "san:nbd"), Ok("nbd".into()));
        exit();
    });
}

#[test]
fn san_needs_a_physical_machine_that_sees_a_lun() {
    let name = "transports::san_needs_a_physical_machine_that_sees_a_lun";
    in_own_process(name, || {
        let site = with_lun();
        let config = "vixDiskLib.transport.san.denyList=/dev/sd[a-c]\n";
        site.init_configured("", Some(config));
        assert_eq!(chosen(&site, "san"), Err(NO_DEVICE), "denied");
        site.lab.set_machine(Machine::Foreign).unwrap();
        assert_eq!(chosen(&site, "san"), Err(NO_DEVICE), "a VM");
        assert_eq!(
            chosen(&site, "hotadd"),
            Err(NO_DEVICE),
            "of another vCenter"
        );
        assert_eq!(chosen(&site, "san:hotadd:nbdssl"), Ok("nbdssl".into()));
        exit();
    });
}

#[test]
fn hot_add_attaches_the_disk_and_close_detaches_it() {
    let name = "transports::hot_add_attaches_the_disk_and_close_detaches_it";
    in_own_process(name, || {
        let site = Site::new();
        let proxy = site.run_on_proxy();
        site.init("");
        let devices = || site.lab.vm(&proxy).unwrap().disks.len();
        let disk = site.open_by(None).unwrap();
        assert_eq!(transport(disk), "hotadd", "SAN is impossible in a VM");
        assert_eq!(devices(), 2);
        assert_eq!(read(disk, 256, 1).unwrap(), [0x11; 512]);
        assert_eq!(close(disk), 0);
        assert_eq!(devices(), 1);

        let snapshot = Some(site.snapshot.moref.as_str());
        let connection = connect(&site.params(), true, snapshot, Some("hotadd")).unwrap();
        let disk = open(connection, site.frozen(), READ_ONLY).unwrap();
        assert_eq!(devices(), 2);
        assert_eq!(disconnect(connection), 0);
        assert_eq!(
            (devices(), close(disk)),
            (1, 1000),
            "closed with its connection"
        );
        site.open_by(Some("hotadd")).unwrap();
        exit();
        assert_eq!(devices(), 1, "closed at the end");
        site.lab
            .remove_snapshot(&site.snapshot.moref, false)
            .unwrap();
    });
}

#[test]
fn hot_add_is_for_scsi_with_a_snapshot_and_a_free_slot() {
    let name = "transports::hot_add_is_for_scsi_with_a_snapshot_and_a_free_slot";
    in_own_process(name, || {
        let site = Site::new();
        let on_bus = |bus| DiskSpec {
            bus,
            ..DiskSpec::default()
        };
        let vms = [Bus::Ide, Bus::Sata, Bus::Nvme]
            .map(|bus| site.add_off(&format!("{bus:?}"), on_bus(bus)));
        let proxy = site.run_on_proxy();
        site.init("");
        for vm in &vms {
            let refused = site.open_of(vm, None, file(vm), Some("hotadd"), READ_ONLY);
            assert_eq!(refused, Err(UNSUPPORTED), "{}", vm.name);
        }
        let off = site.add_off("off", DiskSpec::default());
        let refused = site.open_of(&off, None, file(&off), Some("hotadd"), READ_ONLY);
        assert_eq!(refused, Err(13), "no snapshot");

        let open_disks: Vec<_> = (0..14)
            .map(|_| site.open_by(Some("hotadd")).unwrap())
            .collect();
        assert_eq!(site.lab.vm(&proxy).unwrap().disks.len(), 15);
        assert_eq!(chosen(&site, "hotadd"), Err(13));
        assert!(!log_lines("no free slots").is_empty());
        assert_eq!(chosen(&site, "hotadd:nbdssl"), Ok("nbdssl".into()));
        assert!(open_disks.into_iter().all(|disk| close(disk) == 0));
        assert_eq!(chosen(&site, "hotadd"), Ok("hotadd".into()));
        exit();
    });
}

#[test]
fn hot_add_fails_when_the_controllers_are_out_of_sequence() {
    let name = "transports::hot_add_fails_when_the_controllers_are_out_of_sequence";
    in_own_process(name, || {
        let site = Site::new();
        site.run_on_proxy_with(DiskSpec {
            controller: Some(1),
            ..DiskSpec::default()
        });
        site.init("");
        assert_eq!(chosen(&site, "hotadd"), Err(NO_DEVICE));
        assert_eq!(chosen(&site, "hotadd:nbd"), Ok("nbd".into()));
        exit();
    });
}

#[test]
fn an_esxi_host_knows_neither_hot_add_nor_disabled_methods() {
    let name = "transports::an_esxi_host_knows_neither_hot_add_nor_disabled_methods";
    in_own_process(name, || {
        let site = SiteSpec {
            bare_host: true,
            ..SiteSpec::default()
        };
        let site = Site::with(site, DiskSpec::default());
        site.run_on_proxy();
        site.init("");
        assert_eq!(chosen(&site, "hotadd"), Err(NO_DEVICE));
        assert_eq!(access(&site.params(), "one", true), 1);
        assert_eq!(log_lines("HostAgent is not a vCenter").len(), 1);
        exit();
    });
}

#[test]
fn compression_is_for_nbdssl_and_ignored_elsewhere() {
    let name = "transports::compression_is_for_nbdssl_and_ignored_elsewhere";
    in_own_process(name, || {
        let site = Site::new();
        site.init("");
        let snapshot = Some(site.snapshot.moref.as_str());
        for (modes, ignored) in [("nbdssl", 0), ("nbd", 1)] {
            for flag in [16, 32, 64] {
                let connection = connect(&site.params(), true, snapshot, Some(modes)).unwrap();
                let disk = open(connection, site.frozen(), READ_ONLY | flag).unwrap();
                assert_eq!(read(disk, 256, 1).unwrap(), [0x11; 512]);
                assert_eq!(close(disk), 0);
            }
            assert_eq!(log_lines("compression is for nbdssl").len(), 3 * ignored);
        }
        exit();
    });
}
