//! What the library tells of an open disk.

use std::ffi::{CStr, c_char};

use vddk_sys::{Symbols, VixDiskLibGeometry, VixDiskLibHandle, VixDiskLibInfo};

use crate::{AdapterType, Error, control::check};

/// Cylinders, heads and sectors, which old systems boot by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DiskGeometry {
    /// Cylinders.
    pub cylinders: u32,
    /// Heads.
    pub heads: u32,
    /// Sectors of a track.
    pub sectors: u32,
}

impl From<VixDiskLibGeometry> for DiskGeometry {
    fn from(raw: VixDiskLibGeometry) -> Self {
        Self {
            cylinders: raw.cylinders,
            heads: raw.heads,
            sectors: raw.sectors,
        }
    }
}

/// Facts of a disk, read once when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskInfo {
    /// Size in 512-byte sectors.
    pub capacity_sectors: u64,
    /// The controller that the disk was made for; `None` for one without a name here.
    pub adapter: Option<AdapterType>,
    /// The geometry that the guest's firmware sees; all zero where the library tells none.
    pub bios_geometry: DiskGeometry,
    /// The geometry of the disk itself; all zero where the library tells none.
    pub physical_geometry: DiskGeometry,
    /// Links of the chain: the base disk and its redo logs.
    pub links: u32,
    /// The disk's UUID, where the library tells it.
    pub uuid: Option<String>,
    /// File name hint of the parent, where there is one.
    pub parent_file_name_hint: Option<String>,
    /// Bytes of a logical sector; told from VDDK 7.0 on.
    pub logical_sector_bytes: Option<u32>,
    /// Bytes of a physical sector; told from VDDK 7.0 on.
    pub physical_sector_bytes: Option<u32>,
}

/// The library's object, freed when dropped.
struct Owned<'a> {
    symbols: &'a Symbols,
    info: *mut VixDiskLibInfo,
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        // SAFETY: the object came from GetInfo, is not NULL, and is freed once.
        unsafe { self.symbols.VixDiskLib_FreeInfo(self.info) }
    }
}

/// Asks for the facts of an open disk. `major` is the interface number of the loaded library.
pub(crate) fn get(
    symbols: &Symbols,
    handle: VixDiskLibHandle,
    path: &str,
    major: Option<u32>,
) -> Result<DiskInfo, Error> {
    let mut info = std::ptr::null_mut();
    // SAFETY: the handle is open, and the library stores a pointer in `info` on success.
    let result = unsafe { symbols.VixDiskLib_GetInfo(handle, &raw mut info) };
    check(symbols, "VixDiskLib_GetInfo", Some(path), None, result)?;
    if info.is_null() {
        return Err(Error::UnusableAnswer {
            function: "VixDiskLib_GetInfo",
            what: format!("success and nothing about {path}"),
        });
    }
    let owned = Owned { symbols, info };
    // SAFETY: the object is valid until `owned` is dropped. Each field is read by itself, so that
    // no reference covers the last two, which releases before 7.0 do not allocate.
    let capacity_sectors = unsafe { (*owned.info).capacity };
    // SAFETY: as above.
    let adapter = unsafe { (*owned.info).adapterType };
    // SAFETY: as above.
    let bios_geometry = unsafe { (*owned.info).biosGeo };
    // SAFETY: as above.
    let physical_geometry = unsafe { (*owned.info).physGeo };
    // SAFETY: as above.
    let links = unsafe { (*owned.info).numLinks };
    // SAFETY: as above.
    let uuid = unsafe { (*owned.info).uuid };
    // SAFETY: as above.
    let parent = unsafe { (*owned.info).parentFileNameHint };
    let (logical, physical) = if major.is_some_and(|major| major >= 7) {
        // SAFETY: from 7.0 on the object is 64 bytes and holds this field.
        let logical = unsafe { (*owned.info).logicalSectorSize };
        // SAFETY: as above.
        let physical = unsafe { (*owned.info).physicalSectorSize };
        (Some(logical), Some(physical))
    } else {
        (None, None)
    };
    Ok(DiskInfo {
        capacity_sectors,
        adapter: AdapterType::from_raw(adapter),
        bios_geometry: bios_geometry.into(),
        physical_geometry: physical_geometry.into(),
        links: u32::try_from(links).unwrap_or(0),
        // SAFETY: NULL or a C string of the object, which is still alive.
        uuid: unsafe { text(uuid) },
        // SAFETY: as above.
        parent_file_name_hint: unsafe { text(parent) },
        logical_sector_bytes: logical.filter(|bytes| *bytes > 0),
        physical_sector_bytes: physical.filter(|bytes| *bytes > 0),
    })
}

/// Copies a string of the library's, which may be NULL and need not be UTF-8.
///
/// # Safety
/// `pointer` is NULL or a C string that lives through the call.
pub(crate) unsafe fn text(pointer: *const c_char) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not NULL, and the caller vouches for it.
    Some(
        unsafe { CStr::from_ptr(pointer) }
            .to_string_lossy()
            .into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn no_string_is_none_and_any_bytes_are_text() {
        // SAFETY: NULL is allowed.
        assert_eq!(unsafe { text(std::ptr::null()) }, None);
        // SAFETY: a C string that lives for ever.
        let odd = unsafe { text(c"a\xffb".as_ptr()) };
        assert_eq!(odd.as_deref(), Some("a\u{fffd}b"));
    }
}
