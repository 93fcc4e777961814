//! The few parts of an ELF file that a kit looks at and changes: its SONAME and its exports.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::Error;

const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const HEADER_BYTES: usize = 64;
const SECTION_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
const DYNAMIC_ENTRY_BYTES: usize = 16;
/// No library has more sections.
const MAX_SECTIONS: usize = 4096;
/// Longer tables are not looked at.
const MAX_TABLE_BYTES: u64 = 16 << 20;

/// Section types of "Tool Interface Standard: Executable and Linking Format".
const TYPE_DYNAMIC: u32 = 6;
const TYPE_DYNAMIC_SYMBOLS: u32 = 11;
/// Dynamic entry with the place of the SONAME.
const TAG_SONAME: u64 = 14;
/// Visibility in `st_other`.
const HIDDEN: u8 = 2;

/// An ELF file for 64 bits, little end first, opened for a look or for changes.
#[derive(Debug)]
pub(super) struct Elf {
    file: File,
    path: PathBuf,
    sections: Vec<Section>,
}

#[derive(Clone, Copy, Debug)]
struct Section {
    kind: u32,
    link: usize,
    offset: u64,
    length_bytes: u64,
}

impl Elf {
    /// Opens a file, `write` for changes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Library`] for what is no such file.
    pub(super) fn open(path: &Path, write: bool) -> Result<Self, Error> {
        let file = File::options()
            .read(true)
            .write(write)
            .open(path)
            .map_err(Error::io("open", path))?;
        let mut elf = Self {
            file,
            path: path.into(),
            sections: Vec::new(),
        };
        let header = elf.read(0, HEADER_BYTES as u64)?;
        let count = usize::from(u16_at(&header, 0x3C));
        let plain = header.starts_with(MAGIC)
            && usize::from(u16_at(&header, 0x3A)) == SECTION_BYTES
            && count <= MAX_SECTIONS;
        if !plain {
            return Err(elf.refused("it is no 64-bit ELF file with sections"));
        }
        let table = elf.read(u64_at(&header, 0x28), (count * SECTION_BYTES) as u64)?;
        elf.sections = table
            .chunks_exact(SECTION_BYTES)
            .map(|section| Section {
                kind: u32_at(section, 4),
                offset: u64_at(section, 0x18),
                length_bytes: u64_at(section, 0x20),
                link: u32_at(section, 0x28) as usize,
            })
            .collect();
        Ok(elf)
    }

    /// The SONAME, if the file has one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Library`].
    pub(super) fn soname(&self) -> Result<Option<String>, Error> {
        let Some((_, name)) = self.soname_place()? else {
            return Ok(None);
        };
        Ok(Some(String::from_utf8_lossy(&name).into_owned()))
    }

    /// Gives the file another SONAME of the same length.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Library`].
    pub(super) fn set_soname(&self, name: &str) -> Result<(), Error> {
        match self.soname_place()? {
            Some((place, old)) if old.len() == name.len() => self.write(place, name.as_bytes()),
            _ => Err(self.refused("it has no SONAME of that length")),
        }
    }

    /// Takes names out of what the file exports. Uses inside the file stay as they are: a local
    /// symbol is resolved to the file's own, and no lookup by name finds it. (Another name would
    /// leave such uses unbound, and the loader would refuse the file.)
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::Library`] when the file exports no such name.
    pub(super) fn hide(&self, names: &[String]) -> Result<(), Error> {
        let symbols = self.section(TYPE_DYNAMIC_SYMBOLS)?;
        let table = self.content(symbols)?;
        let strings = self.linked(symbols)?;
        for name in names {
            let mut found = false;
            for (at, symbol) in table.chunks_exact(SYMBOL_BYTES).enumerate() {
                let text = text_at(&strings, u32_at(symbol, 0) as usize);
                if text.is_none_or(|text| &strings[text] != name.as_bytes()) {
                    continue;
                }
                found = true;
                let place = symbols.offset + (at * SYMBOL_BYTES) as u64 + 4;
                // The binding is in the upper half of the first byte; 0 = local.
                self.write(place, &[symbol[4] & 0x0F, HIDDEN])?;
            }
            if !found {
                return Err(self.refused(&format!("it exports no {name}")));
            }
        }
        Ok(())
    }

    /// Where the SONAME stands in the file, and the name.
    fn soname_place(&self) -> Result<Option<(u64, Vec<u8>)>, Error> {
        let Ok(dynamic) = self.section(TYPE_DYNAMIC) else {
            return Ok(None);
        };
        let table = self.content(dynamic)?;
        let entry = table
            .chunks_exact(DYNAMIC_ENTRY_BYTES)
            .find(|entry| u64_at(entry, 0) == TAG_SONAME);
        let Some(entry) = entry else {
            return Ok(None);
        };
        let strings = self.linked(dynamic)?;
        let place = usize::try_from(u64_at(entry, 8)).unwrap_or(usize::MAX);
        let Some(text) = text_at(&strings, place) else {
            return Err(self.refused("its SONAME lies outside"));
        };
        let offset = self.sections[dynamic.link].offset + text.start as u64;
        Ok(Some((offset, strings[text].to_vec())))
    }

    fn section(&self, kind: u32) -> Result<Section, Error> {
        let found = self.sections.iter().find(|section| section.kind == kind);
        found
            .copied()
            .ok_or_else(|| self.refused("it is no shared library"))
    }

    /// The strings a section refers to.
    fn linked(&self, section: Section) -> Result<Vec<u8>, Error> {
        let strings = self.sections.get(section.link);
        let strings = strings.ok_or_else(|| self.refused("a section links to none"))?;
        self.content(*strings)
    }

    fn content(&self, section: Section) -> Result<Vec<u8>, Error> {
        self.read(section.offset, section.length_bytes)
    }

    fn read(&self, offset: u64, length_bytes: u64) -> Result<Vec<u8>, Error> {
        if length_bytes > MAX_TABLE_BYTES {
            return Err(self.refused("a table is too long"));
        }
        let mut bytes = vec![0; length_bytes as usize];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(Error::io("read", &self.path))?;
        Ok(bytes)
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(Error::io("change", &self.path))
    }

    fn refused(&self, reason: &str) -> Error {
        Error::Library {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// The text that begins at `start` and ends before a NUL.
fn text_at(strings: &[u8], start: usize) -> Option<Range<usize>> {
    let length = strings.get(start..)?.iter().position(|byte| *byte == 0)?;
    Some(start..start + length)
}

/// A number at a place that the caller has checked to be inside.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
