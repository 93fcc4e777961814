//! One line of the extent list, such as `RW 4192256 SPARSE "disk-s001.vmdk"`.

use std::fmt;

use super::DescriptorError;

/// A piece of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// What may be done with it.
    pub access: ExtentAccess,
    /// Its size.
    pub sectors: u64,
    /// How the data is kept.
    pub kind: ExtentKind,
    /// The file with the data, from the folder of the descriptor. An extent of zeros has none.
    pub file_name: Option<String>,
    /// Where a flat extent starts in its file.
    pub offset_sectors: u64,
}

/// What may be done with an extent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtentAccess {
    /// Read and write.
    Rw,
    /// Read only.
    RdOnly,
    /// Neither.
    NoAccess,
}

/// How an extent keeps its data.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtentKind {
    /// As it is.
    Flat,
    /// In grains, with tables in front.
    Sparse,
    /// Nowhere: the extent reads as zeros.
    Zero,
    /// As it is, on an ESXi datastore.
    Vmfs,
    /// Any other kind, by its name.
    Other(String),
}

impl ExtentAccess {
    /// The access with this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        let named = [Self::Rw, Self::RdOnly, Self::NoAccess];
        let mut named = named.into_iter();
        named.find(|access| access.as_str().eq_ignore_ascii_case(name))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Rw => "RW",
            Self::RdOnly => "RDONLY",
            Self::NoAccess => "NOACCESS",
        }
    }
}

impl ExtentKind {
    fn from_name(name: &str) -> Self {
        let named = [Self::Flat, Self::Sparse, Self::Zero, Self::Vmfs];
        let mut named = named.into_iter();
        named
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// The name in a descriptor.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Flat => "FLAT",
            Self::Sparse => "SPARSE",
            Self::Zero => "ZERO",
            Self::Vmfs => "VMFS",
            Self::Other(name) => name,
        }
    }
}

impl Extent {
    /// Reads the rest of a line after the access word.
    pub(super) fn parse(
        access: ExtentAccess,
        rest: &str,
        line: usize,
    ) -> Result<Self, DescriptorError> {
        let bad = |what| DescriptorError::Extent { line, what };
        let (sectors, rest) = word(rest);
        let sectors = sectors.parse().map_err(|_| bad("size"))?;
        let (kind, rest) = word(rest);
        if kind.is_empty() || kind.contains('"') {
            return Err(bad("kind"));
        }
        let kind = ExtentKind::from_name(kind);
        let (file_name, rest) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (name, rest) = quoted.split_once('"').ok_or_else(|| bad("file name"))?;
                (Some(name.to_owned()), rest.trim_start())
            }
            None => (None, rest),
        };
        let known = !matches!(kind, ExtentKind::Other(_));
        if known && (kind == ExtentKind::Zero) != file_name.is_none() {
            return Err(bad("file name"));
        }
        let offset_sectors = match word(rest) {
            ("", _) => 0,
            (offset, rest) if rest.is_empty() || !known => {
                offset.parse().map_err(|_| bad("offset"))?
            }
            _ => return Err(bad("end")),
        };
        Ok(Self {
            access,
            sectors,
            kind,
            file_name,
            offset_sectors,
        })
    }
}

/// The first word of a text and what follows it.
fn word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim())
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str();
        write!(f, "{} {} {kind}", self.access.as_str(), self.sectors)?;
        if let Some(name) = &self.file_name {
            write!(f, " \"{name}\"")?;
        }
        // ESXi leaves the offset out, hosted products always write it for flat extents.
        if self.kind == ExtentKind::Flat || self.offset_sectors != 0 {
            write!(f, " {}", self.offset_sectors)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<Extent, DescriptorError> {
        Extent::parse(ExtentAccess::Rw, rest, 1)
    }

    #[test]
    fn lines_of_every_kind_survive_a_round_trip() {
        for rest in [
            "8 FLAT \"a b-flat.vmdk\" 16",
            "8 VMFS \"a-flat.vmdk\"",
            "4192256 SPARSE \"a-s001.vmdk\"",
            "63 ZERO",
            "8 SESPARSE \"a-sesparse.vmdk\"",
        ] {
            let extent = parse(rest).unwrap();
            assert_eq!(extent.to_string(), format!("RW {rest}"));
        }
    }

    #[test]
    fn broken_lines_are_refused() {
        for rest in [
            "",
            "x FLAT \"a\" 0",
            "-1 FLAT \"a\" 0",
            "8",
            "8 FLAT",
            "8 FLAT a 0",
            "8 FLAT \"a",
            "8 FLAT \"a\" x",
            "8 FLAT \"a\" 0 0",
            "8 ZERO \"a\"",
            "99999999999999999999 ZERO",
        ] {
            assert!(parse(rest).is_err(), "{rest}");
        }
    }
}
