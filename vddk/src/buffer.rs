//! Buffers for whole sectors.

use std::{
    fmt,
    ops::{Deref, DerefMut},
};

use aligned_vec::{AVec, ConstAlign};

use crate::{Error, SECTOR_BYTES};

/// What SAN transport on Linux likes best, and every other accepts (VDDK API reference, 7.5).
const ALIGNMENT_BYTES: usize = 4096;

/// Largest buffer: far above any useful read, far below an allocation that fails by surprise.
const MAX_SECTORS: usize = 64 * 1024 * 1024 / SECTOR_BYTES;

/// Memory for a whole number of sectors, aligned to 4096 bytes, zeroed at first.
///
/// It cannot be misaligned, of odd length or empty. It travels by value: into a read, and back out
/// of it. Keep it and use it again; fresh memory for every read costs page faults.
pub struct SectorBuf(AVec<u8, ConstAlign<ALIGNMENT_BYTES>>);

impl SectorBuf {
    /// Makes a buffer of `sectors` × 512 bytes, at most 64 MiB.
    ///
    /// # Errors
    /// [`Error::Argument`] for 0 sectors or more than 64 MiB.
    pub fn new(sectors: usize) -> Result<Self, Error> {
        check(sectors)?;
        let bytes = sectors * SECTOR_BYTES;
        Ok(Self(AVec::from_iter(
            ALIGNMENT_BYTES,
            std::iter::repeat_n(0, bytes),
        )))
    }

    /// Makes it longer or shorter, within the same bounds; memory is kept for later.
    ///
    /// # Errors
    /// [`Error::Argument`] for 0 sectors or more than 64 MiB.
    pub fn resize(&mut self, sectors: usize) -> Result<(), Error> {
        check(sectors)?;
        self.0.resize(sectors * SECTOR_BYTES, 0);
        Ok(())
    }

    /// Its length in sectors.
    pub fn sectors(&self) -> usize {
        self.0.len() / SECTOR_BYTES
    }
}

fn check(sectors: usize) -> Result<(), Error> {
    if (1..=MAX_SECTORS).contains(&sectors) {
        return Ok(());
    }
    Err(Error::Argument {
        what: format!("a buffer of {sectors} sectors (1 to {MAX_SECTORS} are allowed)"),
    })
}

impl Deref for SectorBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for SectorBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl fmt::Debug for SectorBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SectorBuf({} sectors)", self.sectors())
    }
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT_BYTES, SectorBuf};

    #[test]
    fn buffers_are_aligned_whole_and_bounded() {
        for sectors in [1, 7, 128, 4096] {
            let buf = SectorBuf::new(sectors).unwrap();
            assert_eq!(buf.as_ptr().align_offset(ALIGNMENT_BYTES), 0);
            assert_eq!((buf.len(), buf.sectors()), (sectors * 512, sectors));
        }
        let mut buf = SectorBuf::new(128).unwrap();
        buf.resize(1).unwrap();
        buf.resize(256).unwrap();
        assert_eq!(
            (buf.sectors(), buf.as_ptr().align_offset(ALIGNMENT_BYTES)),
            (256, 0)
        );
        assert!(buf.resize(0).is_err());
        assert!(SectorBuf::new(0).is_err());
        assert!(SectorBuf::new(usize::MAX / 512).is_err());
    }
}
