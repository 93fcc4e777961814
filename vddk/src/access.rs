//! The time in which vCenter keeps a VM's disks where they are.

use std::{
    ffi::{CStr, CString},
    sync::Arc,
};

use vddk_sys::Symbols;

use crate::{
    ConnectOptions, ConnectParams, Connection, Error, Library, control::check,
    library::LibraryInner, params::RawParams,
};

/// VixDiskLib takes no longer identity (VDDK API reference, 1.5).
const IDENTITY_BYTES: usize = 50;

const END_ACCESS: &str = "VixDiskLib_EndAccess";

/// `PrepareForAccess` was called; `EndAccess` follows when this is closed or dropped.
///
/// It opens before the VM's snapshot is made and closes after the snapshot is removed, also when
/// connecting failed.
#[derive(Debug)]
pub struct Access {
    inner: Arc<AccessInner>,
}

#[derive(Debug)]
pub(crate) struct AccessInner {
    library: Arc<LibraryInner>,
    raw: Arc<RawParams>,
    vm: String,
    identity: CString,
    open: bool,
}

impl Access {
    pub(crate) fn prepare(
        library: &Library,
        params: &ConnectParams,
        identity: &str,
    ) -> Result<Self, Error> {
        let (vm, identity) = checked(params, identity)?;
        let library = Arc::clone(&library.inner);
        let raw = RawParams::remote(library.control.loaded(), params)?;
        let (raw_there, identity_there, vm_there) =
            (Arc::clone(&raw), identity.clone(), vm.clone());
        library
            .control
            .run("VixDiskLib_PrepareForAccess", move |symbols| {
                // SAFETY: parameters and identity live through the call.
                let result = unsafe {
                    symbols.VixDiskLib_PrepareForAccess(raw_there.as_ptr(), identity_there.as_ptr())
                }?;
                check(
                    symbols,
                    "VixDiskLib_PrepareForAccess",
                    Some(&vm_there),
                    None,
                    result,
                )?;
                Ok::<_, Error>(Prepared {
                    needed: Some((raw_there, identity_there)),
                    vm: vm_there,
                    symbols,
                })
            })??
            .keep();
        Ok(Self {
            inner: Arc::new(AccessInner {
                library,
                raw,
                vm,
                identity,
                open: true,
            }),
        })
    }

    pub(crate) fn end(
        library: &Library,
        params: &ConnectParams,
        identity: &str,
    ) -> Result<(), Error> {
        let (vm, identity) = checked(params, identity)?;
        let control = &library.inner.control;
        let raw = RawParams::remote(control.loaded(), params)?;
        control.run(END_ACCESS, move |symbols| {
            end_access(symbols, &raw, &identity, &vm)
        })?
    }

    /// Connects to the server (`VixDiskLib_ConnectEx`).
    ///
    /// # Errors
    /// [`Error::Call`], for instance on a wrong password or an unknown snapshot. A wrong thumbprint
    /// shows only when a disk is opened.
    #[doc(alias = "VixDiskLib_ConnectEx")]
    pub fn connect(&self, options: &ConnectOptions) -> Result<Connection, Error> {
        let inner = &self.inner;
        Connection::open_to(
            &inner.library,
            Some(Arc::clone(inner)),
            Arc::clone(&inner.raw),
            options,
        )
    }

    /// Allows the VM to be moved again (`VixDiskLib_EndAccess`).
    ///
    /// # Errors
    /// [`Error::Argument`] while a connection made from this is open; [`Error::Call`];
    /// [`Error::Stuck`] while another call hangs: it is ended as soon as the library answers.
    #[doc(alias = "VixDiskLib_EndAccess")]
    pub fn close(self) -> Result<(), Error> {
        match Arc::try_unwrap(self.inner) {
            Ok(mut inner) => inner.close_inner(),
            Err(_) => Err(Error::Argument {
                what: "ending access while a connection is open".to_owned(),
            }),
        }
    }
}

impl AccessInner {
    fn close_inner(&mut self) -> Result<(), Error> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        let (raw, identity) = (Arc::clone(&self.raw), self.identity.clone());
        let vm = self.vm.clone();
        self.library.control.undo(END_ACCESS, move |symbols| {
            end_access(symbols, &raw, &identity, &vm)
        })
    }
}

impl Drop for AccessInner {
    fn drop(&mut self) {
        if let Err(error) = self.close_inner() {
            tracing::warn!(%error, "access was not ended");
        }
    }
}

/// Runs on the control thread.
fn end_access(symbols: &Symbols, raw: &RawParams, identity: &CStr, vm: &str) -> Result<(), Error> {
    // SAFETY: parameters and identity live through the call.
    let result = unsafe { symbols.VixDiskLib_EndAccess(raw.as_ptr(), identity.as_ptr()) }?;
    check(symbols, END_ACCESS, Some(vm), None, result)
}

/// An access on its way to its owner. One that does not arrive is ended, on the control thread.
struct Prepared {
    /// What ending it needs; `None` once it has arrived.
    needed: Option<(Arc<RawParams>, CString)>,
    vm: String,
    symbols: &'static Symbols,
}

impl Prepared {
    fn keep(mut self) {
        self.needed = None;
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some((raw, identity)) = self.needed.take()
            && let Err(error) = end_access(self.symbols, &raw, &identity, &self.vm)
        {
            tracing::warn!(%error, "a late access was not ended");
        }
    }
}

fn checked(params: &ConnectParams, identity: &str) -> Result<(String, CString), Error> {
    let vm = params.target.vm_name().ok_or_else(|| Error::Argument {
        what: format!("access to {}, which is no VM", params.target),
    })?;
    if identity.is_empty() || identity.len() > IDENTITY_BYTES {
        return Err(Error::Argument {
            what: format!(
                "an identity of {} bytes (1 to {IDENTITY_BYTES} are allowed)",
                identity.len()
            ),
        });
    }
    let identity = CString::new(identity).map_err(|_| Error::Argument {
        what: "an identity with a NUL byte".to_owned(),
    })?;
    Ok((vm.to_owned(), identity))
}

#[cfg(test)]
mod tests {
    use super::Access;
    static_assertions::assert_impl_all!(Access: Send, Sync);
}
