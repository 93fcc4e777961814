//! The tree of a VM's snapshots.

use jiff::Timestamp;

use crate::vsphere::client::read_timestamp;
use crate::vsphere::moref::Moref;
use crate::vsphere::xml::{Reader, Tag, XmlError};

/// All snapshots of a VM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotTree {
    /// The one the running state hangs on; none if it hangs on the root.
    pub current: Option<Moref>,
    /// The oldest ones.
    pub roots: Vec<SnapshotNode>,
}

/// One snapshot and those made after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotNode {
    /// Its reference: the only thing that identifies it, as names are not unique.
    pub snapshot: Moref,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Whether the guest was quiesced for it.
    pub is_quiesced: bool,
    /// Those made on top of it.
    pub children: Vec<SnapshotNode>,
}

impl SnapshotTree {
    /// True if the VM has no snapshot.
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// All snapshots, parents before their children.
    pub fn iter(&self) -> impl Iterator<Item = &SnapshotNode> {
        let mut open: Vec<&SnapshotNode> = self.roots.iter().rev().collect();
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(node.children.iter().rev());
            Some(node)
        })
    }
}

/// Reads a `VirtualMachineSnapshotInfo`.
pub(in crate::vsphere) fn read_tree(
    r: &mut Reader<'_>,
    tag: &Tag,
) -> Result<SnapshotTree, XmlError> {
    let mut tree = SnapshotTree::default();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "currentSnapshot" => tree.current = Some(r.moref(tag)?),
            "rootSnapshotList" => tree.roots.push(read_node(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(tree)
}

fn read_node(r: &mut Reader<'_>, tag: &Tag) -> Result<SnapshotNode, XmlError> {
    let mut snapshot = None;
    let mut node = SnapshotNode {
        snapshot: Moref::snapshot(""),
        name: String::new(),
        description: String::new(),
        created: None,
        is_quiesced: false,
        children: Vec::new(),
    };
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "snapshot" => snapshot = Some(r.moref(tag)?),
            "name" => node.name = r.text(tag)?,
            "description" => node.description = r.text(tag)?,
            "createTime" => node.created = Some(read_timestamp(r, tag)?),
            "quiesced" => node.is_quiesced = r.boolean(tag)?,
            "childSnapshotList" => node.children.push(read_node(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    node.snapshot = snapshot.ok_or(XmlError::Missing {
        element: "snapshot",
        inside: "VirtualMachineSnapshotTree",
    })?;
    Ok(node)
}
