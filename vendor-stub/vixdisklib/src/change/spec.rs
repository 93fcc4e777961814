//! What a caller wants a new disk to be like.

use vddk_sys::VixDiskLibDiskType as DiskType;
use vddk_sys::{self as sys, VixDiskLibAdapterType as AdapterType, VixDiskLibCreateParams};
use vmdk::{Adapter, CreateOptions, DiskKind};

use crate::boundary::Call;
use crate::error::Failure;
use crate::interface;

/// The oldest virtual hardware that the interface names.
const OLDEST_HARDWARE: u16 = sys::VIXDISKLIB_HWVERSION_WORKSTATION_4 as u16;
/// Far above every virtual hardware there is.
const NEWEST_HARDWARE: u16 = 99;

/// A kind of disk with its options.
pub(super) struct Spec {
    pub(super) kind: DiskKind,
    pub(super) options: CreateOptions,
}

/// Reads create parameters. The sector sizes came with the seventh interface; before it, callers
/// pass 24 bytes ("VDDK API reference", 2.2).
///
/// # Errors
///
/// 3 for what is no parameter, 14004 for sectors of another size, and as [`kind`].
///
/// # Safety
///
/// `params` must be null or point to the structure of this release.
pub(super) unsafe fn read(
    call: &mut Call,
    params: *const VixDiskLibCreateParams,
) -> Result<Spec, Failure> {
    if params.is_null() {
        return Err(Failure::argument("createParams is null"));
    }
    // SAFETY: not null, and all releases have these fields; the caller promises the rest.
    let disk_type = unsafe { (*params).diskType };
    // SAFETY: as above.
    let adapter_type = unsafe { (*params).adapterType };
    // SAFETY: as above.
    let hardware_version = unsafe { (*params).hwVersion };
    // SAFETY: as above.
    let capacity_sectors = unsafe { (*params).capacity };
    call.note("disk_type", disk_type.0);
    call.note("adapter_type", adapter_type.0);
    call.note("hardware_version", hardware_version);
    call.note("capacity_sectors", capacity_sectors);
    if interface::major() >= 7 {
        // SAFETY: the release has this field; the caller promises the rest.
        let logical_bytes = unsafe { (*params).logicalSectorSize };
        // SAFETY: as above.
        let physical_bytes = unsafe { (*params).physicalSectorSize };
        check_sectors(logical_bytes, physical_bytes)?;
    }
    if !(OLDEST_HARDWARE..=NEWEST_HARDWARE).contains(&hardware_version) {
        let message = format!("no virtual hardware has version {hardware_version}");
        return Err(Failure::argument(message));
    }
    let mut options = CreateOptions::new(capacity_sectors).with_new_uuid();
    options.adapter = adapter(adapter_type)?;
    options.hardware_version = hardware_version;
    let kind = kind(disk_type)?;
    Ok(Spec { kind, options })
}

/// Zero stands for the usual size: nbdkit passes it.
fn check_sectors(logical_bytes: u32, physical_bytes: u32) -> Result<(), Failure> {
    if matches!(logical_bytes, 0 | 512) && matches!(physical_bytes, 0 | 512 | 4096) {
        return Ok(());
    }
    let message = format!("sectors of {logical_bytes} bytes, {physical_bytes} on the medium");
    Err(Failure::new(sys::VIX_E_HOST_DISK_SECTORSIZE, message))
}

fn adapter(adapter_type: AdapterType) -> Result<Adapter, Failure> {
    match adapter_type {
        AdapterType::VIXDISKLIB_ADAPTER_IDE => Ok(Adapter::Ide),
        AdapterType::VIXDISKLIB_ADAPTER_SCSI_BUSLOGIC => Ok(Adapter::BusLogic),
        AdapterType::VIXDISKLIB_ADAPTER_SCSI_LSILOGIC => Ok(Adapter::LsiLogic),
        AdapterType(other) => Err(Failure::argument(format!("adapter type {other}"))),
    }
}

/// The kind of a local disk.
///
/// # Errors
///
/// 16022 for the kinds that only a datastore has, 3 for what is no kind.
pub(super) fn kind(disk_type: DiskType) -> Result<DiskKind, Failure> {
    match disk_type {
        DiskType::VIXDISKLIB_DISK_MONOLITHIC_SPARSE => Ok(DiskKind::MonolithicSparse),
        DiskType::VIXDISKLIB_DISK_MONOLITHIC_FLAT => Ok(DiskKind::MonolithicFlat),
        DiskType::VIXDISKLIB_DISK_SPLIT_SPARSE => Ok(DiskKind::SplitSparse),
        DiskType::VIXDISKLIB_DISK_SPLIT_FLAT => Ok(DiskKind::SplitFlat),
        DiskType::VIXDISKLIB_DISK_STREAM_OPTIMIZED => Ok(DiskKind::StreamOptimized),
        DiskType::VIXDISKLIB_DISK_VMFS_FLAT
        | DiskType::VIXDISKLIB_DISK_VMFS_THIN
        | DiskType::VIXDISKLIB_DISK_VMFS_SPARSE => Err(Failure::new(
            sys::VIX_E_DISK_NEEDVMFS,
            "such disks are made on a datastore only",
        )),
        DiskType(other) => Err(Failure::argument(format!("disk type {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sectors_are_those_of_the_interface() {
        let code = |logical, physical| check_sectors(logical, physical).map_err(|f| f.code);
        for (logical, physical) in [(0, 0), (512, 512), (512, 4096)] {
            assert_eq!(code(logical, physical), Ok(()));
        }
        for (logical, physical) in [(4096, 4096), (1, 512), (512, 513)] {
            assert_eq!(code(logical, physical), Err(14004));
        }
    }

    #[test]
    fn kinds_of_datastores_need_one() {
        let code = |number| kind(DiskType(number)).map_err(|failure| failure.code);
        assert_eq!(code(3), Ok(DiskKind::SplitSparse));
        assert_eq!(
            (code(5), code(7), code(8)),
            (Err(16022), Err(16022), Err(16022))
        );
        assert_eq!((code(0), code(9), code(256)), (Err(3), Err(3), Err(3)));
    }
}
