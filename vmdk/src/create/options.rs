//! What a new disk is like.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use crate::extent_name::checked;
use crate::{Adapter, Descriptor, DiskKind, Error, MAX_CAPACITY_SECTORS};

/// The content id of a disk that was never written, as ESXi sets it.
const FRESH_CONTENT_ID: u32 = 0xffff_fffe;
/// The virtual hardware of vSphere 7.0 U2, which every later one takes.
const HARDWARE_VERSION: u16 = 19;

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
    /// The version of the virtual hardware it is made for.
    pub hardware_version: u16,
}

impl CreateOptions {
    /// Options for a disk of this size: LSI Logic, no UUID, not thin, hardware version 19.
    pub fn new(capacity_sectors: u64) -> Self {
        Self {
            capacity_sectors,
            adapter: Adapter::LsiLogic,
            uuid: None,
            thin: false,
            hardware_version: HARDWARE_VERSION,
        }
    }

    /// Gives the disk a UUID of random bytes in the form that VMware's products write. It is no secret.
    #[must_use]
    pub fn with_new_uuid(mut self) -> Self {
        let random = [RandomState::new(), RandomState::new()]
            .map(|state| state.build_hasher().finish().to_be_bytes());
        // VMware's own company number stands in front.
        let start = [0x60, 0x00, 0xc2, 0x90 | (random[0][0] & 0x0f)];
        let bytes: Vec<u8> = start.into_iter().chain(random.concat()).take(16).collect();
        let half = |bytes: &[u8]| {
            let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            pairs.join(" ")
        };
        self.uuid = Some(format!("{}-{}", half(&bytes[..8]), half(&bytes[8..])));
        self
    }

    /// A descriptor without extents for these options.
    pub(crate) fn descriptor(&self, kind: DiskKind) -> Result<Descriptor, Error> {
        let capacity_sectors = self.capacity_sectors;
        if capacity_sectors == 0 || capacity_sectors > MAX_CAPACITY_SECTORS {
            return Err(Error::Capacity { capacity_sectors });
        }
        let mut descriptor = Descriptor::new(kind.create_type(), FRESH_CONTENT_ID);
        descriptor.set_ddb("adapterType", self.adapter.as_str());
        descriptor.set_geometry(self.adapter.geometry(capacity_sectors));
        if self.thin || kind == DiskKind::VmfsThin {
            descriptor.set_ddb("thinProvisioned", "1");
        }
        if let Some(uuid) = &self.uuid {
            descriptor.set_ddb("uuid", checked(uuid)?);
        }
        descriptor.set_ddb("virtualHWVersion", &self.hardware_version.to_string());
        Ok(descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_uuid_has_the_customary_form() {
        let uuid = || CreateOptions::new(1).with_new_uuid().uuid.unwrap();
        let one = uuid();
        assert_eq!(one.len(), 47);
        assert_eq!(&one[..10], "60 00 c2 9");
        assert_eq!(one.as_bytes()[23], b'-');
        assert_ne!(one, uuid());
    }
}
