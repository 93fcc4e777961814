//! Changed block tracking: one page of changed areas, as the server gave it.

use super::client::Client;
use super::envelope::required;
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::xml::{Reader, Tag, XmlError};

/// Real servers stop after 2000 areas a page; more than this is no answer.
const MAX_AREAS: usize = 1_000_000;

/// A stretch of a disk that may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedArea {
    /// Where it starts, in bytes.
    pub start_bytes: u64,
    /// How long it is, in bytes.
    pub length_bytes: u64,
}

/// One page of an answer: it speaks for `length_bytes` from `start_offset_bytes` on, and the
/// next page starts behind that. A page without areas is not the end.
///
/// Nothing is judged here: areas may lie outside of the page, touch, or be empty. The numbers
/// are not negative and fit 63 bits, which is all that is promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskChangeInfo {
    /// Where the page starts, in bytes.
    pub start_offset_bytes: u64,
    /// How much of the disk the page covers, in bytes; not how much has changed.
    pub length_bytes: u64,
    /// What has changed in it, in the order of the server.
    pub areas: Vec<ChangedArea>,
}

impl Client {
    /// Asks what has changed on a disk between the landmark `change_id` and `snapshot`, from
    /// `start_offset_bytes` on. `"*"` asks for the areas in use instead.
    ///
    /// # Errors
    ///
    /// Faults by "vsphere-api.md" 5.6, such as `FileFault` and `InvalidArgument`;
    /// [`Error::Xml`] for negative numbers or more than a million areas; any failure of the
    /// call.
    #[doc(alias = "QueryChangedDiskAreas")]
    pub async fn query_changed_disk_areas(
        &self,
        vm: &Moref,
        snapshot: &Moref,
        device_key: i32,
        start_offset_bytes: u64,
        change_id: &str,
    ) -> Result<DiskChangeInfo, Error> {
        let start = i64::try_from(start_offset_bytes).unwrap_or(i64::MAX);
        let operation = query_operation(vm, snapshot, device_key, start, change_id);
        self.read(&operation, read_page).await
    }
}

/// The call; the order of its parameters is the schema's.
pub(super) fn query_operation(
    vm: &Moref,
    snapshot: &Moref,
    device_key: i32,
    start_offset_bytes: i64,
    change_id: &str,
) -> Operation {
    Operation::new("QueryChangedDiskAreas", vm)
        .moref("snapshot", snapshot)
        .number("deviceKey", device_key.into())
        .number("startOffset", start_offset_bytes)
        .text("changeId", change_id)
}

/// Reads one page.
pub(super) fn read_page(r: &mut Reader<'_>, response: &Tag) -> Result<DiskChangeInfo, XmlError> {
    required(r, response, |r, tag| {
        let (mut start, mut length) = (None, None);
        let mut areas = Vec::new();
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "startOffset" => start = Some(offset(r, tag)?),
                "length" => length = Some(offset(r, tag)?),
                "changedArea" if areas.len() >= MAX_AREAS => {
                    return Err(XmlError::TooMany {
                        what: "changed areas",
                        limit: MAX_AREAS,
                    });
                }
                "changedArea" => areas.push(read_area(r, tag)?),
                _ => {}
            }
            Ok(())
        })?;
        let missing = |element| XmlError::Missing {
            element,
            inside: "DiskChangeInfo",
        };
        Ok(DiskChangeInfo {
            start_offset_bytes: start.ok_or_else(|| missing("startOffset"))?,
            length_bytes: length.ok_or_else(|| missing("length"))?,
            areas,
        })
    })
}

fn read_area(r: &mut Reader<'_>, tag: &Tag) -> Result<ChangedArea, XmlError> {
    let (mut start, mut length) = (None, None);
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "start" => start = Some(offset(r, tag)?),
            "length" => length = Some(offset(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    match (start, length) {
        (Some(start_bytes), Some(length_bytes)) => Ok(ChangedArea {
            start_bytes,
            length_bytes,
        }),
        _ => Err(XmlError::Missing {
            element: "start or length",
            inside: "changedArea",
        }),
    }
}

/// The wire has signed numbers; a disk has none below zero.
fn offset(r: &mut Reader<'_>, tag: &Tag) -> Result<u64, XmlError> {
    let number: i64 = r.number(tag)?;
    u64::try_from(number).map_err(|_| XmlError::Value {
        element: tag.name.clone(),
        wanted: "zero or more",
    })
}

#[cfg(test)]
mod tests {
    use super::{ChangedArea, DiskChangeInfo, read_page};
    use crate::vsphere::envelope::read_answer;
    use crate::vsphere::error::Error;

    fn page(body: &str) -> Result<DiskChangeInfo, Error> {
        let xml = format!(
            "<Envelope xmlns='http://schemas.xmlsoap.org/soap/envelope/'><Body><QResponse xmlns='urn:vim25'><returnval>{body}</returnval></QResponse></Body></Envelope>"
        );
        read_answer("Q", xml.as_bytes(), read_page)
    }

    #[test]
    fn a_page_is_given_as_it_came() {
        let info = page("<startOffset>65536</startOffset><length>131072</length><changedArea><start>9</start><length>0</length></changedArea><changedArea><length>512</length><start>1</start></changedArea>").unwrap();
        assert_eq!(
            (info.start_offset_bytes, info.length_bytes),
            (65_536, 131_072)
        );
        let area = |start_bytes, length_bytes| ChangedArea {
            start_bytes,
            length_bytes,
        };
        assert_eq!(info.areas, [area(9, 0), area(1, 512)]);
    }

    #[test]
    fn no_areas_is_a_page_and_no_page_is_an_error() {
        let info = page("<startOffset>0</startOffset><length>512</length>").unwrap();
        assert!(info.areas.is_empty());
        for bad in [
            "",
            "<startOffset>0</startOffset>",
            "<startOffset>-1</startOffset><length>1</length>",
            "<startOffset>0</startOffset><length>-1</length>",
            "<startOffset>0</startOffset><length>9223372036854775808</length>",
            "<startOffset>0</startOffset><length>1</length><changedArea><start>1</start></changedArea>",
            "<startOffset>0</startOffset><length>1</length><changedArea><start>-1</start><length>1</length></changedArea>",
        ] {
            assert!(matches!(page(bad), Err(Error::Xml { .. })), "{bad}");
        }
    }

    #[test]
    fn the_number_of_areas_is_bounded() {
        let area = "<changedArea><start>0</start><length>1</length></changedArea>";
        let body = format!(
            "<startOffset>0</startOffset><length>1</length>{}",
            area.repeat(super::MAX_AREAS + 1)
        );
        let error = page(&body).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, "more than 1000000 changed areas");
    }
}
