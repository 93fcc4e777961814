//! Disks to be created, from old ones.

use super::SpecOptions;
use crate::vsphere::xml::Node;

/// The disk to be created, without keys and place.
pub(super) struct NewDisk {
    /// Its datastore.
    pub(super) datastore: String,
    /// `backing`.
    pub(super) backing: Node,
    /// `capacityInKB` and what follows it.
    pub(super) rest: Vec<Node>,
}

/// Why a disk is not created, in words; nothing if it is.
pub(super) fn reason_to_leave_out(old: &Node) -> Option<&'static str> {
    let backing = old.child("backing")?;
    (is_raw(old) && backing.child_text("compatibilityMode") != Some("virtualMode"))
        .then_some("a raw device in physical mode")
}

/// True for a raw device behind a mapping file.
pub(super) fn is_raw(old: &Node) -> bool {
    let kind = old.child("backing").and_then(|b| b.xsi_type.as_deref());
    kind == Some("VirtualDiskRawDiskMappingVer1BackingInfo")
}

/// A flat disk of the same size and kind. Names, ids and parents of the old one are its own. A
/// raw device in virtual mode becomes a flat disk too.
pub(super) fn new_disk(old: &Node, options: &SpecOptions) -> Option<NewDisk> {
    let backing = old.child("backing")?;
    let file_name = backing.child_text("fileName").unwrap_or_default();
    let old_datastore = file_name
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map_or("", |(name, _)| name);
    let datastore = options.datastores.get(old_datastore);
    let datastore = datastore.unwrap_or(&options.datastore).clone();
    let mode = backing.child_text("diskMode").unwrap_or("persistent");
    let mut fields = vec![
        Node::leaf("fileName", format!("[{datastore}]")),
        Node::leaf("diskMode", mode),
    ];
    for name in ["thinProvisioned", "eagerlyScrub"] {
        fields.extend(
            backing
                .child(name)
                .filter(|field| !field.is_empty())
                .cloned(),
        );
    }
    let sharing = backing.child_text("sharing");
    let sharing = sharing.filter(|sharing| *sharing != "sharingNone");
    fields.extend(sharing.map(|sharing| Node::leaf("sharing", sharing)));
    let bytes = old.child_text("capacityInBytes");
    let kib = old.child_text("capacityInKB")?;
    let mut rest = vec![Node::leaf("capacityInKB", kib)];
    rest.extend(bytes.map(|bytes| Node::leaf("capacityInBytes", bytes)));
    rest.extend(old.child("shares").cloned());
    Some(NewDisk {
        datastore,
        backing: Node::of("backing", fields).typed("VirtualDiskFlatVer2BackingInfo"),
        rest,
    })
}
