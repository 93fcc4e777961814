//! Copying, shrinking, putting in order, putting together.

use std::fs;

use proptest::prelude::*;
use vmdk::{CreateOptions, Disk, DiskKind, Error};

use crate::scratch::{ALONE, READ, Scratch, WRITE, all, sectors};

/// What the files of a scratch folder take.
fn bytes_in(scratch: &Scratch, prefix: &str) -> u64 {
    let files = scratch
        .files()
        .into_iter()
        .filter(|name| name.starts_with(prefix));
    files
        .map(|name| fs::metadata(scratch.path(&name)).unwrap().len())
        .sum()
}

/// A parent and a child with holes, zeros that hide the parent, and grains out of order.
fn chain(scratch: &Scratch, kind: DiskKind) -> Disk {
    let mut base = scratch.create("base.vmdk", DiskKind::MonolithicFlat, 1000);
    base.write_at(0, &sectors(640, 1)).unwrap();
    let mut child = base
        .create_child(&scratch.path("child.vmdk"), kind)
        .unwrap();
    for (sector, byte) in [(896, 2), (0, 3), (384, 0), (200, 4)] {
        child.write_at(sector, &sectors(104, byte)).unwrap();
    }
    child.write_at(256, &sectors(128, 0)).unwrap();
    child.unmap(512, 128).unwrap();
    child
}

#[test]
fn every_kind_is_copied_to_every_kind() {
    for from in [DiskKind::MonolithicSparse, DiskKind::SplitSparse] {
        let scratch = Scratch::new();
        let source = chain(&scratch, from);
        let content = all(&source);
        for kind in DiskKind::ALL {
            let name = format!("copy-{kind:?}.vmdk");
            let mut told = Vec::new();
            let mut progress = |done, all| told.push((done, all));
            let options = CreateOptions::new(1);
            let copied = vmdk::copy(&source, &scratch.path(&name), kind, &options, &mut progress);
            assert!(all(&copied.unwrap()) == content, "{kind:?}");
            assert_eq!(
                (told.first(), told.last()),
                (Some(&(0, 1000)), Some(&(1000, 1000)))
            );
            assert!(told.is_sorted());
            let copy = scratch.open(&name, READ).unwrap();
            assert!(all(&copy) == content, "{kind:?}");
            assert_eq!(copy.links(), 1);
            let needed = source.space_needed_bytes(kind).unwrap();
            let taken = bytes_in(&scratch, &format!("copy-{kind:?}"));
            assert!(taken <= needed + 1024, "{kind:?}: {taken} of {needed}");
            if kind != DiskKind::StreamOptimized {
                assert!(needed < taken + 6 * 65536, "{kind:?}: {taken} of {needed}");
            }
        }
    }
}

#[test]
fn a_copy_that_fails_leaves_nothing() {
    let scratch = Scratch::new();
    let source = chain(&scratch, DiskKind::MonolithicSparse);
    fs::remove_file(scratch.path("base-flat.vmdk")).unwrap();
    let before = scratch.files();
    let reopened = scratch.open("child.vmdk", READ).unwrap();
    drop(source);
    for kind in DiskKind::ALL {
        let options = CreateOptions::new(1);
        let copied = vmdk::copy(
            &reopened,
            &scratch.path("x.vmdk"),
            kind,
            &options,
            &mut |_, _| (),
        );
        assert!(matches!(copied, Err(Error::Io { .. })));
        assert_eq!(scratch.files(), before);
    }
}

#[test]
fn zeros_are_given_back_and_a_parent_stays_hidden() {
    for kind in [DiskKind::MonolithicSparse, DiskKind::SplitSparse] {
        let scratch = Scratch::new();
        let mut disk = chain(&scratch, kind);
        let (content, cid) = (all(&disk), disk.descriptor().cid);
        let before_bytes = bytes_in(&scratch, "child");
        let mut told = Vec::new();
        disk.shrink(&mut |done, all| told.push((done, all)))
            .unwrap();
        assert_eq!(
            (told.first(), told.last()),
            (Some(&(0, 1000)), Some(&(1000, 1000)))
        );
        assert!(all(&disk) == content, "{kind:?}");
        assert_eq!(disk.descriptor().cid, cid);
        // Grain 2 was written with zeros; its space is gone.
        assert_eq!(bytes_in(&scratch, "child"), before_bytes - 65536);
        disk.write_at(300, &sectors(1, 9)).unwrap();
        drop(disk);
        let disk = scratch.open("child.vmdk", READ).unwrap();
        assert_eq!(all(&disk)[300 * 512..301 * 512], sectors(1, 9));
        assert!(
            vmdk::check(&scratch.path("child.vmdk"), false)
                .unwrap()
                .is_clean()
        );
    }
}

#[test]
fn a_base_keeps_no_zeros_at_all() {
    let scratch = Scratch::new();
    let mut disk = scratch.sparse("a.vmdk", 5000);
    let empty_bytes = bytes_in(&scratch, "a");
    disk.write_at(0, &vec![0; 3000 * 512]).unwrap();
    disk.unmap(0, 128).unwrap();
    disk.shrink(&mut |_, _| ()).unwrap();
    assert_eq!(bytes_in(&scratch, "a"), empty_bytes);
    assert_eq!(disk.allocated(0, 5000).unwrap(), []);
}

#[test]
fn grains_come_in_the_order_of_the_disk() {
    let scratch = Scratch::new();
    let mut disk = scratch.sparse("a.vmdk", 1024);
    for grain in [5, 3, 7, 0] {
        disk.write_at(grain * 128, &sectors(128, grain as u8 + 1))
            .unwrap();
    }
    let content = all(&disk);
    disk.defragment(&mut |_, _| ()).unwrap();
    assert!(all(&disk) == content);
    let file = fs::read(scratch.path("a.vmdk")).unwrap();
    let grains: Vec<u8> = file[128 * 512..]
        .chunks(65536)
        .map(|grain| grain[0])
        .collect();
    assert_eq!(grains, [1, 4, 6, 8]);
}

#[test]
fn files_beside_a_disk_are_never_touched() {
    let scratch = Scratch::new();
    let mut sparse = scratch.sparse("a.vmdk", 300);
    drop(scratch.flat("b.vmdk", 300));
    for name in ["a.vmdk.new", "b.vmdk.new"] {
        scratch.write(name, "somebody's");
    }
    sparse.write_at(5, &sectors(1, 1)).unwrap();
    sparse.shrink(&mut |_, _| ()).unwrap();
    // The first write of a handle changes the content id, and so the descriptor.
    let mut flat = scratch.open("b.vmdk", WRITE).unwrap();
    flat.write_at(5, &sectors(1, 2)).unwrap();
    flat.flush().unwrap();
    let files = [
        "a.vmdk",
        "a.vmdk.new",
        "b-flat.vmdk",
        "b.vmdk",
        "b.vmdk.new",
    ];
    assert_eq!(scratch.files(), files);
    for name in ["a.vmdk.new", "b.vmdk.new"] {
        assert_eq!(fs::read(scratch.path(name)).unwrap(), b"somebody's");
    }
    assert_eq!(all(&sparse)[5 * 512], 1);
}

#[test]
fn only_sparse_disks_open_for_writing_are_rebuilt() {
    let scratch = Scratch::new();
    for kind in DiskKind::ALL.into_iter().filter(|kind| !kind.is_sparse()) {
        let mut disk = scratch.create(&format!("{kind:?}.vmdk"), kind, 300);
        let (shrunk, ordered) = (disk.shrink(&mut |_, _| ()), disk.defragment(&mut |_, _| ()));
        assert!(matches!(shrunk, Err(Error::WrongKind { .. })), "{kind:?}");
        assert!(matches!(ordered, Err(Error::WrongKind { .. })), "{kind:?}");
    }
    scratch.sparse("a.vmdk", 300);
    let mut disk = scratch.open("a.vmdk", READ).unwrap();
    assert!(matches!(
        disk.shrink(&mut |_, _| ()),
        Err(Error::ReadOnly { .. })
    ));
}

#[test]
fn a_link_opened_alone_is_put_over_its_parent() {
    let scratch = Scratch::new();
    let content = all(&chain(&scratch, DiskKind::SplitSparse));
    // The name it has for its parent leads nowhere.
    fs::rename(scratch.path("base.vmdk"), scratch.path("other.vmdk")).unwrap();
    let parent = scratch.open("other.vmdk", READ).unwrap();
    let mut child = scratch.open("child.vmdk", ALONE).unwrap();
    child.check_attach(&parent).unwrap();
    child.attach(&parent).unwrap();
    assert_eq!(child.links(), 2);
    assert!(all(&child) == content);
    child.write_at(700, &sectors(1, 6)).unwrap();
    let mut found = sectors(2, 9);
    child.read_at(699, &mut found).unwrap();
    assert!(found == [sectors(1, 0), sectors(1, 6)].concat());
    let again = child.attach(&parent);
    assert!(matches!(again, Err(Error::ParentOpen { .. })), "{again:?}");
}

#[test]
fn links_that_do_not_fit_are_not_put_together() {
    let scratch = Scratch::new();
    drop(chain(&scratch, DiskKind::MonolithicSparse));
    let mut child = scratch.open("child.vmdk", ALONE).unwrap();
    let alone = all(&child);
    let root = scratch.create("root.vmdk", DiskKind::MonolithicSparse, 1000);
    let larger = scratch.create("larger.vmdk", DiskKind::MonolithicFlat, 1001);
    let mut changed = scratch.open("base.vmdk", WRITE).unwrap();
    changed.write_at(0, &sectors(1, 1)).unwrap();
    let of_itself = scratch.open("child.vmdk", ALONE).unwrap();
    let mut rootless = scratch.open("root.vmdk", ALONE).unwrap();
    let found = rootless.attach(&root);
    assert!(matches!(found, Err(Error::RootLink { .. })), "{found:?}");
    let found = child.attach(&larger);
    assert!(
        matches!(found, Err(Error::CapacityDiffers { .. })),
        "{found:?}"
    );
    let found = child.attach(&changed);
    assert!(
        matches!(found, Err(Error::ParentChanged { .. })),
        "{found:?}"
    );
    let found = child.attach(&of_itself);
    assert!(matches!(found, Err(Error::Loop { .. })), "{found:?}");
    assert_eq!(child.links(), 1);
    assert!(all(&child) == alone);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Shrinking and putting in order at any moment change nothing that is read.
    #[test]
    fn rebuilding_keeps_any_content(
        split in any::<bool>(),
        over_parent in any::<bool>(),
        writes in proptest::collection::vec((0_u64..500, 1_u64..200, 0_u8..3), 1..12),
    ) {
        let scratch = Scratch::new();
        let kind = if split { DiskKind::SplitSparse } else { DiskKind::MonolithicSparse };
        let mut disk = if over_parent {
            let mut base = scratch.flat("base.vmdk", 700);
            base.write_at(0, &sectors(700, 7)).unwrap();
            base.create_child(&scratch.path("a.vmdk"), kind).unwrap()
        } else {
            scratch.create("a.vmdk", kind, 700)
        };
        for (index, (sector, count, byte)) in writes.into_iter().enumerate() {
            disk.write_at(sector, &sectors(count as usize, byte)).unwrap();
            let content = all(&disk);
            if index % 2 == 0 {
                disk.shrink(&mut |_, _| ()).unwrap();
            } else {
                disk.defragment(&mut |_, _| ()).unwrap();
            }
            prop_assert!(all(&disk) == content);
        }
        let path = scratch.path("a.vmdk");
        prop_assert!(vmdk::check(&path, false).unwrap().is_clean());
    }
}
