//! The kinds of link.

use std::fmt;

/// The kind of a link, the `createType` of its descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreateType {
    /// One sparse file with the descriptor inside.
    MonolithicSparse,
    /// One flat file.
    MonolithicFlat,
    /// Sparse files of at most 2 GiB.
    TwoGbMaxExtentSparse,
    /// Flat files of at most 2 GiB.
    TwoGbMaxExtentFlat,
    /// One compressed file for transport.
    StreamOptimized,
    /// A flat file on an ESXi datastore.
    Vmfs,
    /// A child on an ESXi datastore in the older format, COWD. Known by name only.
    VmfsSparse,
    /// A child on an ESXi datastore in the newer format. Known by name only.
    SeSparse,
    /// Any other kind, by its name.
    Other(String),
}

impl CreateType {
    const NAMED: [Self; 8] = [
        Self::MonolithicSparse,
        Self::MonolithicFlat,
        Self::TwoGbMaxExtentSparse,
        Self::TwoGbMaxExtentFlat,
        Self::StreamOptimized,
        Self::Vmfs,
        Self::VmfsSparse,
        Self::SeSparse,
    ];

    /// The kind with this name, whatever the case of its letters.
    pub fn from_name(name: &str) -> Self {
        let mut named = Self::NAMED.into_iter();
        named
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }

    /// The name in a descriptor.
    pub fn as_str(&self) -> &str {
        match self {
            Self::MonolithicSparse => "monolithicSparse",
            Self::MonolithicFlat => "monolithicFlat",
            Self::TwoGbMaxExtentSparse => "twoGbMaxExtentSparse",
            Self::TwoGbMaxExtentFlat => "twoGbMaxExtentFlat",
            Self::StreamOptimized => "streamOptimized",
            Self::Vmfs => "vmfs",
            Self::VmfsSparse => "vmfsSparse",
            Self::SeSparse => "seSparse",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for CreateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
