//! Local disks through their life: made, written, copied, grown, renamed, removed, chained.

use std::{
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use lab::Fault;
use vddk::{
    AdapterType, ChildType, ConnectOptions, Connection, CreateSpec, Disk, DiskGeometry, DiskType,
    Error, Existing, Geometry, OpenOptions, Percent, Progress, SECTOR_BYTES, SectorBuf,
    WritableDisk,
};

use crate::kit::{DISK_BYTES, Kit, in_own_process};

pub(crate) const SECTORS: u64 = 4 * 1024 + 3;

/// A local connection of a fresh library.
pub(crate) fn locally(name: &str, test: impl FnOnce(&Kit, &vddk::Library, &Connection)) {
    in_own_process(name, || {
        let kit = Kit::new();
        let library = kit.load();
        let connection = library.connect_local(false).unwrap();
        test(&kit, &library, &connection);
        connection.close().unwrap();
        assert!(library.close().unwrap());
        // A parent that was attached is never closed by itself.
        let (opened, attached) = (
            kit.succeeded("VixDiskLib_Open"),
            kit.succeeded("VixDiskLib_Attach"),
        );
        assert_eq!(opened, kit.count("VixDiskLib_Close") + attached);
    });
}

pub(crate) fn at(kit: &Kit, name: &str) -> String {
    kit.folder().join(name).to_str().unwrap().to_owned()
}

fn spec(disk_type: DiskType) -> CreateSpec {
    CreateSpec::new(disk_type, SECTORS)
}

pub(crate) fn write(disk: &WritableDisk, sector: u64, byte: u8, sectors: usize) {
    let mut buffer = SectorBuf::new(sectors).unwrap();
    buffer.fill(byte);
    disk.write(sector, buffer).unwrap().wait().unwrap();
}

/// The whole content.
pub(crate) fn content(disk: &Disk) -> Vec<u8> {
    let sectors = usize::try_from(disk.info().capacity_sectors).unwrap();
    let buffer = SectorBuf::new(sectors).unwrap();
    disk.read(0, buffer).unwrap().wait().unwrap().to_vec()
}

pub(crate) fn content_of(connection: &Connection, path: &str) -> Vec<u8> {
    let disk = connection.open(path, &OpenOptions::default()).unwrap();
    let content = content(&disk);
    disk.close().unwrap();
    content
}

/// What [`filled`] writes.
pub(crate) fn pattern() -> Vec<u8> {
    let mut bytes = vec![0; SECTORS as usize * SECTOR_BYTES];
    bytes[100 * SECTOR_BYTES..(100 + 9) * SECTOR_BYTES].fill(7);
    bytes[4000 * SECTOR_BYTES..(4000 + 99) * SECTOR_BYTES].fill(9);
    bytes
}

/// Makes a disk that holds [`pattern`].
pub(crate) fn filled(connection: &Connection, path: &str, disk_type: DiskType) {
    connection
        .create(path, &spec(disk_type), Progress::none())
        .unwrap();
    let disk = connection
        .open_writable(path, &OpenOptions::default())
        .unwrap();
    assert_eq!(disk.info().capacity_sectors, SECTORS);
    write(&disk, 100, 7, 9);
    write(&disk, 4000, 9, 99);
    disk.close().unwrap();
}

pub(crate) fn code_of(result: Result<(), Error>) -> u16 {
    result.unwrap_err().code().expect("a call failed").0
}

#[test]
fn a_disk_tells_its_controller_and_its_geometry() {
    locally(
        "local_disks::a_disk_tells_its_controller_and_its_geometry",
        |kit, _, connection| {
            for adapter in [
                AdapterType::Ide,
                AdapterType::BusLogic,
                AdapterType::LsiLogic,
            ] {
                let path = at(kit, &format!("{adapter:?}.vmdk"));
                let made = CreateSpec {
                    adapter,
                    ..spec(DiskType::MonolithicSparse)
                };
                connection.create(&path, &made, Progress::none()).unwrap();
                let disk = connection.open(&path, &OpenOptions::default()).unwrap();
                let info = disk.info();
                assert_eq!(info.adapter, Some(adapter));
                let geometry = info.physical_geometry;
                let heads = if adapter == AdapterType::Ide { 16 } else { 64 };
                assert_eq!(geometry.heads, heads, "{adapter:?}: {geometry:?}");
                assert!(
                    geometry.cylinders > 0 && geometry.sectors > 0,
                    "{geometry:?}"
                );
                // None was set.
                assert_eq!(info.bios_geometry, DiskGeometry::default());
                disk.close().unwrap();
            }
        },
    );
}

#[test]
fn every_local_kind_is_made_and_holds_what_was_written() {
    locally(
        "local_disks::every_local_kind_is_made_and_holds_what_was_written",
        |kit, _, connection| {
            for disk_type in [
                DiskType::MonolithicSparse,
                DiskType::MonolithicFlat,
                DiskType::SplitSparse,
                DiskType::SplitFlat,
            ] {
                let path = at(kit, &format!("{disk_type:?}.vmdk"));
                filled(connection, &path, disk_type);
                assert!(content_of(connection, &path) == pattern(), "{disk_type:?}");
                let again = connection.create(&path, &spec(disk_type), Progress::none());
                assert_eq!(code_of(again), 12, "{disk_type:?} was made twice");
            }
        },
    );
}

#[test]
fn metadata_that_were_set_are_there_after_a_reopen() {
    locally(
        "local_disks::metadata_that_were_set_are_there_after_a_reopen",
        |kit, _, connection| {
            let path = at(kit, "a.vmdk");
            filled(connection, &path, DiskType::MonolithicSparse);
            let options = OpenOptions::default();
            let disk = connection.open_writable(&path, &options).unwrap();
            assert_eq!(disk.metadata("toolsVersion").unwrap(), None);
            disk.set_metadata("toolsVersion", "12352").unwrap();
            let nul = disk.set_metadata("toolsVersion", "1\0x");
            assert!(matches!(nul, Err(Error::Argument { .. })));
            disk.close().unwrap();
            let disk = connection.open(&path, &options).unwrap();
            let value = disk.metadata("toolsVersion").unwrap();
            assert_eq!(value.as_deref(), Some("12352"));
            let keys = disk.metadata_keys().unwrap();
            assert!(keys.iter().any(|key| key == "toolsVersion"), "{keys:?}");
            disk.close().unwrap();
        },
    );
}

#[test]
fn a_copy_holds_the_same_and_tells_its_progress() {
    locally(
        "local_disks::a_copy_holds_the_same_and_tells_its_progress",
        |kit, _, connection| {
            let (from, to) = (at(kit, "from.vmdk"), at(kit, "to.vmdk"));
            filled(connection, &from, DiskType::MonolithicSparse);
            let copy = |existing, progress| {
                let spec = spec(DiskType::SplitFlat);
                connection.clone_from(&to, connection, &from, &spec, existing, progress)
            };
            let told: Arc<Mutex<Vec<Percent>>> = Arc::default();
            let told_there = Arc::clone(&told);
            let name = Arc::new(Mutex::new(None));
            let name_there = Arc::clone(&name);
            let progress = Progress::new(move |percent| {
                told_there.lock().unwrap().push(percent);
                let thread = std::thread::current().name().map(str::to_owned);
                *name_there.lock().unwrap() = thread;
            });
            copy(Existing::Keep, progress).unwrap();
            let told = told.lock().unwrap();
            assert!(told.is_sorted() && !told.is_empty(), "{told:?}");
            assert_eq!(told.last().unwrap().get(), 100);
            assert_eq!(name.lock().unwrap().as_deref(), Some("vddk-control"));
            assert!(content_of(connection, &to) == pattern());
            assert_eq!(code_of(copy(Existing::Keep, Progress::none())), 12);
            copy(Existing::Replace, Progress::none()).unwrap();
            assert!(content_of(connection, &to) == pattern());
        },
    );
}

#[test]
fn a_panic_while_progress_is_told_stops_nothing() {
    locally(
        "local_disks::a_panic_while_progress_is_told_stops_nothing",
        |kit, _, connection| {
            let (from, to) = (at(kit, "from.vmdk"), at(kit, "to.vmdk"));
            filled(connection, &from, DiskType::MonolithicSparse);
            let told = Arc::new(AtomicUsize::new(0));
            let told_there = Arc::clone(&told);
            let progress = Progress::new(move |percent| {
                told_there.fetch_add(1, Ordering::SeqCst);
                panic!("at {percent}");
            });
            let spec = spec(DiskType::MonolithicFlat);
            connection
                .clone_from(&to, connection, &from, &spec, Existing::Keep, progress)
                .unwrap();
            assert_eq!(told.load(Ordering::SeqCst), 1, "it was called again");
            assert!(content_of(connection, &to) == pattern());
        },
    );
}

#[test]
fn the_library_is_not_called_from_its_own_progress() {
    locally(
        "local_disks::the_library_is_not_called_from_its_own_progress",
        |kit, library, connection| {
            let (from, to) = (at(kit, "from.vmdk"), at(kit, "to.vmdk"));
            filled(connection, &from, DiskType::MonolithicSparse);
            let before = kit.count("VixDiskLib_ConnectEx");
            let allocated = || {
                let calls = library.calls();
                let of_it = |(symbol, _): &&(vddk::Symbol, u64)| {
                    symbol.name == "VixDiskLib_AllocateConnectParams"
                };
                calls.iter().find(of_it).unwrap().1
            };
            let allocated_before = allocated();
            let answers: Arc<Mutex<Vec<_>>> = Arc::default();
            let (answers_there, library_there) = (Arc::clone(&answers), library.clone());
            let progress = Progress::new(move |_| {
                let connected = library_there.connect_local(true).map(drop);
                answers_there.lock().unwrap().push(connected);
            });
            let spec = spec(DiskType::MonolithicFlat);
            connection
                .clone_from(&to, connection, &from, &spec, Existing::Keep, progress)
                .unwrap();
            let answers = answers.lock().unwrap();
            assert!(!answers.is_empty());
            assert_eq!(allocated(), allocated_before, "called inside a callback");
            for answer in &*answers {
                assert!(
                    matches!(
                        answer,
                        Err(Error::Stuck {
                            function: "VixDiskLib_Clone"
                        })
                    ),
                    "{answer:?}"
                );
            }
            assert_eq!(kit.count("VixDiskLib_ConnectEx"), before);
        },
    );
}

#[test]
fn a_disk_of_the_site_is_copied_to_a_file() {
    in_own_process(
        "local_disks::a_disk_of_the_site_is_copied_to_a_file",
        || {
            let kit = Kit::new();
            let library = kit.load();
            let (snapshot, path) = kit.snapshot();
            let remote = library
                .connect(&kit.params(), &Kit::connect_options(&snapshot))
                .unwrap();
            let local = library.connect_local(false).unwrap();
            let to = at(&kit, "copy.vmdk");
            let spec = CreateSpec::new(DiskType::MonolithicSparse, DISK_BYTES / 512);
            local
                .clone_from(&to, &remote, &path, &spec, Existing::Keep, Progress::none())
                .unwrap();
            assert!(content_of(&local, &to) == kit.image);
        },
    );
}

#[test]
fn a_local_disk_is_copied_to_the_site() {
    locally(
        "local_disks::a_local_disk_is_copied_to_the_site",
        |kit, library, connection| {
            let from = at(kit, "from.vmdk");
            filled(connection, &from, DiskType::MonolithicSparse);
            let (_, frozen) = kit.snapshot();
            let (folder, _) = frozen.rsplit_once('/').unwrap();
            let managed = format!("{folder}/restored.vmdk");
            let options = ConnectOptions::writable("nbdssl".parse().unwrap());
            let remote = library.connect(&kit.params(), &options).unwrap();
            let spec = spec(DiskType::MonolithicSparse);
            let there = |existing| {
                remote.clone_from(
                    &managed,
                    connection,
                    &from,
                    &spec,
                    existing,
                    Progress::none(),
                )
            };
            there(Existing::Keep).unwrap();
            assert_eq!(code_of(there(Existing::Keep)), 12);
            there(Existing::Replace).unwrap();
            // The copy belongs to no VM, so it is looked at where the site keeps its files.
            let (store, file) = managed[1..].split_once("] ").unwrap();
            let path = kit.lab.root().join("datastores").join(store).join(file);
            let copy = vmdk::Disk::open(&path, vmdk::OpenOptions::default()).unwrap();
            let mut found = vec![1; pattern().len()];
            copy.read_at(0, &mut found).unwrap();
            assert!(found == pattern());
            remote.close().unwrap();
        },
    );
}

#[test]
fn a_disk_grows_keeps_its_data_and_is_not_grown_while_open() {
    locally(
        "local_disks::a_disk_grows_keeps_its_data_and_is_not_grown_while_open",
        |kit, _, connection| {
            let path = at(kit, "a.vmdk");
            filled(connection, &path, DiskType::MonolithicSparse);
            let grow =
                |sectors| connection.grow(&path, sectors, Geometry::Update, Progress::none());
            let disk = connection.open(&path, &OpenOptions::default()).unwrap();
            assert_eq!(code_of(grow(2 * SECTORS)), 15);
            disk.close().unwrap();
            grow(2 * SECTORS).unwrap();
            let mut grown = pattern();
            grown.resize(2 * SECTORS as usize * SECTOR_BYTES, 0);
            assert!(content_of(connection, &path) == grown);
            assert!(grow(SECTORS).is_err(), "it became smaller");
        },
    );
}

#[test]
fn a_renamed_disk_has_its_new_name_and_a_removed_one_leaves_no_file() {
    locally(
        "local_disks::a_renamed_disk_has_its_new_name_and_a_removed_one_leaves_no_file",
        |kit, library, connection| {
            let (old, new) = (at(kit, "old.vmdk"), at(kit, "new.vmdk"));
            filled(connection, &old, DiskType::SplitSparse);
            library.rename(&old, &new).unwrap();
            assert!(!Path::new(&old).exists());
            assert!(content_of(connection, &new) == pattern());
            connection.unlink(&new).unwrap();
            let left: Vec<_> = std::fs::read_dir(kit.folder())
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .filter(|name| name.to_string_lossy().contains("vmdk"))
                .collect();
            assert!(left.is_empty(), "{left:?}");
            assert_eq!(code_of(connection.unlink(&new)), 4);
        },
    );
}

#[test]
fn a_child_begins_with_its_parent_s_content() {
    locally(
        "local_disks::a_child_begins_with_its_parent_s_content",
        |kit, _, connection| {
            for child_type in [ChildType::MonolithicSparse, ChildType::SplitSparse] {
                let (base, child) = (
                    at(kit, &format!("base-{child_type:?}.vmdk")),
                    at(kit, &format!("child-{child_type:?}.vmdk")),
                );
                filled(connection, &base, DiskType::MonolithicFlat);
                let parent = connection.open(&base, &OpenOptions::default()).unwrap();
                parent
                    .create_child(&child, child_type, Progress::none())
                    .unwrap();
                parent.close().unwrap();
                let disk = connection
                    .open_writable(&child, &OpenOptions::default())
                    .unwrap();
                assert_eq!(disk.info().links, 2);
                write(&disk, 0, 1, 1);
                disk.close().unwrap();
                let mut changed = pattern();
                changed[..SECTOR_BYTES].fill(1);
                assert!(content_of(connection, &child) == changed);
                assert!(content_of(connection, &base) == pattern());
            }
        },
    );
}

#[test]
fn an_attach_that_fails_closes_both_disks_once() {
    locally(
        "local_disks::an_attach_that_fails_closes_both_disks_once",
        |kit, _, connection| {
            let (base, other) = (at(kit, "base.vmdk"), at(kit, "other.vmdk"));
            filled(connection, &base, DiskType::MonolithicSparse);
            filled(connection, &other, DiskType::MonolithicSparse);
            let closed = kit.count("VixDiskLib_Close");
            let open = |path: &str| connection.open(path, &OpenOptions::default()).unwrap();
            kit.fault(Fault {
                call: "VixDiskLib_Attach".to_owned(),
                code: Some(16_067),
                ..Fault::default()
            });
            let failed = open(&other).attach_to(open(&base)).map(drop);
            assert_eq!(code_of(failed), 16_067);
            assert_eq!(kit.count("VixDiskLib_Close"), closed + 2);

            let disk = open(&other);
            let itself = disk.is_attach_possible(&disk);
            assert!(matches!(itself, Err(Error::Argument { .. })), "{itself:?}");
            disk.close().unwrap();
            assert_eq!(kit.count("VixDiskLib_IsAttachPossible"), 0);
        },
    );
}

#[test]
fn disks_of_two_connections_are_not_attached() {
    locally(
        "local_disks::disks_of_two_connections_are_not_attached",
        |kit, library, connection| {
            let path = at(kit, "a.vmdk");
            filled(connection, &path, DiskType::MonolithicSparse);
            let other = library.connect_local(true).unwrap();
            let child = connection.open(&path, &OpenOptions::default()).unwrap();
            let parent = other.open(&path, &OpenOptions::default()).unwrap();
            let possible = child.is_attach_possible(&parent);
            assert!(matches!(possible, Err(Error::Argument { .. })));
            let attached = child.attach_to(parent);
            assert!(matches!(attached, Err(Error::Argument { .. })));
            assert_eq!(kit.count("VixDiskLib_Attach"), 0);
            other.close().unwrap();
            assert_eq!(kit.count("VixDiskLib_Open"), kit.count("VixDiskLib_Close"));
        },
    );
}
