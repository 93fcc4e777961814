//! The SONAME of a shared library, read from its file.
//!
//! The tables are found as the system's loader finds them, through the program headers ("Tool
//! Interface Standard: Executable and Linking Format", book 3): a stripped file has no others. The
//! file may be hostile: every offset is checked, and what is read is bounded.

use std::{
    io::{Read, Seek, SeekFrom},
    ops::Range,
};

/// 64 bits, little end first: what x86-64 has.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const DYNAMIC_ENTRY_BYTES: usize = 16;
/// Real libraries have about a dozen program headers.
const MAX_PROGRAM_HEADERS: usize = 256;
/// Real libraries have well under a hundred dynamic entries.
const MAX_DYNAMIC_BYTES: u64 = 64 << 10;
/// No file name is longer.
const MAX_SONAME_BYTES: u64 = 255;

const SEGMENT_LOAD: u32 = 1;
const SEGMENT_DYNAMIC: u32 = 2;
const TAG_END: u64 = 0;
const TAG_STRINGS: u64 = 5;
const TAG_SONAME: u64 = 14;

/// A piece of the file and the addresses at which it is mapped.
struct Segment {
    kind: u32,
    offset: u64,
    addresses: Range<u64>,
}

/// The SONAME of a file; `None` when it has none, is no such file, or cannot be read.
///
/// A name that is no plain printable ASCII counts as none: it would go to terminals and logs.
pub(crate) fn soname(file: &mut (impl Read + Seek)) -> Option<String> {
    let header = read(file, 0, HEADER_BYTES)?;
    if !header.starts_with(MAGIC) {
        return None;
    }
    let segments = segments(file, &header)?;
    let dynamic = segments.iter().find(|s| s.kind == SEGMENT_DYNAMIC)?;
    let length = dynamic.addresses.end - dynamic.addresses.start;
    let entries = read(file, dynamic.offset, length.min(MAX_DYNAMIC_BYTES))?;
    let strings = value(&entries, TAG_STRINGS)?;
    let address = strings.checked_add(value(&entries, TAG_SONAME)?)?;
    let bytes = read(file, offset_of(&segments, address)?, MAX_SONAME_BYTES + 1)?;
    let name = &bytes[..bytes.iter().position(|&byte| byte == 0)?];
    let is_plain = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
    is_plain.then(|| String::from_utf8_lossy(name).into_owned())
}

/// Up to `length` bytes; fewer at the end of the file.
fn read(file: &mut (impl Read + Seek), offset: u64, length: u64) -> Option<Vec<u8>> {
    file.seek(SeekFrom::Start(offset)).ok()?;
    let mut bytes = Vec::new();
    file.by_ref().take(length).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn segments(file: &mut (impl Read + Seek), header: &[u8]) -> Option<Vec<Segment>> {
    let count = usize::from(u16_at(header, 0x38)?);
    let size = usize::from(u16_at(header, 0x36)?);
    if count > MAX_PROGRAM_HEADERS || size != PROGRAM_HEADER_BYTES {
        return None;
    }
    let table = read(file, u64_at(header, 0x20)?, (count * size) as u64)?;
    table
        .chunks_exact(size)
        .map(|entry| {
            let start = u64_at(entry, 0x10)?;
            Some(Segment {
                kind: u32_at(entry, 0)?,
                offset: u64_at(entry, 8)?,
                addresses: start..start.checked_add(u64_at(entry, 0x20)?)?,
            })
        })
        .collect()
}

/// The value of the first dynamic entry with a tag.
fn value(entries: &[u8], tag: u64) -> Option<u64> {
    entries
        .chunks_exact(DYNAMIC_ENTRY_BYTES)
        .filter_map(|entry| Some((u64_at(entry, 0)?, u64_at(entry, 8)?)))
        .take_while(|(there, _)| *there != TAG_END)
        .find_map(|(there, value)| (there == tag).then_some(value))
}

/// Where in the file an address is mapped from.
fn offset_of(segments: &[Segment], address: u64) -> Option<u64> {
    let holds = |s: &&Segment| s.kind == SEGMENT_LOAD && s.addresses.contains(&address);
    let segment = segments.iter().find(holds)?;
    segment
        .offset
        .checked_add(address - segment.addresses.start)
}

fn bytes_at<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes_at(bytes, at).map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes_at(bytes, at).map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes_at(bytes, at).map(u64::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::{MAGIC, soname};

    /// The smallest file that has a SONAME: two program headers, three dynamic entries, one text.
    fn library(name: &[u8]) -> Vec<u8> {
        const BASE: u64 = 0x40_0000;
        let dynamic_at = 64 + 2 * 56;
        let text_at = dynamic_at + 3 * 16;
        let mut file = vec![0; text_at as usize];
        file.extend_from_slice(name);
        file.push(0);
        let length = file.len() as u64;
        let mut put = |at: u64, bytes: &[u8]| {
            file[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        };
        put(0, MAGIC);
        put(0x20, &64_u64.to_le_bytes());
        put(0x36, &56_u16.to_le_bytes());
        put(0x38, &2_u16.to_le_bytes());
        let segments = [(1_u32, 0_u64, length), (2, dynamic_at, 3 * 16)];
        for (at, (kind, offset, size)) in [64_u64, 120].into_iter().zip(segments) {
            put(at, &kind.to_le_bytes());
            put(at + 8, &offset.to_le_bytes());
            put(at + 0x10, &(BASE + offset).to_le_bytes());
            put(at + 0x20, &size.to_le_bytes());
        }
        // The text stands one byte into the table of texts.
        put(dynamic_at, &14_u64.to_le_bytes());
        put(dynamic_at + 8, &1_u64.to_le_bytes());
        put(dynamic_at + 16, &5_u64.to_le_bytes());
        put(dynamic_at + 24, &(BASE + text_at - 1).to_le_bytes());
        file
    }

    fn soname_in(file: &[u8]) -> Option<String> {
        soname(&mut Cursor::new(file))
    }

    #[test]
    fn the_name_is_read() {
        let name = soname_in(&library(b"libvixDiskLib.so.9"));
        assert_eq!(name.as_deref(), Some("libvixDiskLib.so.9"));
    }

    #[test]
    fn a_name_for_terminals_to_stumble_over_is_none() {
        for name in [&b""[..], b"a\x1b[2J", b"a b", "ü".as_bytes(), &[b'a'; 256]] {
            assert_eq!(soname_in(&library(name)), None, "{name:?}");
        }
        assert!(soname_in(&library(&[b'a'; 255])).is_some());
    }

    #[test]
    fn a_file_cut_short_has_no_name() {
        let file = library(b"libvixDiskLib.so.9");
        for length in 0..file.len() {
            assert_eq!(soname_in(&file[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_file_with_any_byte_changed_is_read_or_refused() {
        let file = library(b"libvixDiskLib.so.9");
        for at in 0..file.len() {
            for byte in [0, 1, 0x7F, 0x80, 0xFF] {
                let mut changed = file.clone();
                changed[at] = byte;
                if let Some(name) = soname_in(&changed) {
                    assert!(name.len() <= 255 && name.bytes().all(|b| b.is_ascii_graphic()));
                }
            }
        }
    }

    #[test]
    fn numbers_at_the_end_of_their_range_are_refused() {
        // Place and value of: program headers, dynamic segment, its address, its size, texts.
        for at in [0x20, 120 + 8, 120 + 0x10, 120 + 0x20, 64 + 2 * 56 + 24] {
            let mut file = library(b"libvixDiskLib.so.9");
            file[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            assert_eq!(soname_in(&file), None, "{at:#x}");
        }
    }
}
