//! Every example, run as a program against the stand-in.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use vmdk::CreateOptions;

use crate::kit::{DISK_BYTES, Kit, example_program};

/// An example as a command, with the kit's library.
fn example(kit: &Kit, name: &str) -> Command {
    let mut command = Command::new(example_program(name));
    command.env("VDDK_LIBDIR", kit.installed());
    command
}

fn finished(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {errors}");
    output
}

/// Runs an example with arguments, and gives the lines it wrote.
fn run(kit: &Kit, name: &str, arguments: &[&str]) -> Vec<String> {
    let output = finished(example(kit, name).args(arguments));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A local disk with the content of the kit's disk.
fn local_disk(kit: &Kit) -> PathBuf {
    let path = kit.folder().join("local.vmdk");
    let options = CreateOptions::new(DISK_BYTES / 512);
    let mut disk = vmdk::create_monolithic_sparse(&path, &options).unwrap();
    // Only what is data, so that the holes stay holes.
    for (index, piece) in kit.image.chunks(64 * 1024).enumerate() {
        if piece.iter().any(|byte| *byte != 0) {
            disk.write_at(index as u64 * 128, piece).unwrap();
        }
    }
    disk.flush().unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn has(lines: &[String], wanted: &str) {
    assert!(
        lines.iter().any(|line| line == wanted),
        "{wanted}: {lines:?}"
    );
}

#[test]
fn every_numbered_example_has_a_test_here() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names: BTreeSet<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
        .collect();
    assert!(names.len() >= 9, "{names:?}");
    let source = include_str!("examples.rs");
    for name in names {
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn the_library_is_loaded_and_described() {
    let kit = Kit::new();
    let lines = run(&kit, "01_load", &[]);
    assert!(lines[0].ends_with("/lib64/libvixDiskLib.so.8"), "{lines:?}");
    has(&lines, "interface: 8");
    has(&lines, "transports: file:san:hotadd:nbdssl:nbd");
    has(&lines, "VixDiskLib_Wait: found, since 6.5");
    assert_eq!(kit.count("VixDiskLib_Exit"), 1);
}

#[test]
fn a_local_disk_is_opened() {
    let kit = Kit::new();
    let disk = local_disk(&kit);
    let lines = run(&kit, "02_connect_local", &[text(&disk)]);
    has(&lines, "transport: file");
    has(&lines, &format!("sectors: {}", DISK_BYTES / 512));
    let start: Vec<_> = kit.image[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    has(&lines, &format!("first bytes: {}", start.join(" ")));
}

#[test]
fn facts_and_metadata_are_told() {
    let kit = Kit::new();
    let disk = local_disk(&kit);
    let lines = run(&kit, "03_info_and_metadata", &[text(&disk)]);
    has(&lines, &format!("sectors: {}", DISK_BYTES / 512));
    has(&lines, "links: 1");
    has(&lines, "logical sector: 512 bytes");
    has(&lines, "adapterType = lsilogic");
}

#[test]
fn futures_and_waiting_read_the_same() {
    let kit = Kit::new();
    let disk = local_disk(&kit);
    let lines = run(&kit, "04_read_async", &[text(&disk)]);
    let count = kit.image.iter().filter(|byte| **byte != 0).count();
    has(
        &lines,
        &format!("bytes that are not zero, by futures: {count}"),
    );
    has(
        &lines,
        &format!("bytes that are not zero, by waiting: {count}"),
    );
}

#[test]
fn the_map_of_a_local_disk_is_all_of_it() {
    let kit = Kit::new();
    let disk = local_disk(&kit);
    let lines = run(&kit, "05_allocated_map", &[text(&disk)]);
    let end = DISK_BYTES / 512;
    assert_eq!(
        lines,
        [
            "all of it: the answer for local files cannot be trusted".to_owned(),
            format!("0..{end}"),
            format!("{end} of {end} sectors"),
        ]
    );
}

#[test]
fn a_copy_is_the_disk_byte_for_byte() {
    let kit = Kit::new();
    let disk = local_disk(&kit);
    let image = kit.folder().join("copy.raw");
    run(&kit, "06_copy_disk", &[text(&disk), text(&image)]);
    assert!(fs::read(&image).unwrap() == kit.image);
}

#[test]
fn the_given_ranges_bring_an_image_up_to_date() {
    let kit = Kit::new();
    let disk = local_disk(&kit);
    // An older state: two areas differ, and a third that is not named differs as well.
    let mut old = kit.image.clone();
    old[10 * 512..20 * 512].fill(1);
    old[4000 * 512..4001 * 512].fill(2);
    old[5000 * 512..5001 * 512].fill(3);
    let image = kit.folder().join("older.raw");
    fs::write(&image, &old).unwrap();
    let ranges = [text(&disk), text(&image), "10:10", "4000:1"];
    let lines = run(&kit, "07_incremental_read", &ranges);
    has(&lines, "5632 bytes in 2 ranges");
    let mut wanted = kit.image.clone();
    wanted[5000 * 512..5001 * 512].fill(3);
    assert!(fs::read(&image).unwrap() == wanted);
}

#[test]
fn a_restored_disk_is_the_image_byte_for_byte() {
    let kit = Kit::new();
    let image = kit.folder().join("image.raw");
    fs::write(&image, &kit.image).unwrap();
    let disk = kit.folder().join("restored.vmdk");
    run(&kit, "08_restore", &[text(&image), text(&disk)]);
    let restored = vmdk::Disk::open(&disk, vmdk::OpenOptions::default()).unwrap();
    let mut content = vec![1; kit.image.len()];
    restored.read_at(0, &mut content).unwrap();
    assert!(content == kit.image);
    // A second time there is such a disk, and nothing is overwritten.
    let again = example(&kit, "08_restore")
        .args([&image, &disk])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && errors.contains("12"), "{errors}");
}

#[test]
fn a_disk_of_a_vm_is_copied_and_the_password_is_in_no_argument_and_no_output() {
    const PASSWORD: &str = "stand-in";
    let kit = Kit::new();
    let (snapshot, path) = kit.snapshot();
    let image = kit.folder().join("copy.raw");
    let secret = kit.folder().join("password");
    fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    let mut command = example(&kit, "09_connect_vcenter");
    command
        .args([path.as_str(), text(&image)])
        .env("VDDK_SERVER", "127.0.0.1")
        .env("VDDK_THUMBPRINT", kit.lab.thumbprint_sha1().unwrap())
        .env("VDDK_USER", "backup@vsphere.local")
        .env("VDDK_PASSWORD_FILE", &secret)
        .env("VDDK_VM", &kit.vm)
        .env("VDDK_SNAPSHOT", &snapshot);
    let output = finished(&mut command);
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(out.contains("transport: nbdssl"), "{out}");
    assert!(!out.contains(PASSWORD), "{out}");
    assert!(fs::read(&image).unwrap() == kit.image);
    for pair in [
        ["PrepareForAccess", "EndAccess"],
        ["ConnectEx", "Disconnect"],
    ] {
        let [begun, ended] = pair.map(|name| kit.count(&format!("VixDiskLib_{name}")));
        assert_eq!((begun, ended), (1, 1), "{pair:?}");
    }
}
