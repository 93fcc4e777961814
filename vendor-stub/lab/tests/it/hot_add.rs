//! HotAdd: when it is possible, what it attaches, and what it leaves behind.

use lab::{
    Bus, CleanedUp, DiskSpec, Error, HotAddRefusal, HotAddSpec, HotAdded, Lab, Machine, PowerState,
    SiteSpec, SnapshotSpec, VmSpec,
};
use tempfile::TempDir;

use crate::{GRAIN, read_disk};

/// A lab with a running VM that has one snapshot, on a proxy.
struct Fixture {
    _folder: TempDir,
    lab: Lab,
    vm: String,
    proxy: String,
    snapshot: String,
    /// The frozen link.
    file: String,
}

fn disk() -> DiskSpec {
    DiskSpec {
        capacity_bytes: 4 * GRAIN,
        ..DiskSpec::default()
    }
}

fn vm(name: &str, disks: Vec<DiskSpec>) -> VmSpec {
    VmSpec {
        name: name.into(),
        disks,
        ..VmSpec::default()
    }
}

impl Fixture {
    fn new() -> Self {
        Self::with(disk(), vm("proxy", vec![disk()]))
    }

    fn with(source: DiskSpec, proxy: VmSpec) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(&folder.path().join("lab"), SiteSpec::default()).unwrap();
        let vm = lab.add_vm(vm("app01", vec![source])).unwrap();
        let proxy = lab.add_vm(proxy).unwrap().moref;
        lab.set_machine(Machine::Proxy { vm: proxy.clone() })
            .unwrap();
        lab.set_change_tracking(&vm.moref, true).unwrap();
        let key = vm.disks[0].device_key;
        lab.guest_write(&vm.moref, key, 0, &[1; 512]).unwrap();
        let snapshot = lab
            .create_snapshot(&vm.moref, &SnapshotSpec::named("s"))
            .unwrap();
        lab.guest_write(&vm.moref, key, 0, &[2; 512]).unwrap();
        Self {
            _folder: folder,
            lab,
            vm: vm.moref,
            proxy,
            snapshot: snapshot.moref,
            file: snapshot.disks[0].top().unwrap().file.clone(),
        }
    }

    fn attach(&self, write: bool) -> Result<HotAdded, Error> {
        self.lab.hot_add(HotAddSpec {
            vm: &self.vm,
            snapshot: Some(&self.snapshot),
            file: &self.file,
            write,
            state_folder: Some("/tmp/state"),
        })
    }

    #[track_caller]
    fn refusal(&self) -> HotAddRefusal {
        match self.attach(false) {
            Err(Error::HotAdd { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_disk_becomes_a_device_of_the_proxy_and_goes_again() {
    let fixture = Fixture::new();
    let attached = fixture.attach(false).unwrap();
    let proxy = fixture.lab.vm(&fixture.proxy).unwrap();
    let device = &proxy.disks[1];
    assert_eq!((device.device_key, device.unit_number), (2001, 1));
    let redo_log = device.attached.as_ref().unwrap().redo_log.clone().unwrap();
    assert!(redo_log.starts_with("[datastore1] app01/app01-hotadd-"));
    assert_eq!(read_disk(attached.path())[..512], [1; 512]);
    assert!(attached.path().is_file());

    let path = attached.path().to_owned();
    attached.detach().unwrap();
    assert!(!path.exists());
    assert_eq!(fixture.lab.vm(&fixture.proxy).unwrap().disks.len(), 1);
    fixture
        .lab
        .remove_snapshot(&fixture.snapshot, false)
        .unwrap();
}

#[test]
fn what_a_dead_process_left_blocks_the_source_until_the_cleanup() {
    let fixture = Fixture::new();
    let lab = &fixture.lab;
    let attached = fixture.attach(false).unwrap();
    let path = attached.path().to_owned();
    let living = lab.clean_up_hot_add(Some("/tmp/state")).unwrap();
    assert_eq!(living.remaining.len(), 1, "in use");

    drop(attached);
    let refused = lab.remove_snapshot(&fixture.snapshot, false);
    assert!(matches!(refused, Err(Error::Locked { .. })));
    let refused = lab.consolidate(&fixture.vm);
    assert!(matches!(refused, Err(Error::Locked { .. })));
    assert!(lab.vm(&fixture.vm).unwrap().consolidation_needed);
    // The proxy's own snapshots are another matter.
    let own = lab
        .create_snapshot(&fixture.proxy, &SnapshotSpec::named("own"))
        .unwrap();
    lab.remove_snapshot(&own.moref, false).unwrap();

    let elsewhere = lab.clean_up_hot_add(None).unwrap();
    assert_eq!(elsewhere, CleanedUp::default(), "another state folder");
    let done = lab.clean_up_hot_add(Some("/tmp/state")).unwrap();
    assert_eq!(done.cleaned.into_iter().next(), Some(fixture.vm.clone()));
    assert!(done.remaining.is_empty());
    assert!(!path.exists());
    assert_eq!(lab.vm(&fixture.proxy).unwrap().disks.len(), 1);
    lab.consolidate(&fixture.vm).unwrap();
    assert!(!lab.vm(&fixture.vm).unwrap().consolidation_needed);
}

#[test]
fn attaching_for_writing_takes_the_link_itself() {
    let fixture = Fixture::new();
    let attached = fixture.attach(true).unwrap();
    assert!(attached.path().ends_with("app01/app01.vmdk"));
    let path = attached.path().to_owned();
    attached.detach().unwrap();
    assert!(path.exists());
}

#[test]
fn the_machine_must_be_a_vm_of_the_site() {
    let fixture = Fixture::new();
    for (machine, reason) in [
        (Machine::Physical, HotAddRefusal::Physical),
        (Machine::Foreign, HotAddRefusal::OtherSite),
    ] {
        fixture.lab.set_machine(machine).unwrap();
        assert_eq!(fixture.refusal(), reason);
    }
}

#[test]
fn only_scsi_disks_that_are_no_raw_mappings_can_be_attached() {
    let refusal = |source: DiskSpec| Fixture::with(source, vm("proxy", vec![disk()])).refusal();
    for bus in [Bus::Ide, Bus::Sata, Bus::Nvme] {
        let source = DiskSpec { bus, ..disk() };
        assert_eq!(refusal(source), HotAddRefusal::NotScsi);
    }
    let raw_mapping = true;
    let source = DiskSpec {
        raw_mapping,
        ..disk()
    };
    assert_eq!(refusal(source), HotAddRefusal::RawMapping);
}

#[test]
fn an_encrypted_disk_needs_an_encrypted_proxy() {
    let secret = || DiskSpec {
        encrypted: true,
        ..disk()
    };
    let plain = Fixture::with(secret(), vm("proxy", vec![disk()]));
    assert_eq!(plain.refusal(), HotAddRefusal::ProxyNotEncrypted);
    let encrypted = Fixture::with(secret(), vm("proxy", vec![secret()]));
    encrypted.attach(false).unwrap().detach().unwrap();
}

#[test]
fn a_snapshot_must_exist() {
    let fixture = Fixture::new();
    let lab = &fixture.lab;
    lab.remove_snapshot(&fixture.snapshot, false).unwrap();
    lab.set_power_state(&fixture.vm, PowerState::PoweredOff)
        .unwrap();
    let refused = lab.hot_add(HotAddSpec {
        vm: &fixture.vm,
        snapshot: None,
        file: &fixture.file,
        write: false,
        state_folder: None,
    });
    let reason = HotAddRefusal::NoSnapshot;
    assert!(matches!(refused, Err(Error::HotAdd { reason: found }) if found == reason));
}

#[test]
fn the_proxys_controllers_must_follow_each_other_with_a_disk_each() {
    let on = |controllers: &[u8], scsi_controllers: &[u8]| {
        let disks = controllers.iter().map(|controller| DiskSpec {
            controller: Some(*controller),
            ..disk()
        });
        let spec = VmSpec {
            scsi_controllers: scsi_controllers.into(),
            ..vm("proxy", disks.collect())
        };
        Fixture::with(disk(), spec)
    };
    let order = HotAddRefusal::ControllerOrder;
    assert_eq!(on(&[], &[]).refusal(), order, "no controller");
    assert_eq!(on(&[1], &[]).refusal(), order, "not from 0");
    assert_eq!(on(&[0, 2], &[]).refusal(), order, "a gap");
    assert_eq!(on(&[0], &[1]).refusal(), order, "one without a disk");
    on(&[0, 1], &[0]).attach(false).unwrap().detach().unwrap();
}

#[test]
fn a_proxy_has_fifteen_slots_on_a_controller() {
    let disks = vec![disk(); 14];
    let fixture = Fixture::with(disk(), vm("proxy", disks));
    let last = fixture.attach(false).unwrap();
    assert_eq!(fixture.refusal(), HotAddRefusal::NoFreeSlot);
    last.detach().unwrap();
    fixture.attach(false).unwrap().detach().unwrap();
}

#[test]
fn lost_maps_are_a_fault_until_a_power_cycle() {
    let fixture = Fixture::new();
    let (lab, vm) = (&fixture.lab, fixture.vm.as_str());
    let snapshot = lab.vm_by_snapshot(&fixture.snapshot).unwrap();
    let old_id = snapshot.snapshots[0].disks[0].change_id.clone().unwrap();
    let query = |snapshot: &str, id: &str| {
        lab.changed_areas(vm, Some(snapshot), 2000, 0, id)
            .map(|page| page.areas.len())
            .map_err(|error| error.to_string())
    };
    assert_eq!(query(&fixture.snapshot, &old_id), Ok(0));
    lab.lose_tracking(vm).unwrap();
    assert!(
        query(&fixture.snapshot, &old_id)
            .unwrap_err()
            .contains("file fault")
    );

    // The guest does not notice, and new snapshots do not repair it.
    lab.guest_write(vm, 2000, GRAIN, &[3; 512]).unwrap();
    let later = lab.create_snapshot(vm, &SnapshotSpec::named("t")).unwrap();
    assert!(
        query(&later.moref, &old_id)
            .unwrap_err()
            .contains("file fault")
    );
    lab.remove_snapshot(&later.moref, false).unwrap();
    lab.remove_snapshot(&fixture.snapshot, false).unwrap();

    for state in [PowerState::PoweredOff, PowerState::PoweredOn] {
        lab.set_power_state(vm, state).unwrap();
    }
    let after = lab.create_snapshot(vm, &SnapshotSpec::named("u")).unwrap();
    let new_id = after.disks[0].change_id.clone().unwrap();
    assert!(
        query(&after.moref, &old_id)
            .unwrap_err()
            .contains("changeId")
    );
    lab.guest_write(vm, 2000, 0, &[4; 512]).unwrap();
    let last = lab.create_snapshot(vm, &SnapshotSpec::named("v")).unwrap();
    assert_eq!(query(&last.moref, &new_id), Ok(1));
}

#[test]
fn a_disk_of_no_vm_is_attached_without_a_snapshot() {
    let fixture = Fixture::new();
    let lab = &fixture.lab;
    let folder = lab.root().join("datastores/datastore1/loose");
    std::fs::create_dir(&folder).unwrap();
    let file = "[datastore1] loose/a.vmdk";
    let path = folder.join("a.vmdk");
    let options = vmdk::CreateOptions::new(700);
    let mut disk = vmdk::create_vmfs_flat(&path, &options).unwrap();
    disk.write_at(3, &[7; 512]).unwrap();
    drop(disk);
    let device = || lab.vm(&fixture.proxy).unwrap().disks.pop().unwrap();

    let attached = lab.hot_add_loose(file, false, None).unwrap();
    let mut found = [0; 512];
    let seen = vmdk::Disk::open(attached.path(), vmdk::OpenOptions::default()).unwrap();
    seen.read_at(3, &mut found).unwrap();
    assert_eq!(found, [7; 512]);
    assert_ne!(attached.path(), path, "by a redo log");
    assert_eq!(device().attached.unwrap().source_vm, None);
    assert_eq!(device().capacity_bytes, 700 * 512);
    // It is the proxy's until it is detached.
    let again = lab.hot_add_loose(file, false, None);
    assert!(matches!(again, Err(Error::InUse { .. })), "{again:?}");
    let redo_log = attached.path().to_owned();
    attached.detach().unwrap();
    assert!(!redo_log.exists());

    let attached = lab.hot_add_loose(file, true, Some("/state")).unwrap();
    assert_eq!(attached.path(), path.canonicalize().unwrap());
    drop(attached);
    let done = lab.clean_up_hot_add(Some("/state")).unwrap();
    assert_eq!(done.cleaned.into_iter().next().as_deref(), Some(file));
    assert!(path.exists());

    let used = lab.hot_add_loose(&fixture.file, false, None);
    assert!(matches!(used, Err(Error::InUse { .. })), "a VM's: {used:?}");
    let gone = lab.hot_add_loose("[datastore1] loose/b.vmdk", false, None);
    assert!(matches!(gone, Err(Error::Disk { .. })), "{gone:?}");
    lab.set_machine(Machine::Physical).unwrap();
    let refused = lab.hot_add_loose(file, false, None).unwrap_err();
    let physical = HotAddRefusal::Physical;
    assert!(
        matches!(refused, Error::HotAdd { reason } if reason == physical),
        "{refused}"
    );
}
