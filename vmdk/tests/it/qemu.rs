//! The opinion of qemu-img, where it is installed: of what we write, and on what it writes.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use vmdk::{CreateOptions, DiskKind, SectorRun};

use crate::scratch::{READ, Scratch, WRITE, all, sectors};

#[expect(
    clippy::print_stderr,
    reason = "a test that is left out says so loudly"
)]
fn skipped() {
    eprintln!("skipped: qemu-img not found");
}

/// Runs qemu-img and returns what it printed, or `None` where it is not installed.
pub(crate) fn qemu_img(arguments: &[&str], folder: &Path) -> Option<String> {
    let command = &mut Command::new("qemu-img");
    match command.args(arguments).current_dir(folder).output() {
        Ok(output) => {
            let printed = [output.stdout, output.stderr].concat();
            let printed = String::from_utf8(printed).unwrap();
            assert!(output.status.success(), "{arguments:?}: {printed}");
            Some(printed)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            skipped();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A raw image with data at its start, in the middle, over a border of grains and at its end.
fn image(scratch: &Scratch, name: &str, capacity_sectors: u64) -> Vec<u8> {
    let mut content = vec![0; (capacity_sectors * 512) as usize];
    let mut noise = 1_u32;
    for (sector, count) in [(0, 3), (127, 2), (1000, 500), (capacity_sectors - 1, 1)] {
        let start = sector as usize * 512;
        for byte in &mut content[start..start + count * 512] {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (noise >> 24) as u8;
        }
    }
    scratch.write(name, &content);
    content
}

#[test]
fn qemu_accepts_a_flat_disk_and_its_children() {
    let scratch = Scratch::new();
    let folder = scratch.path("");
    let capacity_sectors = 40_960 + 37;
    let mut base = scratch.flat("a.vmdk", capacity_sectors);
    base.write_at(100, &sectors(700, 1)).unwrap();
    base.write_at(capacity_sectors - 3, &sectors(3, 2)).unwrap();
    let mut child = scratch.child("a.vmdk", "a-000001.vmdk");
    child.write_at(200, &sectors(300, 3)).unwrap();
    child.unmap(512, 128).unwrap();
    child
        .write_at(capacity_sectors - 1, &sectors(1, 4))
        .unwrap();
    let mut last = scratch.child("a-000001.vmdk", "a-000002.vmdk");
    last.write_at(20_000, &sectors(9, 5)).unwrap();
    last.write_at(513, &sectors(1, 6)).unwrap();
    scratch.write("expected.raw", all(&last));
    for name in ["a.vmdk", "a-000001.vmdk", "a-000002.vmdk"] {
        let Some(info) = qemu_img(&["info", name], &folder) else {
            return;
        };
        assert!(info.contains("file format: vmdk"), "{info}");
        let size = format!("({} bytes)", capacity_sectors * 512);
        assert!(info.contains(&size), "{info}");
        let checked = qemu_img(&["check", "-f", "vmdk", name], &folder).unwrap();
        assert!(checked.contains("No errors were found"), "{checked}");
    }
    let compare = [
        "compare",
        "-f",
        "vmdk",
        "-F",
        "raw",
        "a-000002.vmdk",
        "expected.raw",
    ];
    let printed = qemu_img(&compare, &folder).unwrap();
    assert!(printed.contains("Images are identical"), "{printed}");
}

#[test]
fn qemu_accepts_a_sparse_disk() {
    let scratch = Scratch::new();
    let mut disk = scratch.sparse("a.vmdk", 10_001);
    disk.write_at(50, &sectors(500, 1)).unwrap();
    disk.write_at(10_000, &sectors(1, 2)).unwrap();
    disk.unmap(128, 128).unwrap();
    scratch.write("expected.raw", all(&disk));
    let folder = scratch.path("");
    let Some(checked) = qemu_img(&["check", "-f", "vmdk", "a.vmdk"], &folder) else {
        return;
    };
    assert!(checked.contains("No errors were found"), "{checked}");
    let compare = [
        "compare",
        "-f",
        "vmdk",
        "-F",
        "raw",
        "a.vmdk",
        "expected.raw",
    ];
    qemu_img(&compare, &folder).unwrap();
}

#[test]
fn qemu_images_of_every_kind_are_read() {
    let capacity_sectors = 20_003;
    for kind in [
        "monolithicSparse",
        "monolithicFlat",
        "twoGbMaxExtentSparse",
        "twoGbMaxExtentFlat",
        "streamOptimized",
    ] {
        let scratch = Scratch::new();
        let content = image(&scratch, "a.raw", capacity_sectors);
        let option = format!("subformat={kind}");
        let convert = ["convert", "-O", "vmdk", "-o", &option, "a.raw", "a.vmdk"];
        if qemu_img(&convert, &scratch.path("")).is_none() {
            return;
        }
        let disk = scratch.open("a.vmdk", READ).unwrap();
        assert_eq!(disk.descriptor().create_type.as_str(), kind);
        assert_eq!(disk.capacity_sectors(), capacity_sectors, "{kind}");
        assert!(all(&disk) == content, "{kind}");
        // A piece from inside a grain, not from its start.
        let mut piece = sectors(3, 0);
        disk.read_at(1100, &mut piece).unwrap();
        assert!(piece == content[1100 * 512..1103 * 512], "{kind}");
        let runs = disk.allocated(0, capacity_sectors).unwrap();
        let held = |sector| {
            let inside = |run: &SectorRun| run.start_sector <= sector && sector < run.end_sector();
            runs.iter().any(inside)
        };
        assert!(held(0) && held(128) && held(1499) && held(capacity_sectors - 1));
        assert!(!held(10_000), "{kind}: {runs:?}");
    }
}

#[test]
fn a_split_disk_of_qemu_is_read_across_its_border() {
    let scratch = Scratch::new();
    let border_sectors: u64 = 1 << 22;
    let raw = File::create_new(scratch.path("a.raw")).unwrap();
    raw.set_len((border_sectors + 1000) * 512).unwrap();
    raw.write_all_at(&sectors(8, 7), (border_sectors - 4) * 512)
        .unwrap();
    for kind in ["twoGbMaxExtentSparse", "twoGbMaxExtentFlat"] {
        let (option, name) = (format!("subformat={kind}"), format!("{kind}.vmdk"));
        let convert = ["convert", "-O", "vmdk", "-o", &option, "a.raw", &name];
        if qemu_img(&convert, &scratch.path("")).is_none() {
            return;
        }
        let disk = scratch.open(&name, READ).unwrap();
        assert!(disk.descriptor().extents.len() > 1);
        let mut found = sectors(10, 9);
        disk.read_at(border_sectors - 5, &mut found).unwrap();
        let expected = [sectors(1, 0), sectors(8, 7), sectors(1, 0)].concat();
        assert!(found == expected, "{kind}");
    }
}

/// Has qemu-img compare a disk with a raw image of the same content.
fn is_identical(scratch: &Scratch, name: &str, raw: &str) -> bool {
    let compare = ["compare", "-f", "vmdk", "-F", "raw", name, raw];
    let Some(printed) = qemu_img(&compare, &scratch.path("")) else {
        return true;
    };
    printed.contains("Images are identical")
}

#[test]
fn qemu_agrees_on_every_kind_we_make() {
    let capacity_sectors = 20_003;
    for kind in DiskKind::ALL {
        let scratch = Scratch::new();
        let content = image(&scratch, "a.raw", capacity_sectors);
        let mut disk = scratch.create("a.vmdk", kind, capacity_sectors);
        for (sector, count) in [(0, 3), (127, 2), (1000, 500), (capacity_sectors - 1, 1)] {
            let start = sector as usize * 512;
            disk.write_at(sector, &content[start..start + count * 512])
                .unwrap();
        }
        disk.flush().unwrap();
        let Some(info) = qemu_img(&["info", "a.vmdk"], &scratch.path("")) else {
            return;
        };
        let size = format!("({} bytes)", capacity_sectors * 512);
        assert!(
            info.contains("file format: vmdk") && info.contains(&size),
            "{info}"
        );
        assert!(is_identical(&scratch, "a.vmdk", "a.raw"), "{kind:?}");
        if !kind.is_flat() {
            let check = ["check", "-f", "vmdk", "a.vmdk"];
            let checked = qemu_img(&check, &scratch.path("")).unwrap();
            assert!(
                checked.contains("No errors were found"),
                "{kind:?}: {checked}"
            );
        }
    }
}

#[test]
fn qemu_agrees_after_growing_shrinking_ordering_and_mending() {
    for kind in [DiskKind::MonolithicSparse, DiskKind::SplitSparse] {
        let scratch = Scratch::new();
        let mut disk = scratch.create("a.vmdk", kind, 9_001);
        for (grain, byte) in [(60, 1), (3, 0), (2, 2), (70, 3)] {
            disk.write_at(grain * 128, &sectors(41, byte)).unwrap();
        }
        disk.shrink(&mut |_, _| ()).unwrap();
        disk.write_at(128, &sectors(128, 4)).unwrap();
        disk.defragment(&mut |_, _| ()).unwrap();
        drop(disk);
        let path = scratch.path("a.vmdk");
        vmdk::grow(&path, 130_007, true, &mut |_, _| ()).unwrap();
        let file = if kind == DiskKind::SplitSparse {
            "a-s001.vmdk"
        } else {
            "a.vmdk"
        };
        // The redundant directory begins behind header and descriptor.
        let directory = if kind == DiskKind::SplitSparse { 1 } else { 21 };
        scratch.patch(file, directory * 512, &[0xff; 4]);
        assert!(vmdk::check(&path, true).unwrap().is_repaired());
        scratch.write("a.raw", all(&scratch.open("a.vmdk", READ).unwrap()));
        let Some(checked) = qemu_img(&["check", "-f", "vmdk", "a.vmdk"], &scratch.path("")) else {
            return;
        };
        assert!(
            checked.contains("No errors were found"),
            "{kind:?}: {checked}"
        );
        assert!(is_identical(&scratch, "a.vmdk", "a.raw"), "{kind:?}");
    }
}

#[test]
fn copies_of_qemus_disks_are_what_qemu_reads() {
    for kind in [
        "monolithicSparse",
        "monolithicFlat",
        "twoGbMaxExtentSparse",
        "twoGbMaxExtentFlat",
        "streamOptimized",
    ] {
        let scratch = Scratch::new();
        image(&scratch, "a.raw", 20_096);
        let option = format!("subformat={kind}");
        let convert = ["convert", "-O", "vmdk", "-o", &option, "a.raw", "a.vmdk"];
        if qemu_img(&convert, &scratch.path("")).is_none() {
            return;
        }
        assert!(
            vmdk::check(&scratch.path("a.vmdk"), false)
                .unwrap()
                .is_clean(),
            "{kind}"
        );
        let source = scratch.open("a.vmdk", READ).unwrap();
        for to in DiskKind::ALL {
            let name = format!("{to:?}.vmdk");
            let options = CreateOptions::new(1);
            let copied = vmdk::copy(&source, &scratch.path(&name), to, &options, &mut |_, _| ());
            drop(copied.unwrap());
            assert!(is_identical(&scratch, &name, "a.raw"), "{kind} to {to:?}");
        }
    }
}

#[test]
fn children_of_both_makers_resolve() {
    for kind in [DiskKind::MonolithicSparse, DiskKind::SplitSparse] {
        let scratch = Scratch::new();
        let folder = scratch.path("");
        image(&scratch, "a.raw", 20_096);
        let convert = ["convert", "-O", "vmdk", "a.raw", "a.vmdk"];
        if qemu_img(&convert, &folder).is_none() {
            return;
        }
        // Ours over qemu's, and qemu's over ours.
        let mut base = scratch.open("a.vmdk", READ).unwrap();
        let mut child = base.create_child(&scratch.path("b.vmdk"), kind).unwrap();
        child.write_at(1200, &sectors(700, 9)).unwrap();
        child.flush().unwrap();
        scratch.write("b.raw", all(&child));
        assert!(is_identical(&scratch, "b.vmdk", "b.raw"), "{kind:?}");
        drop(child);
        let create = [
            "create", "-f", "vmdk", "-b", "b.vmdk", "-F", "vmdk", "c.vmdk",
        ];
        qemu_img(&create, &folder).unwrap();
        let disk = scratch.open("c.vmdk", READ).unwrap();
        assert_eq!(disk.links(), 3, "{kind:?}");
        scratch.write("c.raw", all(&disk));
        assert!(is_identical(&scratch, "c.vmdk", "b.raw"), "{kind:?}");
        assert!(is_identical(&scratch, "c.vmdk", "c.raw"), "{kind:?}");
    }
}

#[test]
fn disks_over_two_tebibytes_are_read_both_ways() {
    // 2 TiB and a bit, no whole grain; data at the start, at 2 TiB and at the end.
    let capacity_sectors: u64 = (1 << 32) + 1003;
    let places = [(0, 1), ((1 << 32) - 2, 2), (capacity_sectors - 5, 3)];
    let scratch = Scratch::new();
    let folder = scratch.path("");
    for kind in ["monolithicSparse", "monolithicFlat"] {
        let (option, name) = (format!("subformat={kind}"), format!("q-{kind}.vmdk"));
        let size = (capacity_sectors * 512).to_string();
        let create = ["create", "-f", "vmdk", "-o", &option, &name, &size];
        if qemu_img(&create, &folder).is_none() {
            return;
        }
        let mut disk = scratch.open(&name, WRITE).unwrap();
        assert_eq!(disk.capacity_sectors(), capacity_sectors, "{kind}");
        for (sector, byte) in places {
            disk.write_at(sector, &sectors(5, byte)).unwrap();
        }
        disk.flush().unwrap();
        check_pieces(&scratch, &name, &places);
    }
    for kind in [
        DiskKind::MonolithicSparse,
        DiskKind::MonolithicFlat,
        DiskKind::SplitSparse,
        DiskKind::SplitFlat,
    ] {
        let name = format!("{kind:?}.vmdk");
        let mut disk = scratch.create(&name, kind, capacity_sectors);
        for (sector, byte) in places {
            disk.write_at(sector, &sectors(5, byte)).unwrap();
        }
        disk.flush().unwrap();
        check_pieces(&scratch, &name, &places);
    }
}

/// Has qemu-img read five sectors at each place.
fn check_pieces(scratch: &Scratch, name: &str, places: &[(u64, u8)]) {
    for (sector, byte) in places {
        let (input, skip) = (format!("if={name}"), format!("skip={sector}"));
        let end = format!("count={}", sector + 5);
        let dd = [
            "dd",
            "-f",
            "vmdk",
            "-O",
            "raw",
            "bs=512",
            &skip,
            &end,
            &input,
            "of=piece.raw",
        ];
        qemu_img(&dd, &scratch.path("")).unwrap();
        let found = std::fs::read(scratch.path("piece.raw")).unwrap();
        assert!(
            found == sectors(5, *byte),
            "{name} at {sector}: {} bytes",
            found.len()
        );
    }
}
