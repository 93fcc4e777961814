//! Scenarios on whole labs.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod behaviour;
mod catalog;
mod file_tree;
mod first_class;
mod holds;
mod hot_add;
mod machine;
mod model;
mod power;
mod queries;
mod reconfigure;
mod registration;
mod site;
mod snapshots;
mod switch;

use std::path::Path;

use lab::{DiskSpec, Lab, SiteSpec, SnapshotSpec, VmSpec};
use tempfile::TempDir;

/// Device key of the first disk.
const KEY: i32 = 2000;
/// One tracking grain.
const GRAIN: u64 = lab::GRAIN_BYTES;

/// A lab with one VM of one disk. The folder lives as long as the value.
struct Fixture {
    folder: TempDir,
    lab: Lab,
    vm: String,
}

impl Fixture {
    fn new(capacity_bytes: u64) -> Self {
        Self::with(SiteSpec::default(), capacity_bytes)
    }

    fn with(site: SiteSpec, capacity_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(&folder.path().join("lab"), site).unwrap();
        let disk = DiskSpec {
            capacity_bytes,
            ..DiskSpec::default()
        };
        let spec = VmSpec {
            name: "app01".into(),
            disks: vec![disk],
            ..VmSpec::default()
        };
        let vm = lab.add_vm(spec).unwrap().moref;
        Self { folder, lab, vm }
    }

    /// As `with`, with change tracking asked for.
    fn tracked(site: SiteSpec, capacity_bytes: u64) -> Self {
        let fixture = Self::with(site, capacity_bytes);
        fixture.lab.set_change_tracking(&fixture.vm, true).unwrap();
        fixture
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) {
        self.lab
            .guest_write(&self.vm, KEY, offset_bytes, data)
            .unwrap();
    }

    /// Makes a snapshot and returns its moref and the change id of the disk.
    fn snapshot(&self, name: &str) -> (String, Option<String>) {
        let snapshot = self
            .lab
            .create_snapshot(&self.vm, &SnapshotSpec::named(name))
            .unwrap();
        (snapshot.moref, snapshot.disks[0].change_id.clone())
    }

    /// As `snapshot`, for a disk that is tracked.
    fn landmark(&self, name: &str) -> (String, String) {
        let (moref, id) = self.snapshot(name);
        (moref, id.unwrap())
    }

    /// All bytes of the disk as of a snapshot, or as of now.
    fn read(&self, snapshot: Option<&str>) -> Vec<u8> {
        let vm = self.lab.vm(&self.vm).unwrap();
        let disks = snapshot.map_or(&vm.disks, |moref| &vm.snapshot(moref).unwrap().disks);
        let file = &disks[0].top().unwrap().file;
        read_disk(&self.lab.resolve_disk(&self.vm, snapshot, file).unwrap())
    }

    /// Names of the files beside the disk.
    fn files(&self) -> Vec<String> {
        let folder = self.lab.root().join("datastores/datastore1/app01");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.contains(".vmdk"))
            .collect();
        names.sort();
        names
    }
}

fn read_disk(descriptor: &Path) -> Vec<u8> {
    let disk = vmdk::Disk::open(descriptor, vmdk::OpenOptions::default()).unwrap();
    let mut data = vec![0; (disk.capacity_sectors() * 512) as usize];
    disk.read_at(0, &mut data).unwrap();
    data
}
