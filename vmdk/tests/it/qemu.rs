//! The opinion of qemu-img, where it is installed: of what we write, and on what it writes.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use vmdk::SectorRun;

use crate::scratch::{READ, Scratch, all, sectors};

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
