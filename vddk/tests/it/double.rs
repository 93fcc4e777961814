//! Functions of our own in place of a library: they lie as a test wants it.
//!
//! They need no file, no lab and no process of their own, so Miri can run them too. One test at a
//! time has them, by [`Double::start`].

mod functions;

use std::{
    ffi::c_void,
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use vddk::{
    ConfigSource, ConnectParams, Connection, Disk, Library, LibraryOptions, OpenOptions, Secret,
};
use vddk_sys::{Loaded, Symbols, VixDiskLibCompletionCB};

use functions::function;

/// Sectors of the double's disk.
pub(crate) const CAPACITY_SECTORS: u64 = 1024;

const OK: u64 = 0;

/// What the double says. By default nothing but the truth.
#[derive(Clone, Copy, Default)]
pub(crate) struct Script {
    /// `GetInfo` succeeds and gives nothing.
    pub(crate) no_info: bool,
    /// The texts in the info, and of `GetTransportMode`, are NULL or no UTF-8.
    pub(crate) info_text: Option<&'static [u8]>,
    pub(crate) transport: Option<&'static [u8]>,
    /// `GetErrorText` gives this.
    pub(crate) error_text: Option<&'static [u8]>,
    /// What `Open` answers.
    pub(crate) open: u64,
    /// The count and the runs of a block list; a NULL list without.
    pub(crate) blocks: Option<(u32, &'static [(u64, u64)])>,
    /// With a seed, requests end as chance wants it; without, inside the call.
    pub(crate) seed: Option<u64>,
    /// What `Cleanup` counts and answers.
    pub(crate) cleanup: (u32, u32, u64),
    /// The function that does not return before [`Double::release`].
    pub(crate) hang: Option<&'static str>,
    /// How long a call may take; without, ten minutes.
    pub(crate) limit: Option<Duration>,
}

/// A request that is to be completed later.
struct Late {
    callback: VixDiskLibCompletionCB,
    data: *mut c_void,
    start_sector: u64,
    sectors: u64,
    buffer: *mut u8,
}

// SAFETY: the pointers are used by one thread at a time: who takes the value out of the list.
unsafe impl Send for Late {}

#[derive(Default)]
struct State {
    script: Script,
    random: u64,
    late: Vec<Late>,
    ending: bool,
    opened: usize,
    closed: usize,
    completed: usize,
    thread: Option<JoinHandle<()>>,
    /// What was called, in order.
    calls: Vec<&'static str>,
    /// The call that hangs may return.
    released: bool,
    /// It was called.
    hanging: bool,
}

impl State {
    /// A number below `limit`, by the seed.
    fn chance(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % limit
    }
}

static STATE: Mutex<Option<State>> = Mutex::new(None);
static CHANGED: Condvar = Condvar::new();
/// Who holds it has the double.
static TURN: Mutex<()> = Mutex::new(());

fn lock() -> MutexGuard<'static, Option<State>> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<R>(change: impl FnOnce(&mut State) -> R) -> R {
    change(lock().get_or_insert_default())
}

/// The double, started. Dropping it checks that what was opened was closed.
pub(crate) struct Double {
    connection: Option<Connection>,
    library: Option<Library>,
    _turn: MutexGuard<'static, ()>,
}

impl Double {
    pub(crate) fn start(script: Script) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        *lock() = Some(State {
            script,
            random: script.seed.unwrap_or_default() | 1 << 40,
            ..State::default()
        });
        let default = LibraryOptions::default();
        let options = LibraryOptions {
            config: ConfigSource::Unnamed,
            call_limit: script.limit.unwrap_or(default.call_limit),
            ..default
        };
        // SAFETY: functions of our own, which are started as often as one likes; `turn` sees to it
        // that this happens one after another.
        let library = unsafe { Library::with_loaded(loaded(), options) }.unwrap();
        let connection = library.connect_local(false).unwrap();
        Self {
            connection: Some(connection),
            library: Some(library),
            _turn: turn,
        }
    }

    pub(crate) fn open(&self, options: &OpenOptions) -> Result<Disk, vddk::Error> {
        self.connection
            .as_ref()
            .unwrap()
            .open("/disk.vmdk", options)
    }

    pub(crate) fn library(&self) -> &Library {
        self.library.as_ref().unwrap()
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }

    /// What is needed to close them by hand. The double itself stays until it is dropped.
    pub(crate) fn take(&mut self) -> (Connection, Library) {
        (
            self.connection.take().unwrap(),
            self.library.take().unwrap(),
        )
    }

    /// For a server of the double's own.
    pub(crate) fn params() -> ConnectParams {
        ConnectParams::builder()
            .server("double")
            .user("u", Secret::new("p".to_owned()))
            .vm_moref("vm-1")
            .build()
            .unwrap()
    }

    /// From now on the function hangs, until the next release.
    pub(crate) fn hang(function: &'static str) {
        with(|state| {
            state.script.hang = Some(function);
            state.released = false;
            state.hanging = false;
        });
    }

    /// Waits until the function that hangs was called.
    pub(crate) fn wait_for_hang() {
        Self::wait_until("the call that hangs", |state| state.hanging);
    }

    /// Lets the call that hangs return.
    pub(crate) fn release() {
        with(|state| state.released = true);
        CHANGED.notify_all();
    }

    /// Waits until a function was called.
    pub(crate) fn wait_for_call(function: &str) {
        Self::wait_for_calls(function, 1);
    }

    /// Waits until a function was called so often.
    pub(crate) fn wait_for_calls(function: &str, times: usize) {
        Self::wait_until(function, |state| {
            state.calls.iter().filter(|one| **one == function).count() >= times
        });
    }

    fn wait_until(what: &str, is_so: impl Fn(&State) -> bool) {
        let waited = CHANGED.wait_timeout_while(lock(), Duration::from_mins(1), |state| {
            !is_so(state.get_or_insert_default())
        });
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        assert!(!waited.timed_out(), "{what} does not come");
    }

    /// What was called so far, of these functions, in order.
    pub(crate) fn calls_of(functions: &[&str]) -> Vec<&'static str> {
        let calls = with(|state| state.calls.clone());
        calls
            .into_iter()
            .filter(|call| functions.contains(call))
            .collect()
    }

    /// How many completions were called so far.
    pub(crate) fn completed() -> usize {
        with(|state| state.completed)
    }

    /// Closes all, and wants as many handles closed as were opened.
    pub(crate) fn end(mut self) {
        self.connection.take().unwrap().close().unwrap();
        assert!(self.library.take().unwrap().close().unwrap());
        let (opened, closed) = with(|state| (state.opened, state.closed));
        assert_eq!(opened, closed, "handles opened and closed");
    }
}

/// One table for all, which lives as long as the process.
fn loaded() -> &'static Loaded {
    static LOADED: OnceLock<Loaded> = OnceLock::new();
    LOADED.get_or_init(|| {
        // SAFETY: `function` gives a function of the type of that name, as the casts in it show;
        // what is not called gets one that ends the process.
        let symbols = unsafe { Symbols::from_lookup(|name| Some(function(name))) }.unwrap();
        Loaded::from_symbols(symbols, PathBuf::from("/double"), Some(8))
    })
}

/// Notes a call, and lets it hang where the script says so.
fn enter(function: &'static str) {
    let mut state = lock();
    state.get_or_insert_default().calls.push(function);
    CHANGED.notify_all();
    while {
        let now = state.get_or_insert_default();
        now.script.hang == Some(function) && !now.released
    } {
        if !std::mem::replace(&mut state.get_or_insert_default().hanging, true) {
            CHANGED.notify_all();
        }
        state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// What every byte of a sector is.
pub(crate) fn byte_of(sector: u64) -> u8 {
    (sector % 251) as u8 + 1
}
