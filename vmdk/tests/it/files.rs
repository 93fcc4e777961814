//! Growing, renaming and removing disks.

use std::fs;

use vmdk::{CreateOptions, DiskKind, Error};

use crate::scratch::{READ, Scratch, all, sectors};

const PIECE_SECTORS: u64 = 4_192_256;

fn grow(scratch: &Scratch, name: &str, capacity_sectors: u64) -> Result<(), Error> {
    let mut told = Vec::new();
    let grown = vmdk::grow(
        &scratch.path(name),
        capacity_sectors,
        true,
        &mut |done, all| {
            told.push((done, all));
        },
    );
    if grown.is_ok() {
        assert_eq!(told.last(), Some(&(capacity_sectors, capacity_sectors)));
    }
    grown
}

#[test]
fn a_grown_disk_keeps_its_content_and_has_zeros_behind() {
    for kind in DiskKind::ALL
        .into_iter()
        .filter(|kind| *kind != DiskKind::StreamOptimized)
    {
        let scratch = Scratch::new();
        let mut disk = scratch.create("a.vmdk", kind, 301);
        disk.write_at(250, &sectors(51, 8)).unwrap();
        disk.write_at(3, &sectors(2, 9)).unwrap();
        let mut content = all(&disk);
        drop(disk);
        // Within a table, to more tables, and by less than a grain.
        for capacity_sectors in [333, 70_000, 70_001] {
            grow(&scratch, "a.vmdk", capacity_sectors).unwrap();
            content.resize(capacity_sectors as usize * 512, 0);
            let disk = scratch.open("a.vmdk", READ).unwrap();
            assert_eq!(disk.capacity_sectors(), capacity_sectors, "{kind:?}");
            assert!(all(&disk) == content, "{kind:?} {capacity_sectors}");
        }
        let disk = scratch.open("a.vmdk", READ).unwrap();
        assert_eq!(disk.descriptor().ddb("geometry.cylinders"), Some("34"));
        assert_eq!(disk.descriptor().ddb("geometry.biosHeads"), Some("64"));
        let smaller = grow(&scratch, "a.vmdk", 70_000);
        assert!(matches!(smaller, Err(Error::Smaller { .. })), "{smaller:?}");
        grow(&scratch, "a.vmdk", 70_001).unwrap();
        let endless = grow(&scratch, "a.vmdk", u64::MAX);
        assert!(matches!(endless, Err(Error::Capacity { .. })));
    }
}

#[test]
fn what_a_flat_file_has_behind_its_disk_does_not_show() {
    let scratch = Scratch::new();
    scratch.flat("a.vmdk", 10);
    scratch.write("a-flat.vmdk", sectors(30, 1));
    grow(&scratch, "a.vmdk", 20).unwrap();
    let expected = [sectors(10, 1), sectors(10, 0)].concat();
    assert!(all(&scratch.open("a.vmdk", READ).unwrap()) == expected);
}

#[test]
fn a_split_disk_gets_more_files() {
    for kind in [DiskKind::SplitSparse, DiskKind::SplitFlat] {
        let scratch = Scratch::new();
        let mut disk = scratch.create("a.vmdk", kind, 500);
        disk.write_at(499, &sectors(1, 3)).unwrap();
        drop(disk);
        let capacity_sectors = 2 * PIECE_SECTORS + 9;
        grow(&scratch, "a.vmdk", capacity_sectors).unwrap();
        assert_eq!(scratch.files().len(), 4);
        let disk = scratch.open("a.vmdk", READ).unwrap();
        assert_eq!(disk.capacity_sectors(), capacity_sectors);
        let mut found = sectors(2, 1);
        disk.read_at(499, &mut found).unwrap();
        assert!(found == [sectors(1, 3), sectors(1, 0)].concat());
        disk.read_at(capacity_sectors - 2, &mut found).unwrap();
        assert!(found == sectors(2, 0));
    }
}

#[test]
fn a_split_disk_that_cannot_grow_stays_as_it_was() {
    let scratch = Scratch::new();
    scratch.create("a.vmdk", DiskKind::SplitFlat, 500);
    scratch.write("a-f003.vmdk", "mine");
    assert!(grow(&scratch, "a.vmdk", 2 * PIECE_SECTORS + 9).is_err());
    assert_eq!(scratch.files(), ["a-f001.vmdk", "a-f003.vmdk", "a.vmdk"]);
    assert_eq!(
        scratch.open("a.vmdk", READ).unwrap().capacity_sectors(),
        500
    );
}

#[test]
fn children_and_streams_do_not_grow_and_children_notice() {
    let scratch = Scratch::new();
    scratch.sparse("a.vmdk", 300);
    scratch.child("a.vmdk", "b.vmdk");
    scratch.create("c.vmdk", DiskKind::StreamOptimized, 300);
    for name in ["b.vmdk", "c.vmdk"] {
        let grown = grow(&scratch, name, 400);
        assert!(matches!(grown, Err(Error::WrongKind { .. })), "{grown:?}");
    }
    grow(&scratch, "a.vmdk", 400).unwrap();
    let opened = scratch.open("b.vmdk", READ);
    assert!(matches!(opened, Err(Error::ParentChanged { .. })));
}

#[test]
fn renamed_disks_read_the_same() {
    for kind in DiskKind::ALL {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path("sub")).unwrap();
        let mut disk = scratch.create("a.vmdk", kind, 300);
        disk.write_at(140, &sectors(9, 5)).unwrap();
        let content = all(&disk);
        drop(disk);
        vmdk::rename(&scratch.path("a.vmdk"), &scratch.path("sub/b.vmdk")).unwrap();
        assert_eq!(scratch.files(), ["sub"]);
        let disk = scratch.open("sub/b.vmdk", READ).unwrap();
        assert!(all(&disk) == content, "{kind:?}");
        let name = disk.descriptor().extents[0].file_name.clone().unwrap();
        assert!(name.starts_with('b'), "{name}");
    }
}

#[test]
fn a_renamed_child_finds_its_parent() {
    for kind in [DiskKind::MonolithicSparse, DiskKind::SplitSparse] {
        let scratch = Scratch::new();
        fs::create_dir(scratch.path("sub")).unwrap();
        let mut parent = scratch.flat("a.vmdk", 300);
        parent.write_at(7, &sectors(1, 7)).unwrap();
        parent.create_child(&scratch.path("b.vmdk"), kind).unwrap();
        vmdk::rename(&scratch.path("b.vmdk"), &scratch.path("sub/c.vmdk")).unwrap();
        let disk = scratch.open("sub/c.vmdk", READ).unwrap();
        let hint = disk.descriptor().parent_file_name_hint.as_deref();
        assert_eq!(hint, Some("../a.vmdk"));
        assert!(all(&disk) == all(&parent));
    }
}

#[test]
fn a_name_that_is_taken_is_not_overwritten() {
    let scratch = Scratch::new();
    scratch.flat("a.vmdk", 300);
    for taken in ["b.vmdk", "b-flat.vmdk"] {
        scratch.write(taken, "mine");
        let renamed = vmdk::rename(&scratch.path("a.vmdk"), &scratch.path("b.vmdk"));
        let Err(Error::Io { source, .. }) = renamed else {
            panic!("{renamed:?}");
        };
        assert_eq!(source.kind(), std::io::ErrorKind::AlreadyExists);
        fs::remove_file(scratch.path(taken)).unwrap();
        assert_eq!(scratch.files(), ["a-flat.vmdk", "a.vmdk"]);
    }
    let renamed = vmdk::rename(&scratch.path("a.vmdk"), &scratch.path("no/b.vmdk"));
    assert!(renamed.is_err());
    assert_eq!(scratch.files(), ["a-flat.vmdk", "a.vmdk"]);
    scratch.open("a.vmdk", READ).unwrap();
}

#[test]
fn a_removed_link_leaves_its_parent() {
    for kind in DiskKind::ALL {
        let scratch = Scratch::new();
        scratch.flat("p.vmdk", 300);
        scratch.create("a.vmdk", kind, 300);
        vmdk::unlink(&scratch.path("a.vmdk")).unwrap();
        let child = scratch.child("p.vmdk", "c.vmdk");
        drop(child);
        vmdk::unlink(&scratch.path("c.vmdk")).unwrap();
        assert_eq!(scratch.files(), ["p-flat.vmdk", "p.vmdk"], "{kind:?}");
    }
    let scratch = Scratch::new();
    scratch.write("a.vmdk", "no disk");
    let removed = vmdk::unlink(&scratch.path("a.vmdk"));
    assert!(matches!(removed, Err(Error::NotVmdk { .. })));
    assert_eq!(scratch.files(), ["a.vmdk"]);
    // What an earlier try had removed already is no hindrance.
    let options = CreateOptions::new(2 * PIECE_SECTORS);
    vmdk::create(&scratch.path("b.vmdk"), DiskKind::SplitFlat, &options).unwrap();
    fs::remove_file(scratch.path("b-f001.vmdk")).unwrap();
    vmdk::unlink(&scratch.path("b.vmdk")).unwrap();
    assert_eq!(scratch.files(), ["a.vmdk"]);
}
