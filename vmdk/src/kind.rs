//! The kinds of disk this crate makes.

use crate::{CreateType, Descriptor, ExtentKind};

/// A kind of disk that can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskKind {
    /// One sparse file with the descriptor inside.
    MonolithicSparse,
    /// A descriptor and one flat file.
    MonolithicFlat,
    /// A descriptor and sparse files of at most 2 GiB.
    SplitSparse,
    /// A descriptor and flat files of at most 2 GiB.
    SplitFlat,
    /// A descriptor and one flat file, as on an ESXi datastore.
    VmfsFlat,
    /// As [`DiskKind::VmfsFlat`], and said to take space only when written.
    VmfsThin,
    /// One file of compressed grains, to be filled front to back.
    StreamOptimized,
}

impl DiskKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::MonolithicSparse,
        Self::MonolithicFlat,
        Self::SplitSparse,
        Self::SplitFlat,
        Self::VmfsFlat,
        Self::VmfsThin,
        Self::StreamOptimized,
    ];

    /// The kind of an existing link, if it is one that can be made.
    pub fn of(descriptor: &Descriptor) -> Option<Self> {
        match descriptor.create_type {
            CreateType::MonolithicSparse => Some(Self::MonolithicSparse),
            CreateType::MonolithicFlat => Some(Self::MonolithicFlat),
            CreateType::TwoGbMaxExtentSparse => Some(Self::SplitSparse),
            CreateType::TwoGbMaxExtentFlat => Some(Self::SplitFlat),
            CreateType::StreamOptimized => Some(Self::StreamOptimized),
            CreateType::Vmfs if descriptor.ddb("thinProvisioned") == Some("1") => {
                Some(Self::VmfsThin)
            }
            CreateType::Vmfs => Some(Self::VmfsFlat),
            _ => None,
        }
    }

    /// Whether data is kept in plain grains, so that space can be given back and links can be made
    /// over a parent.
    pub fn is_sparse(self) -> bool {
        matches!(self, Self::MonolithicSparse | Self::SplitSparse)
    }

    /// Whether the disk is kept as it is, at full length.
    pub fn is_flat(self) -> bool {
        !self.is_sparse() && self != Self::StreamOptimized
    }

    /// Whether the data is cut into files of at most 2 GiB.
    pub(crate) fn is_split(self) -> bool {
        matches!(self, Self::SplitSparse | Self::SplitFlat)
    }

    pub(crate) fn create_type(self) -> CreateType {
        match self {
            Self::MonolithicSparse => CreateType::MonolithicSparse,
            Self::MonolithicFlat => CreateType::MonolithicFlat,
            Self::SplitSparse => CreateType::TwoGbMaxExtentSparse,
            Self::SplitFlat => CreateType::TwoGbMaxExtentFlat,
            Self::VmfsFlat | Self::VmfsThin => CreateType::Vmfs,
            Self::StreamOptimized => CreateType::StreamOptimized,
        }
    }

    /// How the extents of such a disk keep their data.
    pub(crate) fn extent_kind(self) -> ExtentKind {
        match self {
            Self::MonolithicSparse | Self::SplitSparse | Self::StreamOptimized => {
                ExtentKind::Sparse
            }
            Self::MonolithicFlat | Self::SplitFlat => ExtentKind::Flat,
            Self::VmfsFlat | Self::VmfsThin => ExtentKind::Vmfs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_known_by_its_descriptor() {
        for kind in DiskKind::ALL {
            let mut descriptor = Descriptor::new(kind.create_type(), 1);
            if kind == DiskKind::VmfsThin {
                descriptor.set_ddb("thinProvisioned", "1");
            }
            assert_eq!(DiskKind::of(&descriptor), Some(kind));
        }
        let custom = Descriptor::new(CreateType::Other("custom".into()), 1);
        assert_eq!(DiskKind::of(&custom), None);
    }
}
