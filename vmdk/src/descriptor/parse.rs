//! Reads the text of a descriptor.

use super::{CreateType, Descriptor, Extent, ExtentAccess, NO_PARENT};
use crate::MAX_CAPACITY_SECTORS;

/// The longest descriptor that is read. One of 62 TiB in pieces of 2 GiB takes about 2 MiB.
pub(crate) const MAX_TEXT_BYTES: usize = 4 << 20;
const MAX_EXTENTS: usize = 1 << 16;
const MAX_KEYS: usize = 1 << 12;

/// Why a text is not a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DescriptorError {
    /// The text is longer than any real descriptor.
    #[error("the text of {length_bytes} bytes is too long")]
    TooLong {
        /// Its length.
        length_bytes: u64,
    },
    /// The text is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A line is neither a comment, an extent nor a key with a value.
    #[error("line {line} is not understood")]
    Line {
        /// The line, counted from 1.
        line: usize,
    },
    /// An extent line is not complete or has a bad value.
    #[error("line {line}: the {what} of the extent is not understood")]
    Extent {
        /// The line, counted from 1.
        line: usize,
        /// Which part of the line.
        what: &'static str,
    },
    /// A key has a value of the wrong kind.
    #[error("line {line}: the value of {key} is not understood")]
    Value {
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
    /// A key that every descriptor has is not there.
    #[error("{key} is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
    /// There are more extents or keys than any real descriptor has.
    #[error("line {line}: too many extents or keys")]
    TooMany {
        /// The line, counted from 1.
        line: usize,
    },
    /// The extents together are larger than any real disk, or empty.
    #[error("the extents have {sectors} sectors together")]
    Capacity {
        /// The sum of the extents; it saturates.
        sectors: u64,
    },
}

/// Header values while the text is read.
#[derive(Default)]
struct Head {
    version: Option<u32>,
    cid: Option<u32>,
    parent_cid: Option<u32>,
    create_type: Option<CreateType>,
}

pub(super) fn parse(text: &str) -> Result<Descriptor, DescriptorError> {
    if text.len() > MAX_TEXT_BYTES {
        let length_bytes = text.len() as u64;
        return Err(DescriptorError::TooLong { length_bytes });
    }
    let text = text.split('\0').next().unwrap_or_default();
    let mut head = Head::default();
    let mut descriptor = Descriptor::new(CreateType::Other(String::new()), 0);
    for (index, content) in text.lines().enumerate() {
        read_line(content.trim(), index + 1, &mut head, &mut descriptor)?;
    }
    let missing = |key| DescriptorError::Missing { key };
    head.version.ok_or(missing("version"))?;
    descriptor.cid = head.cid.ok_or(missing("CID"))?;
    descriptor.parent_cid = head.parent_cid.unwrap_or(NO_PARENT);
    descriptor.create_type = head.create_type.ok_or(missing("createType"))?;
    let sectors = descriptor.capacity_sectors();
    if sectors == 0 || sectors > MAX_CAPACITY_SECTORS {
        return Err(DescriptorError::Capacity { sectors });
    }
    Ok(descriptor)
}

fn read_line(
    content: &str,
    line: usize,
    head: &mut Head,
    descriptor: &mut Descriptor,
) -> Result<(), DescriptorError> {
    if content.is_empty() || content.starts_with('#') {
        return Ok(());
    }
    if let Some((access, rest)) = content.split_once(char::is_whitespace)
        && let Some(access) = ExtentAccess::from_name(access)
    {
        if descriptor.extents.len() == MAX_EXTENTS {
            return Err(DescriptorError::TooMany { line });
        }
        let extent = Extent::parse(access, rest, line)?;
        descriptor.extents.push(extent);
        return Ok(());
    }
    let (key, value) = content
        .split_once('=')
        .ok_or(DescriptorError::Line { line })?;
    read_pair(key.trim(), unquoted(value.trim()), line, head, descriptor)
}

fn read_pair(
    key: &str,
    value: &str,
    line: usize,
    head: &mut Head,
    descriptor: &mut Descriptor,
) -> Result<(), DescriptorError> {
    let content_id = |key| {
        let id = u32::from_str_radix(value, 16);
        id.map_err(|_| DescriptorError::Value { line, key })
    };
    if let Some(key) = strip_ddb(key) {
        if descriptor.ddb.len() == MAX_KEYS {
            return Err(DescriptorError::TooMany { line });
        }
        if key.is_empty() {
            return Err(DescriptorError::Line { line });
        }
        descriptor.set_ddb(key, value);
        return Ok(());
    }
    match key.to_ascii_lowercase().as_str() {
        "" => return Err(DescriptorError::Line { line }),
        "version" => {
            let key = "version";
            let version = value.parse();
            head.version = Some(version.map_err(|_| DescriptorError::Value { line, key })?);
        }
        "cid" => head.cid = Some(content_id("CID")?),
        "parentcid" => head.parent_cid = Some(content_id("parentCID")?),
        "createtype" => head.create_type = Some(CreateType::from_name(value)),
        "parentfilenamehint" => descriptor.parent_file_name_hint = Some(value.to_owned()),
        _ if descriptor.other.len() == MAX_KEYS => return Err(DescriptorError::TooMany { line }),
        _ => descriptor.other.push((key.to_owned(), value.to_owned())),
    }
    Ok(())
}

fn strip_ddb(key: &str) -> Option<&str> {
    let (prefix, name) = key.split_at_checked(4)?;
    prefix.eq_ignore_ascii_case("ddb.").then_some(name)
}

/// A value without the quotes round it.
fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"'));
    inner.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: &str = "# Disk DescriptorFile\r\nversion = 1\r\ncid=12C1950\r\n\
        parentCID=ffffffff\r\ncreatetype=\"MonolithicFlat\"\r\n\
        RW 100 FLAT \"a-flat.vmdk\" 0\r\nddb.uuid = \"60 00 C2 9e\"\r\n";

    #[test]
    fn foreign_habits_are_understood() {
        let descriptor = Descriptor::parse(&format!("{SMALL}\0\u{1}garbage")).unwrap();
        assert_eq!(descriptor.cid, 0x012c_1950);
        assert_eq!(descriptor.create_type, CreateType::MonolithicFlat);
        assert_eq!(descriptor.capacity_sectors(), 100);
        assert_eq!(descriptor.ddb("uuid"), Some("60 00 C2 9e"));
        assert!(!descriptor.has_parent());
    }

    #[test]
    fn each_missing_line_is_named() {
        for (line, key) in [
            ("version", "version"),
            ("cid", "CID"),
            ("createtype", "createType"),
        ] {
            let kept: Vec<_> = SMALL.lines().filter(|l| !l.starts_with(line)).collect();
            let error = Descriptor::parse(&kept.join("\n"));
            assert_eq!(error, Err(DescriptorError::Missing { key }));
        }
    }

    #[test]
    fn hostile_texts_are_refused() {
        let parse = |extra: &str| Descriptor::parse(&format!("{SMALL}{extra}"));
        assert_eq!(parse("nonsense"), Err(DescriptorError::Line { line: 8 }));
        assert_eq!(parse("ddb.=1"), Err(DescriptorError::Line { line: 8 }));
        assert_eq!(parse("=1"), Err(DescriptorError::Line { line: 8 }));
        let key = "CID";
        assert_eq!(
            parse("CID=123456789"),
            Err(DescriptorError::Value { line: 8, key })
        );
        let huge = parse("RW 18446744073709551615 ZERO");
        let sectors = u64::MAX;
        assert_eq!(huge, Err(DescriptorError::Capacity { sectors }));
        let many = parse(&"RW 1 ZERO\n".repeat(MAX_EXTENTS));
        assert!(matches!(many, Err(DescriptorError::TooMany { .. })));
        let keys: Vec<_> = (0..=MAX_KEYS).map(|n| format!("ddb.k{n}=1")).collect();
        let keys = keys.join("\n");
        assert!(matches!(parse(&keys), Err(DescriptorError::TooMany { .. })));
        let long = "#".repeat(MAX_TEXT_BYTES + 1);
        let long = Descriptor::parse(&long);
        assert!(matches!(long, Err(DescriptorError::TooLong { .. })));
    }

    fn text() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            "\\PC{0,40}",
            "(RW|rdonly|NOACCESS) [0-9]{1,21} (FLAT|SPARSE|ZERO|VMFS|COWD) ?\"?[a-z./]{0,8}\"? ?[0-9x]{0,3}",
            "(CID|parentCID|version|createType|ddb\\.[a-z]{0,3}|[a-zé]{0,5}) ?= ?\"?[0-9a-fé\"]{0,9}\"?",
        ];
        proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
    }

    proptest! {
        /// No text makes the parser panic, and what it accepts is stable when written again.
        #[test]
        fn any_text_is_refused_or_stable(extra in text()) {
            for candidate in [extra.clone(), format!("{SMALL}{extra}")] {
                if let Ok(descriptor) = Descriptor::parse(&candidate) {
                    let again = Descriptor::parse(&descriptor.to_text());
                    prop_assert_eq!(again, Ok(descriptor));
                }
            }
        }
    }
}
