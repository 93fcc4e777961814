//! The descriptor: the text that says what a link is made of.

mod create_type;
mod extent_line;
mod parse;
mod text;

pub use create_type::CreateType;
pub use extent_line::{Extent, ExtentAccess, ExtentKind};
pub use parse::DescriptorError;

pub(crate) use parse::MAX_TEXT_BYTES;
pub(crate) use text::fits;

use crate::geometry::Geometry;

/// The parent content id of a link that has no parent.
pub const NO_PARENT: u32 = u32::MAX;

/// One link of a disk: content ids, extents and the disk database.
///
/// [`Descriptor::parse`] reads the text, [`Descriptor::to_text`] writes it. Comments are lost in
/// between; keys this crate does not know are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// The kind of link.
    pub create_type: CreateType,
    /// The content id: it changes when the link is written.
    pub cid: u32,
    /// The content id of the parent when this link was made, or [`NO_PARENT`].
    pub parent_cid: u32,
    /// Where the parent is, from the folder of this descriptor.
    pub parent_file_name_hint: Option<String>,
    /// The pieces of the link, in the order of the disk.
    pub extents: Vec<Extent>,
    /// Header keys without a field of their own, such as `encoding` and `changeTrackPath`.
    pub other: Vec<(String, String)>,
    ddb: Vec<(String, String)>,
}

impl Descriptor {
    /// A descriptor without extents and without a parent.
    pub fn new(create_type: CreateType, cid: u32) -> Self {
        Self {
            create_type,
            cid,
            parent_cid: NO_PARENT,
            parent_file_name_hint: None,
            extents: Vec::new(),
            other: Vec::new(),
            ddb: Vec::new(),
        }
    }

    /// Reads a descriptor. What follows a NUL character is padding.
    ///
    /// # Errors
    ///
    /// Every [`DescriptorError`]; the sizes of the text and of its lists are bounded.
    pub fn parse(text: &str) -> Result<Self, DescriptorError> {
        parse::parse(text)
    }

    /// The text of the descriptor.
    pub fn to_text(&self) -> String {
        text::to_text(self)
    }

    /// Whether the link is a child.
    pub fn has_parent(&self) -> bool {
        self.parent_cid != NO_PARENT
    }

    /// The size of the link: the sum of its extents, in sectors. It saturates.
    pub fn capacity_sectors(&self) -> u64 {
        let sizes = self.extents.iter().map(|extent| extent.sectors);
        sizes.fold(0, u64::saturating_add)
    }

    /// An entry of the disk database. The key has no `ddb.` in front.
    pub fn ddb(&self, key: &str) -> Option<&str> {
        let found = self.ddb.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The keys of the disk database in the order of the text, without `ddb.` in front.
    pub fn ddb_keys(&self) -> impl Iterator<Item = &str> {
        self.ddb.iter().map(|(key, _)| key.as_str())
    }

    /// Sets an entry of the disk database, in place or at the end.
    pub fn set_ddb(&mut self, key: &str, value: &str) {
        if let Some((_, old)) = self.ddb.iter_mut().find(|(name, _)| name == key) {
            value.clone_into(old);
        } else {
            self.ddb.push((key.to_owned(), value.to_owned()));
        }
    }

    /// Sets the physical geometry.
    pub(crate) fn set_geometry(&mut self, geometry: Geometry) {
        self.set_ddb("geometry.cylinders", &geometry.cylinders.to_string());
        self.set_ddb("geometry.heads", &geometry.heads.to_string());
        self.set_ddb("geometry.sectors", &geometry.sectors.to_string());
    }

    /// Removes an entry of the disk database.
    pub(crate) fn remove_ddb(&mut self, key: &str) {
        self.ddb.retain(|(name, _)| name != key);
    }

    /// Sets the content id, and the end of the long content id where there is one.
    pub(crate) fn set_cid(&mut self, cid: u32) {
        self.cid = cid;
        let head = self.ddb("longContentID").and_then(|id| id.get(..24));
        if let Some(long_content_id) = head.map(|head| format!("{head}{cid:08x}")) {
            self.set_ddb("longContentID", &long_content_id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_id_and_long_content_id_change_together() {
        let mut descriptor = Descriptor::new(CreateType::Vmfs, 1);
        descriptor.set_cid(2);
        assert_eq!(descriptor.ddb("longContentID"), None);
        descriptor.set_ddb("longContentID", "00112233445566778899aabbfffffffe");
        descriptor.set_cid(0xab);
        let long_content_id = descriptor.ddb("longContentID");
        assert_eq!(long_content_id, Some("00112233445566778899aabb000000ab"));
    }

    #[test]
    fn database_keeps_its_order() {
        let mut descriptor = Descriptor::new(CreateType::Vmfs, 1);
        descriptor.set_ddb("b", "1");
        descriptor.set_ddb("a", "2");
        descriptor.set_ddb("b", "3");
        assert_eq!(descriptor.ddb_keys().collect::<Vec<_>>(), ["b", "a"]);
        assert_eq!(descriptor.ddb("b"), Some("3"));
        descriptor.remove_ddb("b");
        assert_eq!(descriptor.ddb("b"), None);
    }
}
