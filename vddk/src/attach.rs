//! Joining local disks to a chain.

use vddk_sys::VixDiskLibHandleStruct;

use crate::{
    Disk, Error, WritableDisk,
    control::{NoAnswer, Raw, check},
    info,
    shared::Shared,
};

const ATTACH: &str = "VixDiskLib_Attach";
const POSSIBLE: &str = "VixDiskLib_IsAttachPossible";

impl Disk {
    /// Asks whether this disk can be attached to `parent` (`VixDiskLib_IsAttachPossible`). Both are
    /// local, and of one connection; this one was opened as a single link.
    ///
    /// # Errors
    /// [`Error::Call`] that says why not, [`Error::LocalOnly`], [`Error::Argument`] for disks of two
    /// connections, [`Error::MissingFunction`].
    #[doc(alias = "VixDiskLib_IsAttachPossible")]
    pub fn is_attach_possible(&self, parent: &Disk) -> Result<(), Error> {
        must_be_of_one(self.shared(), parent.shared())?;
        let parent = parent.idle()?;
        let (parent_handle, child) = (parent.handle, self.idle()?);
        child.must_be_local(POSSIBLE)?;
        let done = child.run(POSSIBLE, move |symbols, child, path| {
            let parent = parent_handle;
            // SAFETY: both handles are open and at rest; the caller keeps the parent so.
            let result = unsafe { symbols.VixDiskLib_IsAttachPossible(parent.0, child.0) }?;
            check(symbols, POSSIBLE, Some(path), None, result)
        });
        if child.shared.is_poisoned() {
            parent.give_up();
        }
        done?
    }

    /// Makes this disk the end of the chain that begins with `parent` (`VixDiskLib_Attach`).
    ///
    /// What comes back is the chain: this disk, with what the parent holds below it. The parent's
    /// handle belongs to it from then on and is never closed by itself (VDDK API reference, 1.9).
    /// Where it fails, both disks are closed.
    ///
    /// # Errors
    /// As [`Disk::is_attach_possible`]; [`Error::Poisoned`] when one of the disks was given up.
    #[doc(alias = "VixDiskLib_Attach")]
    pub fn attach_to(mut self, parent: Disk) -> Result<Disk, Error> {
        must_be_of_one(self.shared(), parent.shared())?;
        let child = self.idle()?;
        child.must_be_local(ATTACH)?;
        let major = child.shared.control().loaded().major();
        let parent = parent.retire()?;
        let handle: Raw<VixDiskLibHandleStruct> = parent.handle();
        let done = child.run(ATTACH, move |symbols, child, path| {
            let parent = handle;
            // SAFETY: both handles are open; the child is at rest, and the parent has no worker any
            // more, so that this thread alone uses them.
            let result = unsafe { symbols.VixDiskLib_Attach(parent.0, child.0) }?;
            check(symbols, ATTACH, Some(path), None, result)?;
            Ok(info::get(symbols, child.0, path, major))
        });
        drop(child);
        match done {
            Ok(Ok(info)) => {
                parent.belongs_to_another();
                self.has_changed(info?);
                Ok(self)
            }
            // Not attached: the parent is closed as any disk.
            Ok(Err(error)) | Err(NoAnswer::NotMade(error)) => Err(error),
            Err(NoAnswer::Begun(error)) => {
                // Whether it is or will be attached nobody knows.
                parent.belongs_to_another();
                Err(error)
            }
        }
    }
}

impl WritableDisk {
    /// As [`Disk::attach_to`]: the chain can be written to, and its parent is not.
    ///
    /// # Errors
    /// As [`Disk::attach_to`].
    #[doc(alias = "VixDiskLib_Attach")]
    pub fn attach_to(self, parent: Disk) -> Result<WritableDisk, Error> {
        self.into_disk().attach_to(parent).map(WritableDisk::new)
    }
}

/// A chain is closed with its end, and then its connection may go: so there must be only one. A disk
/// is no parent of itself.
fn must_be_of_one(child: &Shared, parent: &Shared) -> Result<(), Error> {
    let why = if std::ptr::eq(child, parent) {
        "itself"
    } else if std::ptr::eq(child.connection(), parent.connection()) {
        return Ok(());
    } else {
        "a disk of another connection"
    };
    Err(Error::Argument {
        what: format!("attaching {} to {why}", child.path),
    })
}
