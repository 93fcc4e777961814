//! Making disks: what is wanted, and the calls that make it.

use vddk_sys::{
    VIXDISKLIB_HWVERSION_ESX4X, VIXDISKLIB_HWVERSION_ESX30, VIXDISKLIB_HWVERSION_ESX50,
    VIXDISKLIB_HWVERSION_ESX51, VIXDISKLIB_HWVERSION_ESX55, VIXDISKLIB_HWVERSION_ESX60,
    VIXDISKLIB_HWVERSION_ESX65, VIXDISKLIB_HWVERSION_WORKSTATION_4,
    VIXDISKLIB_HWVERSION_WORKSTATION_5, VIXDISKLIB_HWVERSION_WORKSTATION_6, VixDiskLibAdapterType,
    VixDiskLibCreateParams, VixDiskLibDiskType,
};

use crate::{Connection, Disk, Error, Progress, control::check, disk_path};

/// How a disk lies in its file or files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiskType {
    /// One file that grows with the data.
    MonolithicSparse,
    /// A descriptor and one file with every sector.
    MonolithicFlat,
    /// Files of at most 2 GiB that grow with the data.
    SplitSparse,
    /// Files of at most 2 GiB with every sector.
    SplitFlat,
    /// Every sector, on a datastore.
    VmfsFlat,
    /// One file of compressed runs, written from front to end.
    StreamOptimized,
    /// Growing with the data, on a datastore.
    VmfsThin,
    /// A redo log on a datastore.
    VmfsSparse,
}

impl DiskType {
    pub(crate) fn raw(self) -> VixDiskLibDiskType {
        match self {
            Self::MonolithicSparse => VixDiskLibDiskType::VIXDISKLIB_DISK_MONOLITHIC_SPARSE,
            Self::MonolithicFlat => VixDiskLibDiskType::VIXDISKLIB_DISK_MONOLITHIC_FLAT,
            Self::SplitSparse => VixDiskLibDiskType::VIXDISKLIB_DISK_SPLIT_SPARSE,
            Self::SplitFlat => VixDiskLibDiskType::VIXDISKLIB_DISK_SPLIT_FLAT,
            Self::VmfsFlat => VixDiskLibDiskType::VIXDISKLIB_DISK_VMFS_FLAT,
            Self::StreamOptimized => VixDiskLibDiskType::VIXDISKLIB_DISK_STREAM_OPTIMIZED,
            Self::VmfsThin => VixDiskLibDiskType::VIXDISKLIB_DISK_VMFS_THIN,
            Self::VmfsSparse => VixDiskLibDiskType::VIXDISKLIB_DISK_VMFS_SPARSE,
        }
    }
}

/// How a child lies in its file or files: only sparse kinds can be children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChildType {
    /// One file.
    MonolithicSparse,
    /// Files of at most 2 GiB.
    SplitSparse,
}

impl From<ChildType> for DiskType {
    fn from(child: ChildType) -> Self {
        match child {
            ChildType::MonolithicSparse => Self::MonolithicSparse,
            ChildType::SplitSparse => Self::SplitSparse,
        }
    }
}

/// The controller that the disk is made for. Newer ones have no value of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AdapterType {
    /// IDE.
    Ide,
    /// BusLogic SCSI.
    BusLogic,
    /// LSI Logic SCSI.
    #[default]
    LsiLogic,
}

impl AdapterType {
    fn raw(self) -> VixDiskLibAdapterType {
        match self {
            Self::Ide => VixDiskLibAdapterType::VIXDISKLIB_ADAPTER_IDE,
            Self::BusLogic => VixDiskLibAdapterType::VIXDISKLIB_ADAPTER_SCSI_BUSLOGIC,
            Self::LsiLogic => VixDiskLibAdapterType::VIXDISKLIB_ADAPTER_SCSI_LSILOGIC,
        }
    }

    /// `None` for a value that has no name here.
    pub(crate) fn from_raw(raw: VixDiskLibAdapterType) -> Option<Self> {
        [Self::Ide, Self::BusLogic, Self::LsiLogic]
            .into_iter()
            .find(|adapter| adapter.raw() == raw)
    }
}

/// The virtual hardware that the disk is made for (VDDK API reference, 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HwVersion(pub u16);

impl HwVersion {
    /// Workstation 4.
    pub const WORKSTATION_4: Self = Self(VIXDISKLIB_HWVERSION_WORKSTATION_4 as u16);
    /// Workstation 5: the most widely understood one.
    pub const WORKSTATION_5: Self = Self(VIXDISKLIB_HWVERSION_WORKSTATION_5 as u16);
    /// ESX 3.0.
    pub const ESX30: Self = Self(VIXDISKLIB_HWVERSION_ESX30 as u16);
    /// Workstation 6.
    pub const WORKSTATION_6: Self = Self(VIXDISKLIB_HWVERSION_WORKSTATION_6 as u16);
    /// ESX 4.
    pub const ESX4X: Self = Self(VIXDISKLIB_HWVERSION_ESX4X as u16);
    /// ESXi 5.0.
    pub const ESX50: Self = Self(VIXDISKLIB_HWVERSION_ESX50 as u16);
    /// ESXi 5.1.
    pub const ESX51: Self = Self(VIXDISKLIB_HWVERSION_ESX51 as u16);
    /// ESXi 5.5.
    pub const ESX55: Self = Self(VIXDISKLIB_HWVERSION_ESX55 as u16);
    /// ESXi 6.0.
    pub const ESX60: Self = Self(VIXDISKLIB_HWVERSION_ESX60 as u16);
    /// ESXi 6.5.
    pub const ESX65: Self = Self(VIXDISKLIB_HWVERSION_ESX65 as u16);
}

/// What a new disk shall be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateSpec {
    /// How it lies in its files.
    pub disk_type: DiskType,
    /// The controller it is for.
    pub adapter: AdapterType,
    /// The virtual hardware it is for.
    pub hw_version: HwVersion,
    /// Size in 512-byte sectors.
    pub capacity_sectors: u64,
    /// Bytes of a logical sector; looked at from VDDK 7.0 on.
    pub logical_sector_bytes: u32,
    /// Bytes of a physical sector; looked at from VDDK 7.0 on.
    pub physical_sector_bytes: u32,
}

impl CreateSpec {
    /// A disk for an LSI Logic controller, readable by everything, with sectors of 512 bytes.
    pub fn new(disk_type: DiskType, capacity_sectors: u64) -> Self {
        Self {
            disk_type,
            adapter: AdapterType::default(),
            hw_version: HwVersion::WORKSTATION_5,
            capacity_sectors,
            logical_sector_bytes: 512,
            physical_sector_bytes: 512,
        }
    }

    /// The C structure, always the 32 bytes of 7.0: an older library does not look at the last 8
    /// (VDDK API reference, 2.2).
    pub(crate) fn raw(&self) -> Result<VixDiskLibCreateParams, Error> {
        let bytes = [self.logical_sector_bytes, self.physical_sector_bytes];
        if self.capacity_sectors == 0 {
            return Err(Error::Argument {
                what: "a disk of no sectors".to_owned(),
            });
        }
        if bytes.into_iter().any(|bytes| bytes != 512 && bytes != 4096) {
            return Err(Error::Argument {
                what: format!("sectors of {bytes:?} bytes (512 and 4096 are allowed)"),
            });
        }
        Ok(VixDiskLibCreateParams {
            diskType: self.disk_type.raw(),
            adapterType: self.adapter.raw(),
            hwVersion: self.hw_version.0,
            capacity: self.capacity_sectors,
            logicalSectorSize: self.logical_sector_bytes,
            physicalSectorSize: self.physical_sector_bytes,
        })
    }
}

const _: () = assert!(size_of::<VixDiskLibCreateParams>() == 32);

impl Connection {
    /// Makes a disk in the files of this machine (`VixDiskLib_Create`). Managed disks are made by
    /// [`Connection::clone_from`] of a local one.
    ///
    /// `path` is absolute, and there is no file of that name.
    ///
    /// # Errors
    /// [`Error::LocalOnly`], [`Error::Argument`] for an unfit path or size, [`Error::Call`].
    #[doc(alias = "VixDiskLib_Create")]
    pub fn create(&self, path: &str, spec: &CreateSpec, progress: Progress) -> Result<(), Error> {
        const CREATE: &str = "VixDiskLib_Create";
        let connection = &self.inner;
        connection.must_be_local(CREATE)?;
        let c_path = disk_path::on(connection, path)?;
        let params = spec.raw()?;
        let (raw, path) = (connection.raw, path.to_owned());
        progress.run(connection.control(), CREATE, move |symbols, report| {
            let raw = raw;
            // SAFETY: the connection is open, as its caller borrows it; path and parameters live
            // through the call, and so does what the report points to.
            let result = unsafe {
                symbols.VixDiskLib_Create(
                    raw.0,
                    c_path.as_ptr(),
                    &raw const params,
                    report.function,
                    report.data,
                )
            };
            check(symbols, CREATE, Some(&path), None, result)
        })
    }
}

impl Disk {
    /// Makes a redo log on this disk, a child that begins with its content
    /// (`VixDiskLib_CreateChild`). From then on this disk must not be written to.
    ///
    /// `path` is absolute, and there is no file of that name.
    ///
    /// # Errors
    /// [`Error::LocalOnly`], [`Error::Argument`] for an unfit path, [`Error::MissingFunction`],
    /// [`Error::Call`].
    #[doc(alias = "VixDiskLib_CreateChild")]
    pub fn create_child(
        &self,
        path: &str,
        child_type: ChildType,
        progress: Progress,
    ) -> Result<(), Error> {
        const CREATE: &str = "VixDiskLib_CreateChild";
        let parent = self.idle()?;
        parent.must_be_local(CREATE)?;
        let c_path = disk_path::local(path)?;
        let (child_type, path) = (DiskType::from(child_type).raw(), path.to_owned());
        parent.run_reporting(CREATE, progress, move |symbols, handle, report, _| {
            // SAFETY: the handle is open and at rest; the path lives through the call, and so does
            // what the report points to.
            let result = unsafe {
                symbols.VixDiskLib_CreateChild(
                    handle.0,
                    c_path.as_ptr(),
                    child_type,
                    report.function,
                    report.data,
                )
            }?;
            check(symbols, CREATE, Some(&path), None, result)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{CreateSpec, DiskType};

    static_assertions::assert_impl_all!(CreateSpec: Send, Sync);

    #[test]
    fn the_structure_says_what_the_spec_says() {
        let raw = CreateSpec::new(DiskType::SplitSparse, 9).raw().unwrap();
        let numbers = (raw.diskType.0, raw.adapterType.0, raw.hwVersion);
        assert_eq!(numbers, (3, 3, 4));
        assert_eq!(raw.capacity, 9);
        assert_eq!((raw.logicalSectorSize, raw.physicalSectorSize), (512, 512));
    }

    #[test]
    fn unfit_specs_are_refused() {
        let fit = CreateSpec::new(DiskType::MonolithicFlat, 1);
        assert!(fit.raw().is_ok());
        for (capacity_sectors, sector_bytes) in [(0, 512), (1, 0), (1, 513), (1, 1 << 31)] {
            let unfit = CreateSpec {
                capacity_sectors,
                physical_sector_bytes: sector_bytes,
                ..fit
            };
            assert!(unfit.raw().is_err(), "{unfit:?}");
        }
    }
}
