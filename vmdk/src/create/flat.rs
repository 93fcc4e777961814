//! The file of a flat extent.

use std::path::Path;

use crate::new_files::NewFiles;
use crate::{Error, SECTOR_BYTES};

/// Makes a file of full length without any data.
pub(crate) fn add_flat_file(new: &mut NewFiles, path: &Path, sectors: u64) -> Result<(), Error> {
    new.create(path, sectors * SECTOR_BYTES)?;
    Ok(())
}
