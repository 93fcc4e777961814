//! Disks of every kind: made, filled, found again.

use std::fs;

use vmdk::{CreateOptions, DiskKind, Error};

use crate::scratch::{READ, Scratch, WRITE, all, sectors};

/// 2047 MiB, the length of a piece.
const PIECE_SECTORS: u64 = 4_192_256;

#[test]
fn each_kind_has_its_files_and_is_known_again() {
    for (kind, files) in [
        (DiskKind::MonolithicSparse, ["a.vmdk"].as_slice()),
        (DiskKind::StreamOptimized, &["a.vmdk"]),
        (DiskKind::MonolithicFlat, &["a-flat.vmdk", "a.vmdk"]),
        (DiskKind::VmfsFlat, &["a-flat.vmdk", "a.vmdk"]),
        (DiskKind::VmfsThin, &["a-flat.vmdk", "a.vmdk"]),
        (DiskKind::SplitSparse, &["a-s001.vmdk", "a.vmdk"]),
        (DiskKind::SplitFlat, &["a-f001.vmdk", "a.vmdk"]),
    ] {
        let scratch = Scratch::new();
        let mut disk = scratch.create("a.vmdk", kind, 301);
        assert_eq!(scratch.files(), files);
        disk.write_at(130, &sectors(100, 3)).unwrap();
        disk.write_at(300, &sectors(1, 4)).unwrap();
        drop(disk);
        let disk = scratch.open("a.vmdk", READ).unwrap();
        assert_eq!(DiskKind::of(disk.descriptor()), Some(kind));
        let expected = [
            sectors(130, 0),
            sectors(100, 3),
            sectors(70, 0),
            sectors(1, 4),
        ];
        assert!(all(&disk) == expected.concat(), "{kind:?}");
    }
}

#[test]
fn a_split_disk_is_written_across_its_border() {
    for kind in [DiskKind::SplitSparse, DiskKind::SplitFlat] {
        let scratch = Scratch::new();
        let mut disk = scratch.create("a.vmdk", kind, PIECE_SECTORS + 77);
        assert_eq!(scratch.files().len(), 3);
        disk.write_at(PIECE_SECTORS - 3, &sectors(6, 9)).unwrap();
        disk.flush().unwrap();
        let disk = scratch.open("a.vmdk", READ).unwrap();
        let mut found = sectors(8, 1);
        disk.read_at(PIECE_SECTORS - 4, &mut found).unwrap();
        let expected = [sectors(1, 0), sectors(6, 9), sectors(1, 0)].concat();
        assert!(found == expected, "{kind:?}");
    }
}

#[test]
fn a_disk_of_three_tebibytes_is_cheap_to_open() {
    let scratch = Scratch::new();
    let capacity_sectors = (3 << 31) + 5;
    let mut disk = scratch.create("a.vmdk", DiskKind::SplitSparse, capacity_sectors);
    assert_eq!(scratch.files().len(), 1538);
    disk.write_at(capacity_sectors - 1, &sectors(1, 6)).unwrap();
    disk.flush().unwrap();
    // Opening reads the descriptor alone: it works though no other extent is there.
    for index in 1..1537 {
        fs::remove_file(scratch.path(&format!("a-s{index:03}.vmdk"))).unwrap();
    }
    let disk = scratch.open("a.vmdk", READ).unwrap();
    let mut found = sectors(1, 0);
    disk.read_at(capacity_sectors - 1, &mut found).unwrap();
    assert_eq!(found, sectors(1, 6));
    let missing = disk.read_at(0, &mut found);
    assert!(matches!(missing, Err(Error::Io { .. })));
}

#[test]
fn a_disk_that_cannot_be_made_leaves_nothing() {
    let two = 2 * PIECE_SECTORS;
    for kind in [DiskKind::SplitSparse, DiskKind::SplitFlat] {
        let scratch = Scratch::new();
        let letter = if kind == DiskKind::SplitFlat {
            'f'
        } else {
            's'
        };
        let foreign = format!("a-{letter}002.vmdk");
        scratch.write(&foreign, "mine");
        let made = vmdk::create(&scratch.path("a.vmdk"), kind, &CreateOptions::new(two));
        assert!(matches!(made, Err(Error::Io { .. })), "{made:?}");
        assert_eq!(scratch.files(), [foreign]);
    }
    let scratch = Scratch::new();
    for capacity in [0, vmdk::MAX_CAPACITY_SECTORS + 1] {
        for kind in DiskKind::ALL {
            let options = CreateOptions::new(capacity);
            let made = vmdk::create(&scratch.path("a.vmdk"), kind, &options);
            assert!(matches!(made, Err(Error::Capacity { .. })), "{made:?}");
        }
    }
    assert!(scratch.files().is_empty());
}

#[test]
fn children_are_sparse_and_a_parent_written_later_is_refused() {
    let scratch = Scratch::new();
    let mut parent = scratch.create("a.vmdk", DiskKind::SplitFlat, 400);
    parent.write_at(0, &sectors(400, 1)).unwrap();
    for kind in DiskKind::ALL.into_iter().filter(|kind| !kind.is_sparse()) {
        let made = parent.create_child(&scratch.path("b.vmdk"), kind);
        assert!(matches!(made, Err(Error::Unsupported { .. })), "{made:?}");
    }
    for (name, kind) in [
        ("b.vmdk", DiskKind::SplitSparse),
        ("c.vmdk", DiskKind::MonolithicSparse),
    ] {
        let mut child = parent.create_child(&scratch.path(name), kind).unwrap();
        assert_eq!(child.links(), 2);
        child.write_at(130, &sectors(2, 7)).unwrap();
        let mut found = sectors(4, 0);
        child.read_at(129, &mut found).unwrap();
        assert!(found == [sectors(1, 1), sectors(2, 7), sectors(1, 1)].concat());
    }
    // The handle had changed the content id before; it does so again for the children.
    parent.write_at(0, &sectors(1, 2)).unwrap();
    for name in ["b.vmdk", "c.vmdk"] {
        let opened = scratch.open(name, READ);
        assert!(matches!(opened, Err(Error::ParentChanged { .. })));
    }
}

#[test]
fn a_stream_is_filled_front_to_back() {
    let scratch = Scratch::new();
    let mut disk = scratch.create("a.vmdk", DiskKind::StreamOptimized, 600);
    // Pieces that are no grains: the last grain may still change.
    let content: Vec<u8> = (0..600_u32)
        .flat_map(|n| sectors(1, (n % 251) as u8))
        .collect();
    for (index, piece) in content.chunks(100 * 512).enumerate() {
        disk.write_at(index as u64 * 100, piece).unwrap();
    }
    assert!(all(&disk) == content);
    let again = disk.write_at(0, &sectors(1, 1));
    assert!(matches!(again, Err(Error::WrittenOnce { .. })), "{again:?}");
    disk.write_at(599, &sectors(1, 1)).unwrap();
    drop(disk);
    assert!(all(&scratch.open("a.vmdk", READ).unwrap())[..599 * 512] == content[..599 * 512]);
    let length_bytes = fs::metadata(scratch.path("a.vmdk")).unwrap().len();
    assert!(length_bytes < 100_000, "{length_bytes}");
}

#[test]
fn metadata_are_written_and_what_breaks_the_text_is_not() {
    let scratch = Scratch::new();
    for kind in DiskKind::ALL {
        let name = format!("{}.vmdk", kind as u8);
        let mut disk = scratch.create(&name, kind, 300);
        let cid = disk.descriptor().cid;
        disk.set_metadata("toolsVersion", "12345").unwrap();
        disk.set_metadata("toolsVersion", "10346").unwrap();
        for (key, value) in [
            ("", "1"),
            ("a=b", "1"),
            ("a", "x\"y"),
            ("a\n", "1"),
            ("a", "\u{1}"),
            (" a", "1"),
            ("a", " 1"),
        ] {
            let set = disk.set_metadata(key, value);
            assert!(matches!(set, Err(Error::Text { .. })), "{key:?} {value:?}");
        }
        let large = disk.set_metadata("large", &"x".repeat(5 << 20));
        assert!(matches!(large, Err(Error::Descriptor { .. })), "{large:?}");
        assert_eq!(disk.descriptor().ddb("large"), None);
        let disk = scratch.open(&name, READ).unwrap();
        assert_eq!(disk.descriptor().ddb("toolsVersion"), Some("10346"));
        assert_eq!(disk.descriptor().cid, cid);
    }
    let mut disk = scratch.open("0.vmdk", READ).unwrap();
    assert!(matches!(
        disk.set_metadata("a", "b"),
        Err(Error::ReadOnly { .. })
    ));
    let mut disk = scratch.open("0.vmdk", WRITE).unwrap();
    let full = disk.set_metadata("large", &"x".repeat(10_240));
    assert!(matches!(full, Err(Error::Full { .. })), "{full:?}");
    assert_eq!(
        scratch
            .open("0.vmdk", READ)
            .unwrap()
            .descriptor()
            .ddb("large"),
        None
    );
}
