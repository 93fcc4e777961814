//! One link of a chain: its descriptor and where the pieces of its data are.

use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use crate::backing_file::{BackingFile, io_error};
use crate::descriptor::MAX_TEXT_BYTES;
use crate::header::{Header, MAGIC};
use crate::new_files::{NewFiles, side_name};
use crate::{
    CreateType, Descriptor, DescriptorError, Error, ExtentAccess, ExtentKind, SECTOR_BYTES,
    SectorRun,
};

/// How the text of a descriptor begins.
const FIRST_LINE: &str = "# Disk DescriptorFile";
const COWD_MAGIC: &[u8] = b"COWD";
const SE_SPARSE_MAGIC: &[u8] = &[0xbe, 0xba, 0xfe, 0xca, 0, 0, 0, 0];

/// A descriptor with its place in the file system.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) path: PathBuf,
    pub(crate) descriptor: Descriptor,
    pub(crate) pieces: Vec<Piece>,
    home: Home,
}

/// An extent with its place on the disk.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) start_sector: u64,
    pub(crate) sectors: u64,
    pub(crate) access: ExtentAccess,
    pub(crate) kind: ExtentKind,
    pub(crate) file: Option<PathBuf>,
    pub(crate) offset_sectors: u64,
}

/// Where the text of the descriptor is kept.
#[derive(Clone, Debug)]
enum Home {
    /// In a file of its own.
    Text,
    /// Inside a sparse extent.
    Embedded { start_sector: u64, sectors: u64 },
}

impl Link {
    /// Reads the descriptor. The extents are not touched.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let mut start = Vec::new();
        let file = BackingFile::open(path, false)?.into_file();
        let mut limited = file.take(MAX_TEXT_BYTES as u64 + 1);
        let mut head = [0; 8];
        let known = read_up_to(&mut limited, &mut head, path)?;
        let known = &head[..known];
        let unsupported = |kind: &str| Error::Unsupported {
            path: path.to_owned(),
            kind: kind.to_owned(),
        };
        if known.starts_with(&MAGIC) {
            return Self::load_embedded(path);
        } else if known.starts_with(COWD_MAGIC) {
            return Err(unsupported("vmfsSparse"));
        } else if known == SE_SPARSE_MAGIC {
            return Err(unsupported("seSparse"));
        }
        start.extend_from_slice(known);
        let mut first_line = [0; 64];
        let more = read_up_to(&mut limited, &mut first_line, path)?;
        start.extend_from_slice(&first_line[..more]);
        if !is_first_line(&start) {
            let path = path.to_owned();
            return Err(Error::NotVmdk { path });
        }
        let rest = limited.read_to_end(&mut start);
        rest.map_err(|source| io_error("read", path, source))?;
        Self::new(path, parse(path, &start)?, Home::Text)
    }

    fn load_embedded(path: &Path) -> Result<Self, Error> {
        let file = BackingFile::open(path, false)?;
        let header = Header::read(&file)?;
        let (start_sector, sectors) = (header.descriptor_sector, header.descriptor_sectors);
        if start_sector == 0 || sectors == 0 {
            return Err(Error::Unsupported {
                path: path.to_owned(),
                kind: "an extent apart from its descriptor".to_owned(),
            });
        }
        let length_bytes = sectors.saturating_mul(SECTOR_BYTES);
        if length_bytes > MAX_TEXT_BYTES as u64 {
            return Err(Error::Descriptor {
                path: path.to_owned(),
                source: DescriptorError::TooLong { length_bytes },
            });
        }
        let offset_bytes = start_sector
            .checked_mul(SECTOR_BYTES)
            .ok_or_else(|| file.corrupt("its descriptor is outside the file"))?;
        let mut text = vec![0; length_bytes as usize];
        file.read_at(offset_bytes, &mut text)?;
        let home = Home::Embedded {
            start_sector,
            sectors,
        };
        let mut link = Self::new(path, parse(path, &text)?, home)?;
        match link.pieces.as_mut_slice() {
            // The file may have been renamed since, so the name in the text does not count.
            [only] if only.kind == ExtentKind::Sparse => only.file = Some(path.to_owned()),
            _ => return Err(file.corrupt("its descriptor speaks of other extents than itself")),
        }
        Ok(link)
    }

    fn new(path: &Path, descriptor: Descriptor, home: Home) -> Result<Self, Error> {
        if matches!(
            descriptor.create_type,
            CreateType::VmfsSparse | CreateType::SeSparse
        ) {
            return Err(Error::Unsupported {
                path: path.to_owned(),
                kind: descriptor.create_type.to_string(),
            });
        }
        let mut start_sector = 0;
        let mut pieces = Vec::with_capacity(descriptor.extents.len());
        for extent in &descriptor.extents {
            if let ExtentKind::Other(name) = &extent.kind {
                return Err(Error::Unsupported {
                    path: path.to_owned(),
                    kind: format!("the extent kind {name}"),
                });
            }
            let name = extent.file_name.as_deref();
            pieces.push(Piece {
                start_sector,
                sectors: extent.sectors,
                access: extent.access,
                kind: extent.kind.clone(),
                file: name.map(|name| extent_path(path, name)).transpose()?,
                offset_sectors: extent.offset_sectors,
            });
            start_sector += extent.sectors;
        }
        Ok(Self {
            path: path.to_owned(),
            descriptor,
            pieces,
            home,
        })
    }

    /// The size of the link. It was bounded when the descriptor was parsed.
    pub(crate) fn capacity_sectors(&self) -> u64 {
        self.descriptor.capacity_sectors()
    }

    /// The pieces a range of the disk touches, each with its index and the part of the range in it.
    pub(crate) fn pieces_in(
        &self,
        range: SectorRun,
    ) -> impl Iterator<Item = (usize, &Piece, SectorRun)> {
        let first = self
            .pieces
            .partition_point(|piece| piece.end_sector() <= range.start_sector);
        let touched = self.pieces.iter().enumerate().skip(first);
        touched
            .take_while(move |(_, piece)| piece.start_sector < range.end_sector())
            .filter_map(move |(index, piece)| {
                let start_sector = range.start_sector.max(piece.start_sector);
                let end_sector = range.end_sector().min(piece.end_sector());
                let sectors = end_sector.checked_sub(start_sector)?;
                let part = SectorRun {
                    start_sector,
                    sectors,
                };
                (sectors > 0).then_some((index, piece, part))
            })
    }

    /// Puts another descriptor in place of this one. After an error the old one holds.
    pub(crate) fn replace_descriptor(&mut self, descriptor: Descriptor) -> Result<(), Error> {
        // What cannot be read back, such as too many keys, is not written.
        Descriptor::parse(&descriptor.to_text()).map_err(|source| Error::Descriptor {
            path: self.path.clone(),
            source,
        })?;
        let old = std::mem::replace(&mut self.descriptor, descriptor);
        self.save_descriptor()
            .inspect_err(|_| self.descriptor = old)
    }

    /// Whether the descriptor is inside the only extent.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self.home, Home::Embedded { .. })
    }

    /// Writes the descriptor back to where it came from.
    pub(crate) fn save_descriptor(&self) -> Result<(), Error> {
        let text = self.descriptor.to_text();
        match self.home {
            Home::Text => replace_text(&self.path, &text),
            Home::Embedded {
                start_sector,
                sectors,
            } => {
                let file = BackingFile::open(&self.path, true)?;
                write_embedded(&file, start_sector, sectors, &text)
            }
        }
    }

    /// Waits until the descriptor is on the medium.
    pub(crate) fn sync_descriptor(&self) -> Result<(), Error> {
        BackingFile::open(&self.path, false)?.sync()
    }
}

impl Piece {
    pub(crate) fn end_sector(&self) -> u64 {
        self.start_sector + self.sectors
    }
}

/// Writes a text into the sectors kept for it, with zeros behind.
pub(crate) fn write_embedded(
    file: &BackingFile,
    start_sector: u64,
    sectors: u64,
    text: &str,
) -> Result<(), Error> {
    let mut bytes = text.as_bytes().to_vec();
    let room_bytes = (sectors * SECTOR_BYTES) as usize;
    if bytes.len() > room_bytes {
        let path = file.path().to_owned();
        return Err(Error::Full { path });
    }
    bytes.resize(room_bytes, 0);
    file.write_at(start_sector * SECTOR_BYTES, &bytes)
}

/// Puts a new text in place of a file at once, so that no reader sees half of it, and neither does
/// who comes after a power cut.
fn replace_text(path: &Path, text: &str) -> Result<(), Error> {
    // A link to the descriptor stays a link, and the new file is made where the old one is.
    let path = fs::canonicalize(path).map_err(|source| io_error("replace", path, source))?;
    let mut new = NewFiles::default();
    let side = side_name(&path);
    new.create_text(&side, text)?;
    new.put_in_place_of(&side, &path)
}

/// The file of an extent: in the folder of the descriptor or below it.
fn extent_path(descriptor: &Path, name: &str) -> Result<PathBuf, Error> {
    let relative = Path::new(name);
    let mut components = relative.components();
    if name.is_empty() || !components.all(|part| matches!(part, Component::Normal(_))) {
        return Err(Error::ExtentName {
            path: descriptor.to_owned(),
            name: name.to_owned(),
        });
    }
    Ok(folder_of(descriptor).join(relative))
}

/// The folder a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn read_up_to(file: &mut impl std::io::Read, buf: &mut [u8], path: &Path) -> Result<usize, Error> {
    let mut done = 0;
    while done < buf.len() {
        match file.read(&mut buf[done..]) {
            Ok(0) => break,
            Ok(step) => done += step,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(source) => return Err(io_error("read", path, source)),
        }
    }
    Ok(done)
}

fn is_first_line(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    let start = start.trim_ascii_start().get(..FIRST_LINE.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(FIRST_LINE.as_bytes()))
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Descriptor, Error> {
    let end = bytes.iter().position(|&byte| byte == 0);
    let bytes = &bytes[..end.unwrap_or(bytes.len())];
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| DescriptorError::NotUtf8);
    let descriptor = text.and_then(Descriptor::parse);
    descriptor.map_err(|source| Error::Descriptor {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extent_names_stay_in_the_folder() {
        let descriptor = Path::new("/lab/app01/app01.vmdk");
        let found = extent_path(descriptor, "sub/app01-flat.vmdk").unwrap();
        assert_eq!(found, Path::new("/lab/app01/sub/app01-flat.vmdk"));
        for name in ["", "..", "../x", "a/../../x", "/etc/passwd", "."] {
            let found = extent_path(descriptor, name);
            assert!(matches!(found, Err(Error::ExtentName { .. })), "{name}");
        }
        let bare = extent_path(Path::new("app01.vmdk"), "x.vmdk").unwrap();
        assert_eq!(bare, Path::new("./x.vmdk"));
    }

    #[test]
    fn descriptor_text_is_known_by_its_first_line() {
        assert!(is_first_line(
            b"\xef\xbb\xbf# disk descriptorfile\nversion=1"
        ));
        assert!(!is_first_line(b"# Disk"));
        assert!(!is_first_line(b"version=1\n# Disk DescriptorFile"));
    }
}
