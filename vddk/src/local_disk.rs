//! Changing disks in the files of this machine.

use std::ffi::c_char;

use crate::{Connection, Error, Library, Progress, WritableDisk, control::check, disk_path};

/// What is done about damage that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repair {
    /// It is told.
    No,
    /// It is mended where that can be.
    Yes,
}

/// Whether the BIOS geometry of a disk follows its new size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Geometry {
    /// It stays.
    Keep,
    /// It is computed anew.
    Update,
}

impl Connection {
    /// Makes a local disk larger (`VixDiskLib_Grow`). `capacity_sectors` is the whole new size, in
    /// 512-byte sectors. The disk must not be open.
    ///
    /// # Errors
    /// [`Error::LocalOnly`], [`Error::Argument`] for an unfit path, [`Error::MissingFunction`],
    /// [`Error::Call`].
    #[doc(alias = "VixDiskLib_Grow")]
    pub fn grow(
        &self,
        path: &str,
        capacity_sectors: u64,
        geometry: Geometry,
        progress: Progress,
    ) -> Result<(), Error> {
        const GROW: &str = "VixDiskLib_Grow";
        let connection = &self.inner;
        connection.must_be_local(GROW)?;
        let c_path = disk_path::on(connection, path)?;
        let (raw, path) = (connection.raw, path.to_owned());
        progress.run(connection.control(), GROW, move |symbols, report| {
            let raw = raw;
            // SAFETY: the connection is open, as the caller borrows it; the path lives through the
            // call, and so does what the report points to.
            let result = unsafe {
                symbols.VixDiskLib_Grow(
                    raw.0,
                    c_path.as_ptr(),
                    capacity_sectors,
                    c_char::from(geometry == Geometry::Update),
                    report.function,
                    report.data,
                )
            }?;
            check(symbols, GROW, Some(&path), None, result)
        })
    }

    /// Deletes a local disk with all its files (`VixDiskLib_Unlink`). It must not be open.
    ///
    /// # Errors
    /// As [`Connection::grow`].
    #[doc(alias = "VixDiskLib_Unlink")]
    pub fn unlink(&self, path: &str) -> Result<(), Error> {
        const UNLINK: &str = "VixDiskLib_Unlink";
        let connection = &self.inner;
        connection.must_be_local(UNLINK)?;
        let c_path = disk_path::on(connection, path)?;
        let (raw, path) = (connection.raw, path.to_owned());
        Progress::none().run(connection.control(), UNLINK, move |symbols, _| {
            let raw = raw;
            // SAFETY: the connection is open, as the caller borrows it; the path lives through the
            // call.
            let result = unsafe { symbols.VixDiskLib_Unlink(raw.0, c_path.as_ptr()) }?;
            check(symbols, UNLINK, Some(&path), None, result)
        })
    }

    /// Checks the tables of a local sparse disk and, if wanted, mends them
    /// (`VixDiskLib_CheckRepair`). It says nothing of the data in the disk.
    ///
    /// # Errors
    /// As [`Connection::grow`]. Damage is [`Error::Call`] with a code of kind
    /// [`Kind::Disk`](crate::Kind::Disk), for instance 16006.
    #[doc(alias = "VixDiskLib_CheckRepair")]
    pub fn check_repair(&self, path: &str, repair: Repair) -> Result<(), Error> {
        const CHECK: &str = "VixDiskLib_CheckRepair";
        let connection = &self.inner;
        connection.must_be_local(CHECK)?;
        let c_path = disk_path::on(connection, path)?;
        let (raw, path) = (connection.raw, path.to_owned());
        Progress::none().run(connection.control(), CHECK, move |symbols, _| {
            let raw = raw;
            let repair = c_char::from(repair == Repair::Yes);
            // SAFETY: the connection is open, as the caller borrows it; the path lives through the
            // call.
            let result = unsafe { symbols.VixDiskLib_CheckRepair(raw.0, c_path.as_ptr(), repair) }?;
            check(symbols, CHECK, Some(&path), None, result)
        })
    }
}

impl Library {
    /// Gives a local disk and its files another name (`VixDiskLib_Rename`). It must not be open, and
    /// both paths are absolute.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unfit path, [`Error::MissingFunction`], [`Error::Call`].
    #[doc(alias = "VixDiskLib_Rename")]
    pub fn rename(&self, path: &str, new_path: &str) -> Result<(), Error> {
        const RENAME: &str = "VixDiskLib_Rename";
        let (from, to) = (disk_path::local(path)?, disk_path::local(new_path)?);
        let object = format!("{path} to {new_path}");
        Progress::none().run(&self.inner.control, RENAME, move |symbols, _| {
            // SAFETY: both paths live through the call.
            let result = unsafe { symbols.VixDiskLib_Rename(from.as_ptr(), to.as_ptr()) }?;
            check(symbols, RENAME, Some(&object), None, result)
        })
    }
}

impl WritableDisk {
    /// Gives the space of free grains of a local sparse disk back (`VixDiskLib_Shrink`). The guest
    /// must have zeroed what it does not use.
    ///
    /// # Errors
    /// [`Error::LocalOnly`], [`Error::MissingFunction`], [`Error::Call`].
    #[doc(alias = "VixDiskLib_Shrink")]
    pub fn shrink(&self, progress: Progress) -> Result<(), Error> {
        const SHRINK: &str = "VixDiskLib_Shrink";
        let disk = self.idle()?;
        disk.must_be_local(SHRINK)?;
        disk.run_reporting(SHRINK, progress, |symbols, handle, report, path| {
            // SAFETY: the handle is open and at rest; what the report points to lives through the
            // call.
            let result =
                unsafe { symbols.VixDiskLib_Shrink(handle.0, report.function, report.data) }?;
            check(symbols, SHRINK, Some(path), None, result)
        })
    }

    /// Puts the grains of a local sparse disk in order (`VixDiskLib_Defragment`). The guest's files
    /// stay where they are.
    ///
    /// # Errors
    /// As [`WritableDisk::shrink`].
    #[doc(alias = "VixDiskLib_Defragment")]
    pub fn defragment(&self, progress: Progress) -> Result<(), Error> {
        const DEFRAGMENT: &str = "VixDiskLib_Defragment";
        let disk = self.idle()?;
        disk.must_be_local(DEFRAGMENT)?;
        disk.run_reporting(DEFRAGMENT, progress, |symbols, handle, report, path| {
            // SAFETY: the handle is open and at rest; what the report points to lives through the
            // call.
            let result =
                unsafe { symbols.VixDiskLib_Defragment(handle.0, report.function, report.data) }?;
            check(symbols, DEFRAGMENT, Some(path), None, result)
        })
    }
}
