//! Compressed disks with their directory behind the grains, as exporters write them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use vmdk::{CreateOptions, Error, SectorRun, StreamWriter};

use crate::qemu::qemu_img;
use crate::scratch::{READ, Scratch, WRITE, all, sectors};

const CAPACITY_SECTORS: u64 = 3 * 128 + 5;
/// Header and descriptor take 21 sectors; grains start on the next border.
const FIRST_GRAIN_BYTES: usize = 128 * 512;

/// A stream with the first and the last grain, the latter as short as the disk.
fn stream() -> Vec<u8> {
    let mut file = header(u64::MAX);
    let name = "a.vmdk";
    let text = format!(
        "# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\n\
         createType=\"streamOptimized\"\nRW {CAPACITY_SECTORS} SPARSE \"{name}\"\n"
    );
    file.extend(text.as_bytes());
    file.resize(FIRST_GRAIN_BYTES, 0);
    let mut table = [0_u32; 512];
    table[0] = grain(&mut file, 0, &sectors(128, 1));
    table[3] = grain(&mut file, 3 * 128, &sectors(5, 2));
    marker(&mut file, 4, 1);
    let table_sector = sector(&file);
    file.extend(table.iter().flat_map(|entry| entry.to_le_bytes()));
    marker(&mut file, 1, 2);
    let directory_sector = sector(&file);
    file.extend(table_sector.to_le_bytes());
    pad(&mut file);
    marker(&mut file, 1, 3);
    file.extend(header(u64::from(directory_sector)));
    marker(&mut file, 0, 0);
    file
}

/// The header, with the directory at a sector; the footer is the same.
fn header(directory_sector: u64) -> Vec<u8> {
    let flags: u32 = 1 | 1 << 16 | 1 << 17;
    let mut bytes = b"KDMV".to_vec();
    bytes.extend([3_u32, flags].iter().flat_map(|field| field.to_le_bytes()));
    for field in [CAPACITY_SECTORS, 128, 1, 20] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(512_u32.to_le_bytes());
    for field in [0, directory_sector, 128] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(b"\0\n \r\n\x01\0");
    pad(&mut bytes);
    bytes
}

/// Adds a grain with its marker and returns where it is.
fn grain(file: &mut Vec<u8>, start_sector: u64, content: &[u8]) -> u32 {
    let at = sector(file);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    let packed = encoder.finish().unwrap();
    file.extend(start_sector.to_le_bytes());
    file.extend((packed.len() as u32).to_le_bytes());
    file.extend(packed);
    pad(file);
    at
}

/// Adds a marker: how many sectors follow, a size of zero, and of what kind they are.
fn marker(file: &mut Vec<u8>, sectors: u64, kind: u32) {
    file.extend(sectors.to_le_bytes());
    file.extend([0, kind].iter().flat_map(|field| field.to_le_bytes()));
    pad(file);
}

fn sector(file: &[u8]) -> u32 {
    (file.len() / 512) as u32
}

fn pad(file: &mut Vec<u8>) {
    file.resize(file.len().next_multiple_of(512), 0);
}

fn expected() -> Vec<u8> {
    [sectors(128, 1), sectors(256, 0), sectors(5, 2)].concat()
}

#[test]
fn a_stream_with_a_footer_is_read() {
    let scratch = Scratch::new();
    scratch.write("a.vmdk", stream());
    let disk = scratch.open("a.vmdk", READ).unwrap();
    assert!(all(&disk) == expected());
    let mut piece = sectors(2, 9);
    disk.read_at(127, &mut piece).unwrap();
    assert!(piece == [sectors(1, 1), sectors(1, 0)].concat());
    let run = |start_sector, sectors| SectorRun {
        start_sector,
        sectors,
    };
    let held = disk.allocated(0, CAPACITY_SECTORS).unwrap();
    assert_eq!(held, [run(0, 128), run(384, 5)]);
}

#[test]
fn qemu_reads_the_same_from_a_stream() {
    let scratch = Scratch::new();
    scratch.write("a.vmdk", stream());
    // qemu-img wants the last grain whole, so only the grains before it are compared.
    scratch.write("expected.raw", &expected()[..384 * 512]);
    let dump = [
        "dd",
        "-f",
        "vmdk",
        "-O",
        "raw",
        "bs=512",
        "count=384",
        "if=a.vmdk",
        "of=b.raw",
    ];
    if qemu_img(&dump, &scratch.path("")).is_none() {
        return;
    }
    let found = std::fs::read(scratch.path("b.raw")).unwrap();
    assert!(found == expected()[..384 * 512]);
}

#[test]
fn a_stream_is_not_written() {
    let scratch = Scratch::new();
    scratch.write("a.vmdk", stream());
    let mut disk = scratch.open("a.vmdk", WRITE).unwrap();
    let written = disk.write_at(0, &sectors(1, 2));
    assert!(matches!(written, Err(Error::ReadOnly { .. })));
    assert!(matches!(disk.unmap(0, 1), Err(Error::ReadOnly { .. })));
    let whole = stream();
    assert!(std::fs::read(scratch.path("a.vmdk")).unwrap() == whole);
}

#[test]
fn a_stream_without_its_end_is_an_error() {
    let scratch = Scratch::new();
    let whole = stream();
    for cut in 1..whole.len() / 512 {
        scratch.write("a.vmdk", &whole[..whole.len() - cut * 512]);
        assert!(scratch.open("a.vmdk", READ).is_err(), "{cut} sectors");
    }
}

#[test]
fn a_damaged_grain_is_an_error() {
    let scratch = Scratch::new();
    // Its marker has the sector in 8 bytes, the length in 4; then the data of deflate.
    for (offset_bytes, new) in [
        (0, [1, 0, 0, 0]),
        (8, [0, 0, 0, 0]),
        (8, [9, 0, 0, 0]),
        (8, [0xff, 0xff, 0xff, 0xff]),
        (12, [0xff, 0xff, 0xff, 0xff]),
        (20, [0x55, 0xaa, 0x55, 0xaa]),
    ] {
        scratch.write("a.vmdk", stream());
        scratch.patch("a.vmdk", FIRST_GRAIN_BYTES + offset_bytes, &new);
        let disk = scratch.open("a.vmdk", READ).unwrap();
        let found = disk.read_at(0, &mut sectors(1, 0));
        assert!(
            matches!(found, Err(Error::Corrupt { .. })),
            "{offset_bytes}: {found:?}"
        );
    }
}

#[test]
fn a_grain_that_unpacks_to_more_or_less_than_a_grain_is_an_error() {
    for count in [127, 129, 20_000] {
        let scratch = Scratch::new();
        let mut file = stream();
        // A new grain at the end is entered in place of the first.
        let behind = file.split_off(file.len() - 3 * 512);
        let at = grain(&mut file, 0, &sectors(count, 1));
        file.extend(behind);
        let old = 128_u32.to_le_bytes();
        let mut windows = file.windows(4).enumerate().skip(FIRST_GRAIN_BYTES);
        let entry = windows.find(|(n, window)| n % 512 == 0 && *window == old);
        let entry = entry.unwrap().0;
        file[entry..entry + 4].copy_from_slice(&at.to_le_bytes());
        scratch.write("a.vmdk", file);
        let disk = scratch.open("a.vmdk", READ).unwrap();
        let found = disk.read_at(0, &mut sectors(1, 0));
        assert!(
            matches!(found, Err(Error::Corrupt { .. })),
            "{count}: {found:?}"
        );
    }
}

#[test]
fn a_written_stream_is_read_and_qemu_agrees() {
    // Over a border of tables, with tables left out, and a short last grain.
    let capacity_sectors = 4 * 512 * 128 + 77;
    let scratch = Scratch::new();
    let mut disk = scratch.sparse("a.vmdk", capacity_sectors);
    let last = capacity_sectors - 1;
    for (sector, byte) in [
        (5, 1),
        (127, 2),
        (128 * 511, 3),
        (128 * 512, 4),
        (128 * 1700, 5),
        (last, 6),
    ] {
        disk.write_at(sector, &sectors(1, byte)).unwrap();
    }
    let mut told = 0;
    let options = CreateOptions::new(1);
    let file = disk.write_stream(Vec::new(), "b.vmdk", &options, &mut |done, _| told = done);
    assert_eq!(told, capacity_sectors);
    scratch.write("b.vmdk", file.unwrap());
    let stream = scratch.open("b.vmdk", READ).unwrap();
    assert_eq!(stream.descriptor().create_type.as_str(), "streamOptimized");
    assert_eq!(stream.capacity_sectors(), capacity_sectors);
    let content = all(&disk);
    assert!(all(&stream) == content);
    assert!(
        vmdk::check(&scratch.path("b.vmdk"), false)
            .unwrap()
            .is_clean()
    );
    scratch.write("a.raw", content);
    let compare = ["compare", "-f", "vmdk", "-F", "raw", "b.vmdk", "a.raw"];
    let Some(printed) = qemu_img(&compare, &scratch.path("")) else {
        return;
    };
    assert!(printed.contains("Images are identical"), "{printed}");
}

#[test]
fn a_stream_takes_sectors_in_order_only() {
    let mut stream = StreamWriter::new(Vec::new(), "a.vmdk", &CreateOptions::new(300)).unwrap();
    stream.write(10, &sectors(4, 1)).unwrap();
    stream.write(14, &sectors(1, 2)).unwrap();
    assert!(matches!(
        stream.write(14, &sectors(1, 3)),
        Err(Error::WrittenOnce { .. })
    ));
    assert!(matches!(
        stream.write(299, &sectors(2, 3)),
        Err(Error::OutOfRange { .. })
    ));
    assert!(matches!(
        stream.write(u64::MAX, &sectors(1, 3)),
        Err(Error::OutOfRange { .. })
    ));
    assert!(matches!(
        stream.write(20, &[0; 5]),
        Err(Error::Unaligned { .. })
    ));
    stream.write(299, &sectors(1, 4)).unwrap();
    let scratch = Scratch::new();
    scratch.write("a.vmdk", stream.finish().unwrap());
    let content = all(&scratch.open("a.vmdk", READ).unwrap());
    assert!(content[10 * 512..15 * 512] == [sectors(4, 1), sectors(1, 2)].concat());
    assert!(content[299 * 512..] == sectors(1, 4));
    for capacity_sectors in [0, u64::MAX] {
        let refused =
            StreamWriter::new(Vec::new(), "a.vmdk", &CreateOptions::new(capacity_sectors));
        assert!(matches!(refused, Err(Error::Capacity { .. })));
    }
    let refused = StreamWriter::new(Vec::new(), "a\".vmdk", &CreateOptions::new(1));
    assert!(matches!(refused, Err(Error::Text { .. })));
}
