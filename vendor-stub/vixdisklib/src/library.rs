//! The state of the library in this process: before `InitEx`, between, after `Exit`.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;

use lab::{Faults, Lab};
use vddk_sys as sys;

use crate::config::Config;
use crate::error::Failure;
use crate::script::Script;

/// What lives from `InitEx` to `Exit`.
#[derive(Debug)]
pub(crate) struct Library {
    /// The lab and how to behave.
    pub(crate) script: Script,
    /// VDDK's own settings.
    pub(crate) config: Config,
    /// What shall go wrong; `None` without a lab.
    faults: Option<Faults>,
    idle: Mutex<Option<Idle>>,
}

/// The thread the real library starts too. A program that forks after `InitEx` loses it.
#[derive(Debug)]
struct Idle {
    stop: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

#[derive(Debug)]
enum State {
    Fresh,
    Ready(Arc<Library>),
    Ended,
}

static STATE: RwLock<State> = RwLock::new(State::Fresh);

/// The library, once `InitEx` was called.
///
/// # Errors
///
/// `VIX_E_DISK_NOINIT` before `InitEx` and after `Exit`.
pub(crate) fn current() -> Result<Arc<Library>, Failure> {
    match &*STATE.read().unwrap_or_else(PoisonError::into_inner) {
        State::Ready(library) => Ok(Arc::clone(library)),
        State::Fresh | State::Ended => Err(Failure::new(
            sys::VIX_E_DISK_NOINIT,
            "the library is not initialised",
        )),
    }
}

/// The lab, if the library is initialised and has one.
pub(crate) fn lab() -> Option<Lab> {
    current().ok()?.script.lab.clone()
}

/// The faults of the lab, if the library is initialised and has one.
pub(crate) fn faults() -> Option<Faults> {
    current().ok()?.faults.clone()
}

/// Starts the library.
///
/// # Errors
///
/// `VIX_E_DISK_SUBSYSTEM_INIT_FAIL` if it was started before: the programming guide allows one
/// `InitEx` a process. A start that failed may be repeated.
pub(crate) fn start(script: Script, config: Config) -> Result<(), Failure> {
    let refused = |message: String| Failure::new(sys::VIX_E_DISK_SUBSYSTEM_INIT_FAIL, message);
    let mut state = STATE.write().unwrap_or_else(PoisonError::into_inner);
    match &*state {
        State::Fresh => {}
        State::Ready(_) => return Err(refused("the library is initialised already".into())),
        State::Ended => {
            return Err(refused(
                "the library was ended and cannot start again".into(),
            ));
        }
    }
    let (stop, stopped) = mpsc::channel::<()>();
    let thread = thread::Builder::new()
        .name("vixdisklib-idle".into())
        .spawn(move || while stopped.recv().is_ok() {})
        .map_err(|error| refused(format!("failed to start a thread: {error}")))?;
    let idle = Mutex::new(Some(Idle { stop, thread }));
    *state = State::Ready(Arc::new(Library {
        faults: script.lab.as_ref().map(Lab::faults),
        script,
        config,
        idle,
    }));
    Ok(())
}

/// Ends the library for good. The caller has closed all disks.
pub(crate) fn end() {
    stop(State::Ended);
}

/// Takes a start back, so that it may be repeated.
pub(crate) fn undo_start() {
    stop(State::Fresh);
}

fn stop(next: State) {
    let state = {
        let mut state = STATE.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *state, next)
    };
    if let State::Ready(library) = state {
        let idle = library
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Joined, not detached: the program may unload the library next.
        if let Some(Idle { stop, thread }) = idle {
            drop(stop);
            let _ = thread.join();
        }
    }
}
