//! The loaded library: one a process.

use std::{
    ffi::CString,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use vddk_sys::{Report, Symbol, Symbols};

use crate::{
    Access, ConnectOptions, ConnectParams, Connection, Error, TransportMode, TransportPolicy,
    callback,
    config::{Config, ConfigSource, Prepared},
    control::{Control, NoAnswer, check},
    info,
    params::RawParams,
    watch::Watch,
};

/// The interface this crate was written for. Every library from 6.5 to 9 accepts it.
const INTERFACE: (u32, u32) = (6, 5);

const INIT: &str = "VixDiskLib_InitEx";

/// How the library is found and started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LibraryOptions {
    /// The library file, the kit's root or its `lib64`; else `VDDK_LIBDIR`, else the customary
    /// folders.
    pub location: Option<PathBuf>,
    /// Where VDDK's own settings come from; the advised ones unless set.
    pub config: ConfigSource,
    /// How long a call that opens, closes or connects may take, from the moment when it is made.
    /// After it the call is given up, and others are refused until it returns. Calls that copy or
    /// rearrange whole disks have no limit, and the others wait for them.
    pub call_limit: Duration,
}

impl Default for LibraryOptions {
    fn default() -> Self {
        Self {
            location: None,
            config: ConfigSource::Recommended,
            call_limit: Duration::from_mins(10),
        }
    }
}

/// VixDiskLib, loaded and started.
///
/// There is one in a process: a second [`Library::load`] with the same options gives the same one.
/// It is a cheap handle; the library ends when the last handle, and the last thing made from it, is
/// gone. Its code is never unloaded.
#[derive(Clone, Debug)]
pub struct Library {
    pub(crate) inner: Arc<LibraryInner>,
}

#[derive(Debug)]
pub(crate) struct LibraryInner {
    pub(crate) control: Control,
    pub(crate) watch: Watch,
    options: LibraryOptions,
    /// The settings, and their file when it is ours: it stays until the library has ended.
    config: Arc<Prepared>,
    /// `Exit` is still to be called.
    started: bool,
    /// A disk was given up while VDDK still reads from it: `Exit` would meet an open handle.
    abandoned: AtomicBool,
}

enum State {
    Never,
    Started(Weak<LibraryInner>),
    /// `InitEx` was called and did not return: whether it will, and what it left, nobody knows.
    Stuck,
}

static STATE: Mutex<State> = Mutex::new(State::Never);

/// What was ever loaded, whether it could be started or not.
static LOADED: Mutex<Vec<&'static vddk_sys::Loaded>> = Mutex::new(Vec::new());

/// Loads the library for good: its threads may outlive any moment that we could choose to unload it.
fn loaded(location: Option<&Path>) -> Result<&'static vddk_sys::Loaded, Error> {
    let loaded = &*Box::leak(Box::new(vddk_sys::load(location)?));
    LOADED
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(loaded);
    Ok(loaded)
}

impl Library {
    /// Finds, loads and starts the library (`VixDiskLib_InitEx`).
    ///
    /// Call it after the last `fork`: the library starts threads.
    ///
    /// # Errors
    /// [`Error::Load`] when it is not found or not usable, [`Error::Config`] for settings that it
    /// cannot be given, [`Error::OtherSettings`] when it runs with other options,
    /// [`Error::Exited`] when it was ended before, [`Error::Call`] when `InitEx` fails (it may be
    /// tried again), [`Error::Stuck`] when it does not return, and from then on for ever.
    #[doc(alias = "VixDiskLib_InitEx")]
    pub fn load(options: LibraryOptions) -> Result<Self, Error> {
        let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Never => {}
            State::Stuck => return Err(Error::Stuck { function: INIT }),
            State::Started(weak) => {
                let inner = weak.upgrade().ok_or(Error::Exited)?;
                return if inner.options == options {
                    Ok(Self { inner })
                } else {
                    Err(Error::OtherSettings)
                };
            }
        }
        let loaded = loaded(options.location.as_deref())?;
        let inner = LibraryInner::start(loaded, options).inspect_err(|none| {
            if let NoAnswer::Begun(_) = none {
                *state = State::Stuck;
            }
        })?;
        *state = State::Started(Arc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// Starts functions that a test made itself. They are another library than the process's one,
    /// so this may be called often.
    ///
    /// # Errors
    /// As [`Library::load`].
    ///
    /// # Safety
    /// They are not those of a real library that [`Library::load`] starts too, or that this starts
    /// twice at a time: `InitEx` is called once a process, and nobody sees to that here.
    #[doc(hidden)]
    pub unsafe fn with_loaded(
        loaded: &'static vddk_sys::Loaded,
        options: LibraryOptions,
    ) -> Result<Self, Error> {
        let inner = LibraryInner::start(loaded, options)?;
        Ok(Self { inner })
    }

    /// The file that was loaded.
    pub fn path(&self) -> &'static Path {
        self.inner.control.loaded().path()
    }

    /// The interface number (6 to 9): that of the SONAME, else that of the file's name.
    pub fn major(&self) -> Option<u32> {
        self.inner.control.loaded().major()
    }

    /// VDDK's settings; `None` where they come from [`ConfigSource::Unnamed`] files.
    pub fn config(&self) -> Option<&Config> {
        self.inner.config.settings()
    }

    /// What is known of the loaded library without calling it: path, SONAME, `libDir`, functions.
    pub fn report(&self) -> Report {
        self.inner.control.loaded().report()
    }

    /// Each function of the interface, and whether this library has it.
    pub fn functions(&self) -> Vec<(Symbol, bool)> {
        self.inner.control.loaded().symbols().found()
    }

    /// How often each function of the interface was called in this process.
    pub fn calls(&self) -> Vec<(Symbol, u64)> {
        self.inner.control.loaded().symbols().calls()
    }

    /// The transports that the library offers, in its own form, for instance
    /// `file:san:hotadd:nbdssl:nbd` (`VixDiskLib_ListTransportModes`).
    ///
    /// It tells what the library could do, not whether a disk is reached so. `None` where the
    /// library has no such function or gives no list.
    #[doc(alias = "VixDiskLib_ListTransportModes")]
    pub fn transport_modes(&self) -> Option<String> {
        let listed = self
            .inner
            .control
            .run("VixDiskLib_ListTransportModes", |symbols| {
                // SAFETY: takes nothing, and the library is started (VDDK API reference, 1.3).
                let modes = unsafe { symbols.VixDiskLib_ListTransportModes() }.ok()?;
                // SAFETY: NULL or a static string of the library.
                unsafe { info::text(modes) }
            });
        listed.ok().flatten()
    }

    /// Tells vCenter that the VM named in `params` must not be moved (`VixDiskLib_PrepareForAccess`).
    ///
    /// Call it before the snapshot is made. `identity` is free text of at most 50 bytes; a later
    /// process can undo the call with the same text ([`Library::end_access`]).
    ///
    /// # Errors
    /// [`Error::Argument`] for an unfit identity or parameters without VM,
    /// [`Error::MissingFunction`] before VDDK 5.0, [`Error::Call`] when vCenter refuses: for want
    /// of a privilege, or because another holder has disabled the method.
    #[doc(alias = "VixDiskLib_PrepareForAccess")]
    pub fn prepare_for_access(
        &self,
        params: &ConnectParams,
        identity: &str,
    ) -> Result<Access, Error> {
        Access::prepare(self, params, identity)
    }

    /// Undoes the `PrepareForAccess` of a process that died (`VixDiskLib_EndAccess`).
    ///
    /// # Errors
    /// As [`Library::prepare_for_access`].
    #[doc(alias = "VixDiskLib_EndAccess")]
    pub fn end_access(&self, params: &ConnectParams, identity: &str) -> Result<(), Error> {
        Access::end(self, params, identity)
    }

    /// Connects without `PrepareForAccess`, as a bare ESXi host needs it.
    ///
    /// # Errors
    /// [`Error::Call`], for instance on a wrong password.
    #[doc(alias = "VixDiskLib_ConnectEx")]
    pub fn connect(
        &self,
        params: &ConnectParams,
        options: &ConnectOptions,
    ) -> Result<Connection, Error> {
        let raw = RawParams::remote(self.inner.control.loaded(), params)?;
        Connection::open_to(&self.inner, None, raw, options)
    }

    /// A connection for VMDK files of this machine.
    ///
    /// # Errors
    /// [`Error::Call`].
    #[doc(alias = "VixDiskLib_ConnectEx")]
    pub fn connect_local(&self, read_only: bool) -> Result<Connection, Error> {
        let raw = RawParams::local(self.inner.control.loaded().symbols())?;
        let options = ConnectOptions {
            read_only,
            ..ConnectOptions::writable(TransportMode::File.into())
        }
        .with_policy(TransportPolicy::Require);
        Connection::open_to(&self.inner, None, raw, &options)
    }

    /// Removes what earlier crashed runs left for that server, above all disks still attached to
    /// this proxy by HotAdd (`VixDiskLib_Cleanup`).
    ///
    /// Call it after the disks are closed and before the snapshot is removed, and not while another
    /// process of this machine uses HotAdd. Of `params` only server and login are passed on.
    ///
    /// # Errors
    /// [`Error::MissingFunction`]; [`Error::Cleanup`] with both counters.
    #[doc(alias = "VixDiskLib_Cleanup")]
    pub fn cleanup(&self, params: &ConnectParams) -> Result<Cleanup, Error> {
        let raw = RawParams::server_only(self.inner.control.loaded(), params)?;
        let server = params.server.clone();
        self.inner
            .control
            .run("VixDiskLib_Cleanup", move |symbols| {
                let mut report = Cleanup::default();
                // SAFETY: the parameters live in `raw` through the call; both counters are ours.
                let result = unsafe {
                    symbols.VixDiskLib_Cleanup(
                        raw.as_ptr(),
                        &raw mut report.cleaned_up,
                        &raw mut report.remaining,
                    )
                }?;
                match check(symbols, "VixDiskLib_Cleanup", Some(&server), None, result) {
                    Ok(()) => Ok(report),
                    Err(Error::Call(call)) => Err(Error::Cleanup { call, report }),
                    Err(other) => Err(other),
                }
            })?
    }

    /// Ends the library if this is the last handle (`VixDiskLib_Exit`, which takes about a second).
    ///
    /// Returns true where the library was ended. False says that it was not: it is still in use, by
    /// another handle or by what was made from one, or a disk was given up, and then VDDK keeps
    /// running until the process ends.
    ///
    /// # Errors
    /// [`Error::Stuck`] while a call hangs: it is ended as soon as the library answers.
    #[doc(alias = "VixDiskLib_Exit")]
    pub fn close(self) -> Result<bool, Error> {
        Arc::into_inner(self.inner).map_or(Ok(false), |mut inner| inner.close_inner())
    }
}

/// What `InitEx` needs: the kit's path and the settings', the settings, the clock, the thread.
type Needed = (CString, Option<CString>, Arc<Prepared>, Watch, Control);

impl LibraryInner {
    /// Makes everything ready before `InitEx`, so that nothing can fail after it. The clock makes no
    /// call of VDDK's.
    fn prepare(
        loaded: &'static vddk_sys::Loaded,
        options: &LibraryOptions,
    ) -> Result<Needed, Error> {
        let kit = c_path(loaded.kit())?;
        let settings = options.config.prepare(loaded.major())?;
        let config = settings.path().map(c_path).transpose()?;
        let control = Control::start(loaded, options.call_limit)?;
        Ok((kit, config, Arc::new(settings), Watch::start()?, control))
    }

    /// Calls `InitEx`.
    fn start(
        loaded: &'static vddk_sys::Loaded,
        options: LibraryOptions,
    ) -> Result<Arc<Self>, NoAnswer> {
        let prepared = Self::prepare(loaded, &options).map_err(NoAnswer::NotMade)?;
        let (kit, config, settings, watch, control) = prepared;
        let settings_there = Arc::clone(&settings);
        let started = control.run(INIT, move |symbols| {
            let config = config
                .as_ref()
                .map_or(std::ptr::null(), |path| path.as_ptr());
            // SAFETY: the log functions have the right signature and live for ever; both paths are
            // C strings that outlive the call; nobody else calls InitEx, which STATE sees to, or the
            // caller of `with_loaded`.
            let result = unsafe {
                symbols.VixDiskLib_InitEx(
                    INTERFACE.0,
                    INTERFACE.1,
                    Some(callback::log),
                    Some(callback::warn),
                    Some(callback::panic),
                    kit.as_ptr(),
                    config,
                )
            };
            check(symbols, INIT, None, None, result)?;
            Ok(Begun {
                symbols: Some(symbols),
                _settings: settings_there,
            })
        })?;
        started.map_err(NoAnswer::NotMade)?.keep();
        tracing::debug!(path = %loaded.path().display(), major = ?loaded.major(), "VixDiskLib started");
        Ok(Arc::new(Self {
            control,
            watch,
            options,
            config: settings,
            started: true,
            abandoned: AtomicBool::new(false),
        }))
    }

    /// Under half of the shortest NFC time-out that is set. Where none is known a server may still
    /// close an idle link, so then by the shortest that the guide advises, which is one minute.
    pub(crate) fn keep_alive_interval(&self) -> Option<Duration> {
        self.config
            .settings()
            .and_then(Config::keep_alive_interval)
            .or(Config::recommended().keep_alive_interval())
    }

    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Release);
    }

    /// Returns true where `Exit` was called.
    fn close_inner(&mut self) -> Result<bool, Error> {
        if !std::mem::take(&mut self.started) || self.abandoned.load(Ordering::Acquire) {
            return Ok(false);
        }
        // Though nobody may wait for it, its settings stay until it has ended.
        let settings = Arc::clone(&self.config);
        self.control.undo("VixDiskLib_Exit", move |symbols| {
            // SAFETY: the last handle is gone, so no connection and no disk is open: their ends
            // were queued before this one. This is the thread that called InitEx.
            unsafe { symbols.VixDiskLib_Exit() };
            drop(settings);
            Ok(())
        })?;
        Ok(true)
    }
}

/// A library that was started, on its way to its owner. One that does not arrive is ended, on the
/// control thread.
struct Begun {
    symbols: Option<&'static Symbols>,
    /// Their file is there as long as the library may read it.
    _settings: Arc<Prepared>,
}

impl Begun {
    fn keep(mut self) {
        self.symbols = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(symbols) = self.symbols {
            // SAFETY: InitEx has succeeded on this thread, nobody else knows of it, and nothing was
            // connected or opened.
            unsafe { symbols.VixDiskLib_Exit() };
        }
    }
}

impl Drop for LibraryInner {
    fn drop(&mut self) {
        if let Err(error) = self.close_inner() {
            tracing::warn!(%error, "VixDiskLib_Exit was not called");
        }
    }
}

/// What [`Library::cleanup`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// VMs that were cleaned up.
    pub cleaned_up: u32,
    /// VMs that are left.
    pub remaining: u32,
}

fn c_path(path: &Path) -> Result<CString, Error> {
    CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Error::Argument {
        what: format!("the path {} holds a NUL byte", path.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::Library;
    static_assertions::assert_impl_all!(Library: Send, Sync, Clone);
}
