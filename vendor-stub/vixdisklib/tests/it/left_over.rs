//! What a process leaves that dies with disks open.

use std::path::Path;
use std::time::{Duration, Instant};

use lab::{DiskSpec, Error, Fault, Lab, SiteSpec, Snapshot};

use crate::harness::*;

/// Opens the frozen disk of the lab, in a process that is about to die.
fn open_and_die(lab: &Lab, modes: &str, config: Option<&str>) {
    let site = DyingSite(lab);
    let kit = lab.root().join("dying-kit");
    std::fs::create_dir_all(&kit).unwrap();
    let settings = format!("lab = '{}'\n", lab.root().display());
    std::fs::write(kit.join("standin.toml"), settings).unwrap();
    let file = config.map(|text| {
        let file = kit.join("vddk.conf");
        std::fs::write(&file, text).unwrap();
        file
    });
    assert_eq!(init_configured((6, 5), Some(&kit), file.as_deref()), 0);
    let (params, snapshot) = (site.params(), site.snapshot());
    let connection = connect(&params, true, Some(&snapshot.moref), Some(modes)).unwrap();
    let path = &snapshot.disks[0].top().unwrap().file;
    let disk = open(connection, path, READ_ONLY).unwrap();
    assert_eq!(read(disk, 256, 1).unwrap(), [0x11; 512]);
}

/// The site of [`Site`], as another process finds it.
struct DyingSite<'a>(&'a Lab);

impl DyingSite<'_> {
    fn snapshot(&self) -> Snapshot {
        let vms = self.0.vms().unwrap();
        vms.into_iter()
            .find_map(|vm| vm.snapshots.into_iter().next())
            .unwrap()
    }

    fn params(&self) -> Params {
        let vm = self.0.vm_by_snapshot(&self.snapshot().moref).unwrap();
        Params {
            vmx_spec: Some(format!("moref={}", vm.moref)),
            server: Some("localhost".into()),
            thumbprint: Some(self.0.thumbprint_sha1().unwrap()),
            user: Some("backup@vsphere.local".into()),
            password: Some("stand-in".into()),
            cred_type: vddk_sys::VixDiskLibCredType::VIXDISKLIB_CRED_UID,
        }
    }
}

fn root(site: &Site) -> &Path {
    site.lab.root()
}

/// True in the process that is to die: it has no site of its own.
fn open_in_a_dying_process(name: &str, root: &Path, modes: &'static str, config: Option<&str>) {
    let config = config.map(str::to_owned);
    dying(name, root, move |lab| {
        open_and_die(&lab, modes, config.as_deref());
    });
}

#[test]
fn cleanup_takes_away_what_hot_add_left() {
    let name = "left_over::cleanup_takes_away_what_hot_add_left";
    in_own_process(name, || {
        if is_dying() {
            return open_in_a_dying_process(name, Path::new(""), "hotadd", None);
        }
        let site = Site::new();
        let proxy = site.run_on_proxy();
        open_in_a_dying_process(name, root(&site), "hotadd", None);
        let devices = || site.lab.vm(&proxy).unwrap().disks.len();
        assert_eq!(devices(), 2, "it stays attached");
        let refused = site.lab.remove_snapshot(&site.snapshot.moref, false);
        assert!(matches!(refused, Err(Error::Locked { .. })));

        site.init("");
        let params = Params {
            vmx_spec: None,
            ..site.params()
        };
        let wrong = Params {
            password: Some("wrong".into()),
            ..params.clone()
        };
        assert_eq!(clean_up(&wrong), (35, 0, 0));
        assert_eq!(clean_up(&params), (0, 1, 0));
        assert_eq!(devices(), 1);
        assert_eq!(clean_up(&params), (0, 0, 0), "nothing is left");
        site.lab.consolidate(&site.vm.moref).unwrap();
        exit();
        let entries = site.journal("VixDiskLib_Cleanup");
        assert_eq!(entries[1].args["cleaned_up"], 1);
    });
}

#[test]
fn cleanup_leaves_what_is_in_use_and_what_has_another_folder() {
    let name = "left_over::cleanup_leaves_what_is_in_use_and_what_has_another_folder";
    let config = "tmpDirectory=/var/tmp/a\n";
    in_own_process(name, || {
        if is_dying() {
            return open_in_a_dying_process(name, Path::new(""), "hotadd", Some(config));
        }
        let site = Site::new();
        let proxy = site.run_on_proxy();
        open_in_a_dying_process(name, root(&site), "hotadd", Some(config));
        let devices = || site.lab.vm(&proxy).unwrap().disks.len();
        site.init("");
        let params = site.params();
        let disk = site.open_by(Some("hotadd")).unwrap();
        assert_eq!(devices(), 3);
        assert_eq!(clean_up(&params), (5, 0, 1), "in use by this process");
        assert_eq!(close(disk), 0);
        assert_eq!(
            clean_up(&params),
            (0, 0, 0),
            "made under another tmpDirectory"
        );
        assert_eq!(devices(), 2);
        exit();
    });
}

#[test]
fn cleanup_may_lose_the_change_tracking_maps() {
    let name = "left_over::cleanup_may_lose_the_change_tracking_maps";
    in_own_process(name, || {
        if is_dying() {
            return open_in_a_dying_process(name, Path::new(""), "hotadd", None);
        }
        let site = Site::new();
        site.run_on_proxy();
        let vm = site.vm.moref.as_str();
        site.lab.set_change_tracking(vm, true).unwrap();
        let tracked = site
            .lab
            .create_snapshot(vm, &lab::SnapshotSpec::named("tracked"))
            .unwrap();
        let id = tracked.disks[0].change_id.clone().unwrap();
        let query = || {
            site.lab
                .changed_areas(vm, Some(&tracked.moref), 2000, 0, &id)
        };
        open_in_a_dying_process(name, root(&site), "hotadd", None);
        site.init("");
        assert!(query().is_ok());
        let fault = Fault {
            call: "VixDiskLib_Cleanup.lose_ctk".into(),
            code: Some(1),
            ..Fault::default()
        };
        site.lab.set_faults(&[fault]).unwrap();
        assert_eq!(clean_up(&site.params()), (0, 1, 0));
        assert!(matches!(
            query(),
            Err(lab::ChangedAreasError::FileFault { .. })
        ));
        exit();
    });
}

/// A site whose hosts do not notice dead clients, with time at a thousandth.
fn forgetful() -> Site {
    let site = SiteSpec {
        nfc_time_scale: Some(0.001),
        ..SiteSpec::default()
    };
    Site::with(site, DiskSpec::default())
}

#[test]
fn without_nfc_time_outs_a_dead_client_locks_its_disk() {
    let name = "left_over::without_nfc_time_outs_a_dead_client_locks_its_disk";
    in_own_process(name, || {
        if is_dying() {
            return open_in_a_dying_process(name, Path::new(""), "nbdssl", None);
        }
        let site = forgetful();
        open_in_a_dying_process(name, root(&site), "nbdssl", None);
        let refused = site.lab.remove_snapshot(&site.snapshot.moref, false);
        assert!(matches!(refused, Err(Error::Locked { .. })));
        let refused = site.lab.consolidate(&site.vm.moref);
        assert!(matches!(refused, Err(Error::Locked { .. })));
    });
}

#[test]
fn with_nfc_time_outs_it_is_freed() {
    let name = "left_over::with_nfc_time_outs_it_is_freed";
    let config = "vixDiskLib.nfc.ReadTimeoutMs=60000\nvixDiskLib.nfc.WriteTimeoutMs=600000\n";
    in_own_process(name, || {
        if is_dying() {
            return open_in_a_dying_process(name, Path::new(""), "nbdssl", Some(config));
        }
        let site = forgetful();
        open_in_a_dying_process(name, root(&site), "nbdssl", Some(config));
        let begin = Instant::now();
        let _ = site.lab.remove_snapshot(&site.snapshot.moref, false);
        // The host frees it after 60 ms; there is no event to wait for.
        while site.lab.consolidate(&site.vm.moref).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "never freed");
            std::thread::sleep(Duration::from_millis(5));
        }
    });
}

#[test]
fn a_client_that_ends_well_leaves_nothing() {
    let name = "left_over::a_client_that_ends_well_leaves_nothing";
    in_own_process(name, || {
        let site = forgetful();
        site.init("");
        let (_, disk) = site.open_frozen();
        assert_eq!(close(disk), 0);
        let (_, _left_to_exit) = site.open_frozen();
        exit();
        site.lab
            .remove_snapshot(&site.snapshot.moref, false)
            .unwrap();
    });
}

#[test]
fn a_local_disk_is_locked_by_a_folder_that_a_dead_writer_leaves() {
    let name = "left_over::a_local_disk_is_locked_by_a_folder_that_a_dead_writer_leaves";
    in_own_process(name, || {
        if is_dying() {
            return dying(name, Path::new(""), |lab| {
                assert_eq!(init((6, 5), None), 0);
                let disk = lab.root().join("local.vmdk");
                open_file(connect_local(false), &disk, 0).unwrap();
            });
        }
        let site = Site::new();
        let disk = root(&site).join("local.vmdk");
        vmdk::create_monolithic_sparse(&disk, &vmdk::CreateOptions::new(2048)).unwrap();
        let lock = root(&site).join("local.vmdk.lck");
        assert_eq!(init((6, 5), None), 0);
        let connection = connect_local(false);
        let reader = open_file(connection, &disk, READ_ONLY).unwrap();
        assert!(!lock.exists(), "reading locks nothing");
        let writer = open_file(connection, &disk, 0).unwrap();
        assert!(lock.is_dir());
        assert_eq!(open_file(connection, &disk, 0), Err(15));
        assert_eq!((close(writer), close(reader)), (0, 0));
        assert!(!lock.exists());

        dying(name, root(&site), |_| unreachable!());
        assert!(lock.is_dir());
        assert_eq!(open_file(connection, &disk, 0), Err(15));
        assert_eq!(log_lines("which is dead: remove").len(), 1);
        assert_eq!(close(open_file(connection, &disk, READ_ONLY).unwrap()), 0);
        std::fs::remove_dir_all(&lock).unwrap();
        assert_eq!(close(open_file(connection, &disk, 0).unwrap()), 0);
        exit();
    });
}
