//! Broken and foreign files: an error, never a panic and never silent zeros.

use std::error::Error as _;
use std::fs::{self, File};
use std::process::Command;

use proptest::prelude::*;
use vmdk::{Disk, Error};

use crate::scratch::{READ, Scratch, WRITE, sectors};

/// Where the parts of `sparse` are: one table, two directories.
const TABLE_BYTES: usize = (21 + 1 + 4 + 1) * 512;
const DIRECTORY_BYTES: usize = (21 + 1 + 4) * 512;

/// A sparse disk of three grains, the first two written.
fn sparse() -> Scratch {
    let scratch = Scratch::new();
    let mut disk = scratch.sparse("a.vmdk", 300);
    disk.write_at(0, &sectors(256, 1)).unwrap();
    scratch
}

fn read(scratch: &Scratch, sector: u64) -> Result<Vec<u8>, Error> {
    let disk = scratch.open("a.vmdk", READ)?;
    let mut buf = sectors(1, 0xee);
    disk.read_at(sector, &mut buf)?;
    Ok(buf)
}

#[test]
fn a_grain_outside_the_file_is_an_error() {
    let scratch = sparse();
    scratch.patch("a.vmdk", TABLE_BYTES + 4, &0x00ff_ff00_u32.to_le_bytes());
    assert_eq!(read(&scratch, 0).unwrap(), sectors(1, 1));
    let found = read(&scratch, 128);
    assert!(matches!(found, Err(Error::Truncated { .. })), "{found:?}");
    let mut disk = scratch.open("a.vmdk", WRITE).unwrap();
    let written = disk.write_at(130, &sectors(1, 2));
    assert!(matches!(written, Err(Error::Corrupt { .. })), "{written:?}");
}

#[test]
fn a_grain_among_the_tables_is_an_error() {
    let scratch = sparse();
    scratch.patch("a.vmdk", TABLE_BYTES, &26_u32.to_le_bytes());
    assert!(matches!(read(&scratch, 0), Err(Error::Corrupt { .. })));
    let mut disk = scratch.open("a.vmdk", WRITE).unwrap();
    let written = disk.write_at(0, &sectors(1, 2));
    assert!(matches!(written, Err(Error::Corrupt { .. })));
    assert!(disk.allocated(0, 300).is_err());
}

#[test]
fn a_table_outside_the_file_is_an_error() {
    let scratch = sparse();
    scratch.patch("a.vmdk", DIRECTORY_BYTES, &u32::MAX.to_le_bytes());
    let found = read(&scratch, 0);
    assert!(matches!(found, Err(Error::Corrupt { .. })), "{found:?}");
}

#[test]
fn a_directory_entry_of_zero_reads_as_nothing_and_is_not_written() {
    let scratch = sparse();
    scratch.patch("a.vmdk", DIRECTORY_BYTES, &[0; 4]);
    assert_eq!(read(&scratch, 0).unwrap(), sectors(1, 0));
    let mut disk = scratch.open("a.vmdk", WRITE).unwrap();
    let written = disk.write_at(0, &sectors(1, 2));
    assert!(matches!(written, Err(Error::Unsupported { .. })));
}

#[test]
fn a_file_cut_anywhere_before_a_sector_does_not_read_it() {
    let scratch = sparse();
    let whole = fs::read(scratch.path("a.vmdk")).unwrap();
    for length_bytes in (0..whole.len()).step_by(512 * 3 + 7) {
        scratch.write("a.vmdk", &whole[..length_bytes]);
        let found = read(&scratch, 255);
        assert!(found.is_err(), "{length_bytes}");
    }
}

#[test]
fn a_flat_file_that_is_too_short_is_an_error() {
    let scratch = Scratch::new();
    scratch.flat("a.vmdk", 300);
    let flat = File::options()
        .write(true)
        .open(scratch.path("a-flat.vmdk"));
    flat.unwrap().set_len(300 * 512 - 1).unwrap();
    let found = read(&scratch, 0);
    let needed_bytes = 300 * 512;
    assert!(matches!(found, Err(Error::Truncated { needed_bytes: n, .. }) if n == needed_bytes));
}

#[test]
fn an_extent_smaller_than_its_descriptor_says_is_an_error() {
    let scratch = sparse();
    scratch.replace("a.vmdk", "RW 300 ", "RW 301 ");
    assert!(matches!(read(&scratch, 0), Err(Error::Corrupt { .. })));
}

#[test]
fn foreign_files_are_told_apart() {
    let scratch = Scratch::new();
    let kind = |content: &[u8]| {
        scratch.write("a.vmdk", content);
        Disk::open(&scratch.path("a.vmdk"), READ).unwrap_err()
    };
    for content in [b"".as_slice(), b"KDM", &[0; 4096], b"version=1\nCID=1\n"] {
        assert!(matches!(kind(content), Error::NotVmdk { .. }));
    }
    let named = |content: &[u8], name: &str| match kind(content) {
        Error::Unsupported { kind, .. } => assert!(kind.contains(name), "{kind}"),
        other => panic!("{other:?}"),
    };
    named(b"COWD\x01\0\0\0............", "vmfsSparse");
    named(b"\xbe\xba\xfe\xca\0\0\0\0\0\0\0\x02", "seSparse");
    let text = |create_type: &str, extent: &str| {
        format!("# Disk DescriptorFile\nversion=1\nCID=1\ncreateType=\"{create_type}\"\n{extent}\n")
    };
    named(
        text("seSparse", "RW 8 SESPARSE \"b\"").as_bytes(),
        "seSparse",
    );
    named(
        text("vmfsSparse", "RW 8 VMFSSPARSE \"b\"").as_bytes(),
        "vmfsSparse",
    );
    named(text("custom", "RW 8 VMFSRDM \"b\"").as_bytes(), "VMFSRDM");
    let leaves = kind(text("vmfs", "RW 8 VMFS \"../b\"").as_bytes());
    assert!(matches!(leaves, Error::ExtentName { .. }));
    let bytes = [text("vmfs", "RW 8 VMFS \"").as_bytes(), b"\xff\xfe\" 0\n"].concat();
    assert!(matches!(kind(&bytes), Error::Descriptor { .. }));
    let directory = Disk::open(scratch.path("").as_path(), READ);
    assert!(matches!(directory, Err(Error::Io { .. })));
}

#[test]
fn a_pipe_in_place_of_a_file_is_refused_and_not_waited_for() {
    let scratch = Scratch::new();
    drop(scratch.flat("a.vmdk", 300));
    fs::remove_file(scratch.path("a-flat.vmdk")).unwrap();
    for name in ["a-flat.vmdk", "b.vmdk"] {
        let made = Command::new("mkfifo").arg(scratch.path(name)).status();
        assert!(made.unwrap().success());
    }
    let found = read(&scratch, 0).unwrap_err();
    assert!(
        found
            .source()
            .unwrap()
            .to_string()
            .contains("no regular file")
    );
    let found = scratch.open("b.vmdk", READ).unwrap_err();
    assert!(
        found
            .source()
            .unwrap()
            .to_string()
            .contains("no regular file")
    );
}

#[test]
fn a_capacity_that_needs_too_many_tables_is_refused() {
    let scratch = sparse();
    // Grains of one sector, tables of one entry, and room for the directories: a hole costs nothing.
    let tables: u64 = 1 << 32;
    scratch.patch("a.vmdk", 12, &tables.to_le_bytes());
    scratch.patch("a.vmdk", 20, &1_u64.to_le_bytes());
    scratch.patch("a.vmdk", 44, &1_u32.to_le_bytes());
    let file = File::options().write(true).open(scratch.path("a.vmdk"));
    file.unwrap().set_len(tables * 16).unwrap();
    let found = vmdk::check(&scratch.path("a.vmdk"), false).unwrap_err();
    assert!(
        found.to_string().contains("4294967296 grain tables"),
        "{found}"
    );
    let found = read(&scratch, 0).unwrap_err();
    assert!(
        found.to_string().contains("4294967296 grain tables"),
        "{found}"
    );
}

#[test]
fn no_access_means_no_reading() {
    let scratch = Scratch::new();
    scratch.write(
        "a.vmdk",
        "# Disk DescriptorFile\nversion=1\nCID=1\ncreateType=\"custom\"\nNOACCESS 8 ZERO\n",
    );
    assert!(matches!(read(&scratch, 0), Err(Error::NoAccess { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Random changes to header, descriptor and tables end in data or an error.
    #[test]
    fn scrambled_metadata_never_panics(
        changes in proptest::collection::vec((0_usize..TABLE_BYTES + 64, any::<u8>()), 1..6)
    ) {
        let scratch = sparse();
        for (offset_bytes, byte) in changes {
            scratch.patch("a.vmdk", offset_bytes, &[byte]);
        }
        if let Ok(mut disk) = scratch.open("a.vmdk", WRITE) {
            // The size may have been scrambled, too, so look at the start only.
            let sectors = disk.capacity_sectors().min(300);
            let mut buf = vec![0; (sectors * 512) as usize];
            let _ = disk.read_at(0, &mut buf);
            let _ = disk.allocated(0, sectors);
            let _ = disk.unmap(0, sectors);
            let _ = disk.write_at(0, &buf);
        }
    }
}
