//! What a disk is made from: the file in use and those below it.

use crate::vsphere::moref::Moref;
use crate::vsphere::vm::{CryptoKeyId, read_key_id};
use crate::vsphere::xml::{Reader, Tag, XmlError};

/// What holds a disk's content.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackingKind {
    /// A flat file, the usual one.
    FlatVer2,
    /// A space efficient sparse file.
    SeSparse,
    /// A sparse file of the hosted products.
    SparseVer2,
    /// A raw device that follows snapshots.
    RawVirtual,
    /// A raw device that does not.
    RawPhysical,
    /// A flat file of old, which has no change tracking.
    FlatVer1,
    /// A sparse file of old, which has no change tracking.
    SparseVer1,
    /// A raw disk of the hosted products.
    RawVer2,
    /// Parts of a raw disk, of the hosted products.
    PartitionedRawVer2,
    /// Persistent memory of one host.
    LocalPMem,
    /// A type this client does not know.
    Other(String),
}

impl BackingKind {
    /// What it is, for people.
    pub fn as_words(&self) -> &str {
        match self {
            Self::FlatVer2 => "flat file",
            Self::SeSparse => "space efficient sparse file",
            Self::SparseVer2 => "sparse file",
            Self::RawVirtual => "raw device in virtual mode",
            Self::RawPhysical => "raw device in physical mode",
            Self::FlatVer1 => "flat file, version 1",
            Self::SparseVer1 => "sparse file, version 1",
            Self::RawVer2 => "raw disk",
            Self::PartitionedRawVer2 => "parts of a raw disk",
            Self::LocalPMem => "persistent memory",
            Self::Other(type_name) => type_name,
        }
    }
}

impl Default for BackingKind {
    fn default() -> Self {
        Self::Other(String::new())
    }
}

/// The backing of a disk: the file in use and those below it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backing {
    /// What it is.
    pub kind: BackingKind,
    /// The file in use, as `[datastore] folder/file.vmdk`.
    pub file_name: String,
    /// The file at the end of the chain of parents: the name that outlives snapshots.
    pub base_file_name: String,
    /// How many files the chain has, at least one.
    pub chain_links: usize,
    /// The datastore of the file in use.
    pub datastore: Option<Moref>,
    /// The disk's own UUID; copied by clones.
    pub disk_uuid: Option<String>,
    /// The landmark of change tracking; set only in the configuration of a snapshot, and only
    /// for a disk that is tracked.
    pub change_id: Option<String>,
    /// Such as `persistent` or `independent_persistent`.
    pub disk_mode: String,
    /// Such as `sharingNone`.
    pub sharing: Option<String>,
    /// Thin provisioned, where known.
    pub thin: Option<bool>,
    /// Zeroed when it was created, where known.
    pub eager_zeroed: Option<bool>,
    /// Encrypted with a key of its own.
    pub is_encrypted: bool,
    /// Which key that is.
    pub encryption_key: Option<CryptoKeyId>,
    /// What the file in use is, if it is a delta: `redoLogFormat`, `seSparseFormat` or
    /// `nativeFormat`.
    pub delta_format: Option<String>,
}

/// Reads a backing with its chain of parents, each inside its child.
pub(in crate::vsphere) fn read_backing(r: &mut Reader<'_>, tag: &Tag) -> Result<Backing, XmlError> {
    let type_name = tag.xsi_type.clone().unwrap_or_default();
    let mut compatibility = String::new();
    let mut parent: Option<Backing> = None;
    let mut backing = Backing {
        chain_links: 1,
        ..Backing::default()
    };
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            // The raw disks of the hosted products name a descriptor.
            "fileName" | "descriptorFileName" => backing.file_name = r.text(tag)?,
            "datastore" => backing.datastore = Some(r.moref(tag)?),
            "uuid" => backing.disk_uuid = not_empty(r.text(tag)?),
            "changeId" => backing.change_id = not_empty(r.text(tag)?),
            "diskMode" => backing.disk_mode = r.text(tag)?,
            "sharing" => backing.sharing = not_empty(r.text(tag)?),
            "thinProvisioned" => backing.thin = Some(r.boolean(tag)?),
            "eagerlyScrub" => backing.eager_zeroed = Some(r.boolean(tag)?),
            "compatibilityMode" => compatibility = r.text(tag)?,
            "keyId" => {
                backing.is_encrypted = true;
                backing.encryption_key = Some(read_key_id(r, tag)?);
            }
            "deltaDiskFormat" => backing.delta_format = not_empty(r.text(tag)?),
            "parent" => parent = Some(read_backing(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    backing.kind = backing_kind(type_name, &compatibility);
    match parent {
        Some(parent) => {
            backing.base_file_name = parent.base_file_name;
            backing.chain_links = parent.chain_links + 1;
        }
        None => backing.base_file_name.clone_from(&backing.file_name),
    }
    Ok(backing)
}

fn not_empty(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// A raw device of unknown mode counts as physical: it is then left out by name, not read wrong.
fn backing_kind(type_name: String, compatibility: &str) -> BackingKind {
    match type_name.as_str() {
        "VirtualDiskFlatVer2BackingInfo" => BackingKind::FlatVer2,
        "VirtualDiskSeSparseBackingInfo" => BackingKind::SeSparse,
        "VirtualDiskSparseVer2BackingInfo" => BackingKind::SparseVer2,
        "VirtualDiskRawDiskMappingVer1BackingInfo" if compatibility == "virtualMode" => {
            BackingKind::RawVirtual
        }
        "VirtualDiskRawDiskMappingVer1BackingInfo" => BackingKind::RawPhysical,
        "VirtualDiskFlatVer1BackingInfo" => BackingKind::FlatVer1,
        "VirtualDiskSparseVer1BackingInfo" => BackingKind::SparseVer1,
        "VirtualDiskRawDiskVer2BackingInfo" => BackingKind::RawVer2,
        "VirtualDiskPartitionedRawDiskVer2BackingInfo" => BackingKind::PartitionedRawVer2,
        "VirtualDiskLocalPMemBackingInfo" => BackingKind::LocalPMem,
        _ => BackingKind::Other(type_name),
    }
}
