//! Disks that belong to no VM: first-class disks, and disks in a folder of a datastore.

use lab::FirstClassDiskSpec;
use vddk::{
    Code, Connection, CreateSpec, Disk, DiskType, Error, Existing, Library, OpenOptions, Progress,
    SectorBuf, Target, TransportMode,
};

use crate::{
    kit::{DISK_BYTES, Kit, in_own_process},
    targets::without_snapshot,
};

/// The lab's only datastore.
const DATASTORE: &str = "datastore-17";
const SECTORS: u64 = DISK_BYTES / 512;

impl Kit {
    /// A first-class disk that holds the kit's image.
    fn first_class_disk(&self) -> String {
        let spec = FirstClassDiskSpec {
            image: Some(self.folder().join("disk.raw")),
            ..FirstClassDiskSpec::default()
        };
        self.lab.add_first_class_disk(spec).unwrap().id
    }

    fn connect_to(&self, library: &Library, target: Target) -> Connection {
        let params = self.params_for(target);
        library.connect(&params, &without_snapshot()).unwrap()
    }
}

fn first_class(id: &str, snapshot: Option<&str>) -> Target {
    Target::FirstClassDisk {
        id: id.to_owned(),
        datastore_moref: DATASTORE.to_owned(),
        snapshot_id: snapshot.map(str::to_owned),
    }
}

fn folder(name: &str) -> Target {
    Target::DatastoreFolder {
        datastore_moref: DATASTORE.to_owned(),
        folder: name.to_owned(),
    }
}

fn content(disk: &Disk) -> Vec<u8> {
    let mut content = Vec::new();
    for start in (0..SECTORS).step_by(1000) {
        let sectors = (SECTORS - start).min(1000) as usize;
        let piece = disk.read(start, SectorBuf::new(sectors).unwrap()).unwrap();
        content.extend_from_slice(&piece.wait().unwrap());
    }
    content
}

fn filled(sectors: usize, byte: u8) -> SectorBuf {
    let mut buffer = SectorBuf::new(sectors).unwrap();
    buffer.fill(byte);
    buffer
}

fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> Option<Code> {
    result.unwrap_err().code()
}

#[test]
fn a_first_class_disk_is_backed_up_and_restored() {
    let name = "without_vm::a_first_class_disk_is_backed_up_and_restored";
    in_own_process(name, || {
        let kit = Kit::new();
        let library = kit.load();
        let id = kit.first_class_disk();
        let frozen = kit.lab.snapshot_first_class_disk(&id).unwrap();
        let snapshot = frozen.snapshots[0].id.as_str();

        // The disk goes on, its snapshot does not.
        let now = kit.connect_to(&library, first_class(&id, None));
        let options = OpenOptions::default();
        let writer = now.open_first_class_disk_writable(&options).unwrap();
        assert_eq!(writer.path(), id);
        writer.write(0, filled(8, 0x77)).unwrap().wait().unwrap();
        writer
            .write(SECTORS - 1, filled(1, 0x78))
            .unwrap()
            .wait()
            .unwrap();
        writer.flush().unwrap();
        writer.close().unwrap();

        let then = kit.connect_to(&library, first_class(&id, Some(snapshot)));
        let reader = then.open_first_class_disk(&options).unwrap();
        assert_eq!(reader.transport_mode(), TransportMode::NbdSsl);
        assert_eq!(reader.info().capacity_sectors, SECTORS);
        assert!(content(&reader) == kit.image, "as it was");
        let map = reader.allocated_blocks().unwrap();
        assert!(map.sectors() < SECTORS, "a hole was called allocated");
        for (sector, bytes) in (0..).zip(kit.image.chunks(512)) {
            let mut ranges = map.ranges().iter();
            let inside =
                ranges.any(|range| (range.start_sector..range.end_sector()).contains(&sector));
            let zeros = bytes.iter().all(|byte| *byte == 0);
            assert!(inside || zeros, "sector {sector} has data");
        }
        reader.close().unwrap();

        let reader = now.open_first_class_disk(&options).unwrap();
        let mut shadow = kit.image.clone();
        shadow[..8 * 512].fill(0x77);
        shadow[(SECTORS as usize - 1) * 512..].fill(0x78);
        assert!(content(&reader) == shadow, "as it is");
        reader.close().unwrap();
        now.close().unwrap();
        then.close().unwrap();
        assert!(library.close().unwrap());
        let mut seen = vec![0; DISK_BYTES as usize];
        kit.lab
            .read_first_class_disk(&id, None, 0, &mut seen)
            .unwrap();
        assert!(seen == shadow, "past the library");
    });
}

#[test]
fn what_is_wrong_with_a_first_class_disk_is_told() {
    let name = "without_vm::what_is_wrong_with_a_first_class_disk_is_told";
    in_own_process(name, || {
        let kit = Kit::new();
        let library = kit.load();
        let id = kit.first_class_disk();
        let frozen = kit.lab.snapshot_first_class_disk(&id).unwrap();
        let snapshot = frozen.snapshots[0].id.as_str();
        let options = OpenOptions::default();

        let unknown = kit.connect_to(&library, first_class("fcd-1", None));
        let error = unknown.open_first_class_disk(&options).unwrap_err();
        assert_eq!(error.code(), Some(Code::of(4)));
        assert!(error.to_string().contains("fcd-1"), "{error}");
        let none = kit.connect_to(&library, first_class(&id, Some("none")));
        assert_eq!(
            code(none.open_first_class_disk(&options)),
            Some(Code::of(13003))
        );
        let then = kit.connect_to(&library, first_class(&id, Some(snapshot)));
        let written = then.open_first_class_disk_writable(&options);
        assert_eq!(code(written), Some(Code::of(11)));
        let nowhere = Target::FirstClassDisk {
            id: id.clone(),
            datastore_moref: "datastore-1".into(),
            snapshot_id: None,
        };
        let refused = library.connect(&kit.params_for(nowhere), &without_snapshot());
        assert_eq!(code(refused), Some(Code::of(25)));

        // It has no path, so these never reach the library.
        let now = kit.connect_to(&library, first_class(&id, None));
        let local = library.connect_local(false).unwrap();
        let opens = kit.count("VixDiskLib_Open");
        let spec = CreateSpec::new(DiskType::MonolithicSparse, 8);
        let copy = |to: &Connection, path, from: &Connection, source| {
            to.clone_from(path, from, source, &spec, Existing::Keep, Progress::none())
        };
        for refused in [
            now.open("[datastore1] fcd/a.vmdk", &options).map(drop),
            copy(&now, "[datastore1] fcd/a.vmdk", &local, "/a.vmdk"),
            copy(&local, "/a.vmdk", &now, "[datastore1] fcd/a.vmdk"),
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, Error::Argument { .. }), "{refused}");
        }
        assert_eq!(kit.count("VixDiskLib_Open"), opens);
        assert_eq!(kit.count("VixDiskLib_Clone"), 0);
    });
}

#[test]
fn a_folder_takes_copies_and_gives_them_back() {
    let name = "without_vm::a_folder_takes_copies_and_gives_them_back";
    in_own_process(name, || {
        let kit = Kit::new();
        let library = kit.load();
        std::fs::create_dir(kit.lab.root().join("datastores/datastore1/loose")).unwrap();
        let local = library.connect_local(false).unwrap();
        let file = kit.folder().join("local.vmdk");
        let file = file.to_str().unwrap();
        let spec = CreateSpec::new(DiskType::MonolithicSparse, SECTORS);
        local.create(file, &spec, Progress::none()).unwrap();
        let options = OpenOptions::default();
        let disk = local.open_writable(file, &options).unwrap();
        disk.write(SECTORS - 9, filled(9, 0x55))
            .unwrap()
            .wait()
            .unwrap();
        disk.close().unwrap();

        let loose = kit.connect_to(&library, folder("loose"));
        let path = "[datastore1] loose/a.vmdk";
        loose
            .clone_from(path, &local, file, &spec, Existing::Keep, Progress::none())
            .unwrap();
        let disk = loose.open_writable(path, &options).unwrap();
        assert_eq!(disk.transport_mode(), TransportMode::NbdSsl);
        assert_eq!(
            code(loose.open(path, &options)),
            Some(Code::of(15)),
            "one writer"
        );
        disk.write(3, filled(2, 0x66)).unwrap().wait().unwrap();
        disk.close().unwrap();
        let disk = loose.open(path, &options).unwrap();
        let mut shadow = vec![0; DISK_BYTES as usize];
        shadow[(SECTORS as usize - 9) * 512..].fill(0x55);
        shadow[3 * 512..5 * 512].fill(0x66);
        assert!(content(&disk) == shadow);
        disk.close().unwrap();

        let (_, of_a_vm) = kit.snapshot();
        assert_eq!(
            code(loose.open(&of_a_vm, &options)),
            Some(Code::of(4)),
            "elsewhere"
        );
        let vms = kit.connect_to(&library, folder("app01"));
        assert_eq!(
            code(vms.open(&of_a_vm, &options)),
            Some(Code::of(15)),
            "a VM's"
        );
        let no_path = loose.open_first_class_disk(&options).unwrap_err();
        assert!(matches!(no_path, Error::Argument { .. }), "{no_path}");
    });
}
