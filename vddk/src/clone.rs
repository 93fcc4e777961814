//! Copying whole disks inside the library.

use std::ffi::c_char;

use vddk_sys::VixDiskLibDiskType;

use crate::{Connection, CreateSpec, Disk, DiskType, Error, Progress, control::check, disk_path};

/// What becomes of a disk that lies where a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Existing {
    /// It stays, and the copy fails.
    Keep,
    /// The copy takes its place.
    Replace,
}

impl Connection {
    /// Copies a disk to `path` of this connection (`VixDiskLib_Clone`): from local to local, from
    /// local to remote, or from remote to local. Neither disk may be open.
    ///
    /// A first-class disk has no path, so it is neither source nor destination: it is opened, and read
    /// or written.
    ///
    /// `spec` says what the copy shall be; a remote one takes its form from the server. While it
    /// copies, no other disk is opened or closed: both are done by one thread.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unfit path or size, [`Error::MissingFunction`], [`Error::Call`].
    #[doc(alias = "VixDiskLib_Clone")]
    pub fn clone_from(
        &self,
        path: &str,
        source: &Connection,
        source_path: &str,
        spec: &CreateSpec,
        existing: Existing,
        progress: Progress,
    ) -> Result<(), Error> {
        const CLONE: &str = "VixDiskLib_Clone";
        let c_path = disk_path::on(&self.inner, path)?;
        let c_source_path = disk_path::on(&source.inner, source_path)?;
        let params = spec.raw()?;
        let (to, from) = (self.inner.raw, source.inner.raw);
        let object = format!("{source_path} to {path}");
        progress.run(self.inner.control(), CLONE, move |symbols, report| {
            let (to, from) = (to, from);
            // SAFETY: both connections are open, as the caller borrows them, and of this library,
            // since there is one a process; paths and parameters live through the call, and so does
            // what the report points to.
            let result = unsafe {
                symbols.VixDiskLib_Clone(
                    to.0,
                    c_path.as_ptr(),
                    from.0,
                    c_source_path.as_ptr(),
                    &raw const params,
                    report.function,
                    report.data,
                    c_char::from(existing == Existing::Replace),
                )
            }?;
            check(symbols, CLONE, Some(&object), None, result)
        })
    }
}

impl Disk {
    /// How many bytes a copy of this disk would take, as `disk_type` or, with `None`, as its own
    /// type (`VixDiskLib_SpaceNeededForClone`).
    ///
    /// # Errors
    /// [`Error::LocalOnly`], [`Error::MissingFunction`], [`Error::Call`].
    #[doc(alias = "VixDiskLib_SpaceNeededForClone")]
    pub fn space_needed_for_clone(&self, disk_type: Option<DiskType>) -> Result<u64, Error> {
        const SPACE: &str = "VixDiskLib_SpaceNeededForClone";
        let disk = self.idle()?;
        disk.must_be_local(SPACE)?;
        let disk_type =
            disk_type.map_or(VixDiskLibDiskType::VIXDISKLIB_DISK_UNKNOWN, DiskType::raw);
        disk.run(SPACE, move |symbols, handle, path| {
            let mut bytes = 0;
            // SAFETY: the handle is open and at rest, and the number is ours.
            let result = unsafe {
                symbols.VixDiskLib_SpaceNeededForClone(handle.0, disk_type, &raw mut bytes)
            }?;
            check(symbols, SPACE, Some(path), None, result)?;
            Ok(bytes)
        })?
    }
}
