//! `GetInfo`, `FreeInfo` and the transport of a disk.

use std::ffi::c_char;

use lab::TextLie;
use vddk_sys::{self as sys, VixDiskLibHandle, VixDiskLibInfo, VixError};
use vddk_sys::{VixDiskLibAdapterType as Adapter, VixDiskLibGeometry};

use crate::boundary;
use crate::disk;
use crate::error::Failure;
use crate::fault;
use crate::image::SECTOR_BYTES;
use crate::interface;
use crate::log;
use crate::memory::{self, Kind};

/// Describes a disk. The object lives until [`VixDiskLib_FreeInfo`], past `Close` and `Disconnect`.
///
/// # Safety
///
/// `info` must be null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_GetInfo(
    handle: VixDiskLibHandle,
    info: *mut *mut VixDiskLibInfo,
) -> VixError {
    boundary::noted("VixDiskLib_GetInfo", |call| {
        call.note("handle", handle.addr());
        call.go()?;
        if info.is_null() {
            return Err(Failure::argument("info is null"));
        }
        let disk = disk::get(handle)?;
        let facts = disk.image.with(|disk| Ok(Facts::of(disk)))?;
        let object = facts.give(call.ordered().text())?;
        // SAFETY: not null, and the caller promises the rest.
        unsafe { info.write(object) };
        Ok(sys::VIX_OK)
    })
}

/// Frees an object of [`VixDiskLib_GetInfo`]. Null is allowed.
///
/// # Safety
///
/// Nothing may use the object any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_FreeInfo(info: *mut VixDiskLibInfo) {
    boundary::value("VixDiskLib_FreeInfo", (), |_| {
        if !memory::release(Kind::Info, info.cast()) && !info.is_null() {
            log::warn(c"VixDiskLib: info to free is not the library's\n", &[]);
        }
        Ok(())
    });
}

/// The transport of a disk, as a static text; empty, never null, if the disk is not open.
///
/// # Safety
///
/// None needed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn VixDiskLib_GetTransportMode(handle: VixDiskLibHandle) -> *const c_char {
    boundary::value("VixDiskLib_GetTransportMode", c"".as_ptr(), |call| {
        call.note("handle", handle.addr());
        if let Some(lie) = call.ordered().text() {
            return Ok(fault::static_text(lie));
        }
        let disk = disk::get_even_lost(handle)?;
        let transport = disk.transport.to_str().unwrap_or_default();
        call.note("transport", transport);
        Ok(disk.transport.as_ptr())
    })
}

/// What `GetInfo` tells.
struct Facts {
    bios: VixDiskLibGeometry,
    physical: VixDiskLibGeometry,
    capacity_sectors: u64,
    adapter: Adapter,
    links: usize,
    parent_hint: Option<String>,
    uuid: Option<String>,
}

impl Facts {
    fn of(disk: &vmdk::Disk) -> Self {
        let descriptor = disk.descriptor();
        let capacity_sectors = disk.capacity_sectors();
        let number = |key: &str| {
            descriptor
                .ddb(key)
                .and_then(|text| text.parse::<u32>().ok())
        };
        let geometry = |cylinders, heads, sectors| VixDiskLibGeometry {
            cylinders: number(cylinders).unwrap_or(0),
            heads: number(heads).unwrap_or(0),
            sectors: number(sectors).unwrap_or(0),
        };
        let bios = geometry(
            "geometry.biosCylinders",
            "geometry.biosHeads",
            "geometry.biosSectors",
        );
        let mut physical = geometry("geometry.cylinders", "geometry.heads", "geometry.sectors");
        if physical.cylinders == 0 {
            physical = computed(capacity_sectors);
        }
        let adapter = match descriptor.ddb("adapterType") {
            Some("ide") => Adapter::VIXDISKLIB_ADAPTER_IDE,
            Some("buslogic") => Adapter::VIXDISKLIB_ADAPTER_SCSI_BUSLOGIC,
            Some("lsilogic") => Adapter::VIXDISKLIB_ADAPTER_SCSI_LSILOGIC,
            _ => Adapter::VIXDISKLIB_ADAPTER_UNKNOWN,
        };
        Self {
            bios,
            physical,
            capacity_sectors,
            adapter,
            links: disk.links(),
            parent_hint: descriptor.parent_file_name_hint.clone(),
            uuid: descriptor.ddb("uuid").map(str::to_owned),
        }
    }

    /// Gives the object out: the structure, and its strings behind it in the same memory.
    /// A fault may ask for other strings.
    fn give(self, lie: Option<TextLie>) -> Result<*mut VixDiskLibInfo, Failure> {
        let strings = [self.parent_hint, self.uuid].map(|text| match lie {
            Some(TextLie::Null) => None,
            Some(_) => Some(fault::NOT_UTF8.to_owned()),
            None => text.map(|text| log::c_text(&text)),
        });
        let texts = strings.each_ref().map(Option::as_deref);
        let info_bytes = info_bytes();
        let Some((object, [parent_hint, uuid])) = memory::with_texts(Kind::Info, info_bytes, texts)
        else {
            return Err(Failure::new(sys::VIX_E_OUT_OF_MEMORY, "no memory for info"));
        };
        let sector_bytes = SECTOR_BYTES as u32;
        let info = VixDiskLibInfo {
            biosGeo: self.bios,
            physGeo: self.physical,
            capacity: self.capacity_sectors,
            adapterType: self.adapter,
            numLinks: i32::try_from(self.links).unwrap_or(i32::MAX),
            parentFileNameHint: parent_hint,
            uuid,
            logicalSectorSize: sector_bytes,
            physicalSectorSize: sector_bytes,
        };
        let source = (&raw const info).cast::<u8>();
        // SAFETY: the memory begins with room for that many bytes, which are no more than the
        // structure has; two objects do not overlap.
        unsafe { std::ptr::copy_nonoverlapping(source, object.cast::<u8>(), info_bytes) };
        Ok(object.cast())
    }
}

/// Bytes of the structure in this release: the sector sizes came with the seventh interface
/// ("VDDK API reference", 2.2).
fn info_bytes() -> usize {
    if interface::major() >= 7 {
        size_of::<VixDiskLibInfo>()
    } else {
        std::mem::offset_of!(VixDiskLibInfo, logicalSectorSize)
    }
}

/// The geometry of a disk whose descriptor tells none: 255 heads, 63 sectors a track.
fn computed(capacity_sectors: u64) -> VixDiskLibGeometry {
    let (heads, sectors) = (255_u32, 63_u32);
    let cylinders = capacity_sectors / u64::from(heads * sectors);
    VixDiskLibGeometry {
        cylinders: u32::try_from(cylinders).unwrap_or(u32::MAX),
        heads,
        sectors,
    }
}
