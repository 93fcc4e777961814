//! An open extent: the data of a piece of a link.

mod flat;
mod grain_table;
mod sparse;

use std::path::Path;

pub(crate) use flat::FlatExtent;
pub(crate) use grain_table::{Entry, GrainTable};
pub(crate) use sparse::SparseExtent;

use crate::link::Piece;
use crate::{Error, ExtentKind, SectorRun};

/// Reads what lies under an extent into a buffer: the first sector, counted in the extent, and the buffer.
pub(crate) type Fill<'a> = dyn FnMut(u64, &mut [u8]) -> Result<(), Error> + 'a;

/// One extent of a link. Sectors are counted from its start.
#[derive(Debug)]
pub(crate) enum OpenExtent {
    Flat(FlatExtent),
    Sparse(SparseExtent),
    Zero,
}

impl OpenExtent {
    /// Opens the file of a piece and checks that it is large enough.
    pub(crate) fn open(descriptor: &Path, piece: &Piece, write: bool) -> Result<Self, Error> {
        match (&piece.kind, &piece.file) {
            (ExtentKind::Zero, _) => Ok(Self::Zero),
            (ExtentKind::Flat | ExtentKind::Vmfs, Some(file)) => {
                let flat = FlatExtent::open(file, piece.offset_sectors, piece.sectors, write)?;
                Ok(Self::Flat(flat))
            }
            (ExtentKind::Sparse, Some(file)) => {
                let sparse = SparseExtent::open(file, piece.sectors, write)?;
                Ok(Self::Sparse(sparse))
            }
            (kind, _) => Err(Error::Unsupported {
                path: descriptor.to_owned(),
                kind: format!("the extent kind {}", kind.as_str()),
            }),
        }
    }

    /// Reads sectors; those the extent does not hold are left as they are and added to `missing`.
    pub(crate) fn read(
        &self,
        sector: u64,
        buf: &mut [u8],
        missing: &mut Vec<SectorRun>,
    ) -> Result<(), Error> {
        match self {
            Self::Flat(flat) => flat.read(sector, buf),
            Self::Sparse(sparse) => sparse.read(sector, buf, missing),
            Self::Zero => {
                buf.fill(0);
                Ok(())
            }
        }
    }

    /// Whether sectors can be written.
    pub(crate) fn takes_data(&self) -> bool {
        match self {
            Self::Flat(_) => true,
            Self::Sparse(sparse) => sparse.takes_data(),
            Self::Zero => false,
        }
    }

    /// Whether sectors can be made zero.
    pub(crate) fn takes_zeros(&self) -> bool {
        matches!(self, Self::Zero) || self.takes_data()
    }

    /// Writes sectors to an extent that takes data. What an extent lacks for a whole grain comes from `fill`.
    pub(crate) fn write(&self, sector: u64, data: &[u8], fill: &mut Fill<'_>) -> Result<(), Error> {
        match self {
            Self::Flat(flat) => flat.write(sector, data),
            Self::Sparse(sparse) => sparse.write(sector, data, fill),
            // Such an extent takes no data, and `takes_data` said so before.
            Self::Zero => Ok(()),
        }
    }

    /// Makes sectors read as zeros. `covers_parent` says that a grain not held shows a parent.
    pub(crate) fn unmap(
        &self,
        range: SectorRun,
        covers_parent: bool,
        fill: &mut Fill<'_>,
    ) -> Result<(), Error> {
        match self {
            Self::Flat(flat) => flat.unmap(range),
            Self::Sparse(sparse) => sparse.unmap(range, covers_parent, fill),
            Self::Zero => Ok(()),
        }
    }

    /// The runs of a range that the extent holds, data or zeroed grains.
    pub(crate) fn held(&self, range: SectorRun) -> Result<Vec<SectorRun>, Error> {
        match self {
            Self::Flat(flat) => flat.held(range),
            Self::Sparse(sparse) => sparse.held(range),
            Self::Zero => Ok(Vec::new()),
        }
    }

    pub(crate) fn sync(&self) -> Result<(), Error> {
        match self {
            Self::Flat(flat) => flat.sync(),
            Self::Sparse(sparse) => sparse.sync(),
            Self::Zero => Ok(()),
        }
    }
}
