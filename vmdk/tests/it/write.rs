//! What writing does beyond the bytes: ids, rights, ranges, space.

use std::fs;
use std::os::unix::fs::MetadataExt;

use vmdk::{Adapter, CreateOptions, Error, SectorRun};

use crate::scratch::{ALONE, READ, Scratch, WRITE, all, sectors};

#[test]
fn ranges_and_buffers_are_checked() {
    let scratch = Scratch::new();
    let mut disk = scratch.flat("a.vmdk", 9);
    let mut buf = sectors(2, 0);
    for sector in [8, 9, u64::MAX - 1, u64::MAX] {
        let read = disk.read_at(sector, &mut buf);
        assert!(matches!(read, Err(Error::OutOfRange { .. })), "{read:?}");
        let written = disk.write_at(sector, &buf);
        assert!(matches!(written, Err(Error::OutOfRange { .. })));
        assert!(disk.unmap(sector, 2).is_err());
        assert!(disk.allocated(sector, 2).is_err());
    }
    disk.read_at(9, &mut []).unwrap();
    let odd = disk.read_at(0, &mut buf[..100]);
    assert!(matches!(odd, Err(Error::Unaligned { length_bytes: 100 })));
}

#[test]
fn a_disk_opened_for_reading_is_not_written() {
    let scratch = Scratch::new();
    scratch.flat("a.vmdk", 9);
    let mut disk = scratch.open("a.vmdk", READ).unwrap();
    let written = disk.write_at(0, &sectors(1, 1));
    assert!(matches!(written, Err(Error::ReadOnly { .. })));
    assert!(matches!(disk.unmap(0, 1), Err(Error::ReadOnly { .. })));
}

#[test]
fn an_extent_marked_read_only_is_not_written() {
    let scratch = Scratch::new();
    scratch.write("b.img", sectors(4, 1));
    scratch.write(
        "b.vmdk",
        "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType=\"custom\"\n\
         RW 2 FLAT \"b.img\" 0\nRDONLY 2 FLAT \"b.img\" 2\nRW 3 ZERO\n",
    );
    let mut disk = scratch.open("b.vmdk", WRITE).unwrap();
    assert_eq!(disk.capacity_sectors(), 7);
    disk.write_at(0, &sectors(2, 2)).unwrap();
    for start in [1, 2, 4] {
        let written = disk.write_at(start, &sectors(2, 3));
        assert!(matches!(written, Err(Error::ReadOnly { .. })), "{start}");
    }
    // What was refused has left the content id alone.
    let cid = scratch.open("b.vmdk", READ).unwrap().descriptor().cid;
    assert_eq!(cid, disk.descriptor().cid);
    disk.unmap(4, 3).unwrap();
    let expected = [sectors(2, 2), sectors(2, 1), sectors(3, 0)].concat();
    assert!(all(&disk) == expected);
}

#[test]
fn the_first_write_of_a_handle_changes_the_content_id_once() {
    let scratch = Scratch::new();
    for name in ["flat.vmdk", "sparse.vmdk"] {
        let mut disk = match name {
            "flat.vmdk" => scratch.flat(name, 300),
            _ => scratch.sparse(name, 300),
        };
        assert_eq!(disk.descriptor().cid, 0xffff_fffe);
        disk.write_at(0, &[]).unwrap();
        assert_eq!(disk.descriptor().cid, 0xffff_fffe);
        disk.write_at(0, &sectors(1, 1)).unwrap();
        let first = disk.descriptor().cid;
        assert_ne!(first, 0xffff_fffe);
        disk.unmap(0, 300).unwrap();
        assert_eq!(disk.descriptor().cid, first);
        let mut disk = scratch.open(name, WRITE).unwrap();
        assert_eq!(disk.descriptor().cid, first);
        disk.unmap(0, 1).unwrap();
        assert_ne!(disk.descriptor().cid, first);
        disk.flush().unwrap();
    }
}

#[test]
fn part_of_a_grain_needs_the_parent() {
    let scratch = Scratch::new();
    scratch
        .flat("a.vmdk", 200)
        .write_at(0, &sectors(200, 1))
        .unwrap();
    scratch.child("a.vmdk", "a-000001.vmdk");
    let mut alone = scratch.open("a-000001.vmdk", ALONE).unwrap();
    let written = alone.write_at(0, &sectors(1, 2));
    assert!(matches!(written, Err(Error::ParentNeeded { .. })));
    assert!(all(&alone) == sectors(200, 0));
    // The short grain at the end is whole, too.
    alone.write_at(128, &sectors(72, 3)).unwrap();
    let end = SectorRun {
        start_sector: 128,
        sectors: 72,
    };
    assert_eq!(alone.allocated(0, 200).unwrap(), [end]);
    let chain = scratch.open("a-000001.vmdk", READ).unwrap();
    assert!(all(&chain) == [sectors(128, 1), sectors(72, 3)].concat());
}

#[test]
fn zeroed_grains_hide_the_parent_and_take_no_space() {
    let scratch = Scratch::new();
    scratch
        .flat("a.vmdk", 256)
        .write_at(0, &sectors(256, 1))
        .unwrap();
    let mut child = scratch.child("a.vmdk", "a-000001.vmdk");
    let length_bytes = || fs::metadata(scratch.path("a-000001.vmdk")).unwrap().len();
    let before_bytes = length_bytes();
    child.unmap(0, 128).unwrap();
    assert_eq!(length_bytes(), before_bytes);
    assert!(all(&child) == [sectors(128, 0), sectors(128, 1)].concat());
    let first = SectorRun {
        start_sector: 0,
        sectors: 128,
    };
    let alone = scratch.open("a-000001.vmdk", ALONE).unwrap();
    assert_eq!(alone.allocated(0, 256).unwrap(), [first]);
    // Writing into a zeroed grain must not bring the parent's bytes back.
    child.write_at(5, &sectors(1, 7)).unwrap();
    let expected = [
        sectors(5, 0),
        sectors(1, 7),
        sectors(122, 0),
        sectors(128, 1),
    ]
    .concat();
    assert!(all(&child) == expected);
}

#[test]
fn both_sets_of_tables_say_the_same() {
    let scratch = Scratch::new();
    let mut disk = scratch.sparse("a.vmdk", 300);
    disk.write_at(130, &sectors(1, 1)).unwrap();
    disk.unmap(130, 1).unwrap();
    disk.write_at(260, &sectors(2, 1)).unwrap();
    disk.write_at(0, &sectors(128, 1)).unwrap();
    disk.unmap(0, 128).unwrap();
    let content = fs::read(scratch.path("a.vmdk")).unwrap();
    // Directories of one sector and tables of four, the first directory at sector 21.
    let table = |sector: usize| &content[sector * 512..(sector + 4) * 512];
    assert_eq!(table(22), table(27));
    let entries: Vec<_> = table(27)[..12].chunks(4).collect();
    // The tables end before the first grain border, where the first grain was put.
    assert_eq!(entries, [&[1, 0, 0, 0], &[128, 0, 0, 0], &[0, 1, 0, 0]]);
}

#[test]
fn unmapping_a_flat_disk_gives_space_back() {
    let scratch = Scratch::new();
    let mut disk = scratch.flat("a.vmdk", 4096);
    disk.write_at(0, &sectors(4096, 1)).unwrap();
    disk.flush().unwrap();
    let blocks = || fs::metadata(scratch.path("a-flat.vmdk")).unwrap().blocks();
    let before = blocks();
    disk.unmap(1, 4000).unwrap();
    let expected = [sectors(1, 1), sectors(4000, 0), sectors(95, 1)].concat();
    assert!(all(&disk) == expected);
    if blocks() == before {
        eprintln!("skipped: this file system punches no holes");
        return;
    }
    let held: u64 = disk
        .allocated(0, 4096)
        .unwrap()
        .iter()
        .map(|run| run.sectors)
        .sum();
    assert!(held < 1000, "{held}");
}

#[test]
fn a_new_disk_says_what_it_was_made_with() {
    let scratch = Scratch::new();
    let options = CreateOptions {
        capacity_sectors: 41_943_047,
        adapter: Adapter::Ide,
        uuid: Some("60 00 C2 9e 01".to_owned()),
        thin: true,
        hardware_version: 13,
    };
    let disk = vmdk::create_vmfs_flat(&scratch.path("my disk.vmdk"), &options).unwrap();
    let ddb = |key| disk.descriptor().ddb(key);
    assert_eq!(ddb("adapterType"), Some("ide"));
    assert_eq!(ddb("geometry.cylinders"), Some("16383"));
    assert_eq!(ddb("uuid"), Some("60 00 C2 9e 01"));
    assert_eq!(ddb("thinProvisioned"), Some("1"));
    assert_eq!(ddb("virtualHWVersion"), Some("13"));
    let text = fs::read_to_string(scratch.path("my disk.vmdk")).unwrap();
    let line = "\nRW 41943047 VMFS \"my disk-flat.vmdk\"\n";
    assert!(text.contains(line), "{text}");
    let flat = fs::metadata(scratch.path("my disk-flat.vmdk")).unwrap();
    assert_eq!(flat.len(), 41_943_047 * 512);
    assert!(flat.blocks() < 100);
    assert!(disk.allocated(0, 41_943_047).unwrap().is_empty());
    let child = scratch.child("my disk.vmdk", "my disk-000001.vmdk");
    assert_eq!(child.descriptor().ddb("uuid"), Some("60 00 C2 9e 01"));
    assert_eq!(child.descriptor().ddb("thinProvisioned"), None);
}

#[test]
fn creating_refuses_bad_options_and_existing_files() {
    let scratch = Scratch::new();
    let create = |name: &str, options: &CreateOptions| {
        let flat = vmdk::create_vmfs_flat(&scratch.path(name), options);
        let sparse = vmdk::create_monolithic_sparse(&scratch.path(name), options);
        (flat.unwrap_err(), sparse.unwrap_err())
    };
    for capacity_sectors in [0, vmdk::MAX_CAPACITY_SECTORS + 1, u64::MAX] {
        let errors = create("a.vmdk", &CreateOptions::new(capacity_sectors));
        let (Error::Capacity { .. }, Error::Capacity { .. }) = errors else {
            panic!("{errors:?}");
        };
    }
    let quoted = create("a\"b.vmdk", &CreateOptions::new(1));
    assert!(matches!(quoted.0, Error::Text { .. }));
    let options = CreateOptions {
        uuid: Some("a\nRW 1 ZERO".to_owned()),
        ..CreateOptions::new(1)
    };
    let errors = create("a.vmdk", &options);
    assert!(matches!(errors.1, Error::Text { .. }));
    scratch.write("b-flat.vmdk", "precious");
    let flat = vmdk::create_vmfs_flat(&scratch.path("b.vmdk"), &CreateOptions::new(1));
    assert!(matches!(flat, Err(Error::Io { .. })));
    assert!(!scratch.path("b.vmdk").exists());
    let kept = fs::read(scratch.path("b-flat.vmdk")).unwrap();
    assert_eq!(kept, b"precious");
    let sparse =
        vmdk::create_monolithic_sparse(&scratch.path("b-flat.vmdk"), &CreateOptions::new(1));
    assert!(matches!(sparse, Err(Error::Io { .. })));
    assert_eq!(fs::read(scratch.path("b-flat.vmdk")).unwrap(), b"precious");
}

#[test]
fn the_largest_sparse_disk_can_be_made_and_written_at_its_end() {
    let scratch = Scratch::new();
    let mut disk = scratch.sparse("a.vmdk", vmdk::MAX_CAPACITY_SECTORS);
    let last = vmdk::MAX_CAPACITY_SECTORS - 1;
    disk.write_at(last, &sectors(1, 5)).unwrap();
    let mut buf = sectors(2, 9);
    disk.read_at(last - 1, &mut buf).unwrap();
    assert!(buf == [sectors(1, 0), sectors(1, 5)].concat());
}
