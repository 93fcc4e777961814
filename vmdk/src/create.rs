//! Makes new disks and links.

mod child;
mod flat;
mod sparse;

pub use child::{create_child, set_parent};
pub use flat::create_vmfs_flat;
pub use sparse::create_monolithic_sparse;

use std::path::Path;

use crate::descriptor::fits;
use crate::{Adapter, CreateType, Descriptor, Error, MAX_CAPACITY_SECTORS};

/// The content id of a disk that was never written, as ESXi sets it.
const FRESH_CONTENT_ID: u32 = 0xffff_fffe;

/// What a new disk is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOptions {
    /// Its size in sectors of 512 bytes, at most [`MAX_CAPACITY_SECTORS`].
    pub capacity_sectors: u64,
    /// The controller it is made for.
    pub adapter: Adapter,
    /// The disk's UUID as the descriptor has it, such as `60 00 C2 9e ...`.
    pub uuid: Option<String>,
    /// Say in the descriptor that space is taken only when written. The file is sparse either way.
    pub thin: bool,
}

impl CreateOptions {
    /// Options for a disk of this size: LSI Logic, no UUID, not thin.
    pub fn new(capacity_sectors: u64) -> Self {
        Self {
            capacity_sectors,
            adapter: Adapter::LsiLogic,
            uuid: None,
            thin: false,
        }
    }

    /// A descriptor without extents for these options.
    fn descriptor(&self, create_type: CreateType) -> Result<Descriptor, Error> {
        let capacity_sectors = self.capacity_sectors;
        if capacity_sectors == 0 || capacity_sectors > MAX_CAPACITY_SECTORS {
            return Err(Error::Capacity { capacity_sectors });
        }
        let geometry = self.adapter.geometry(capacity_sectors);
        let mut descriptor = Descriptor::new(create_type, FRESH_CONTENT_ID);
        descriptor.set_ddb("adapterType", self.adapter.as_str());
        descriptor.set_ddb("geometry.cylinders", &geometry.cylinders.to_string());
        descriptor.set_ddb("geometry.heads", &geometry.heads.to_string());
        descriptor.set_ddb("geometry.sectors", &geometry.sectors.to_string());
        if self.thin {
            descriptor.set_ddb("thinProvisioned", "1");
        }
        if let Some(uuid) = &self.uuid {
            descriptor.set_ddb("uuid", checked(uuid)?);
        }
        descriptor.set_ddb("virtualHWVersion", "19");
        Ok(descriptor)
    }
}

/// A text that can stand in a descriptor.
fn checked(text: &str) -> Result<&str, Error> {
    if fits(text) {
        Ok(text)
    } else {
        let value = text.to_owned();
        Err(Error::Text { value })
    }
}

/// The last part of a path, for a descriptor.
fn file_name(path: &Path) -> Result<&str, Error> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| Error::Text {
        value: path.display().to_string(),
    })?;
    checked(name)
}
