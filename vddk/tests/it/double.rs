//! Functions of our own in place of a library: they lie as a test wants it.
//!
//! They need no file, no lab and no process of their own, so Miri can run them too. One test at a
//! time has them, by [`Double::start`].

use std::{
    ffi::{c_char, c_void},
    path::PathBuf,
    ptr::null_mut,
    sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
    thread::JoinHandle,
};

use std::time::Duration;

use vddk::{
    ConfigSource, ConnectParams, Connection, Disk, Library, LibraryOptions, OpenOptions, Secret,
};
use vddk_sys::{
    Loaded, Symbols, VIX_ASYNC, VIX_E_HOST_TCP_CONN_LOST, VIX_E_OUT_OF_MEMORY, VixDiskLibBlockList,
    VixDiskLibCompletionCB, VixDiskLibConnectParams, VixDiskLibConnection,
    VixDiskLibGenericLogFunc, VixDiskLibHandle, VixDiskLibInfo, VixDiskLibProgressFunc,
    functions as f,
};

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

/// Not one of these is called.
extern "C" fn unused() {
    std::process::abort();
}

fn function(name: &'static str) -> *const () {
    match name {
        "VixDiskLib_InitEx" => init as f::VixDiskLib_InitEx as _,
        "VixDiskLib_Exit" => exit as f::VixDiskLib_Exit as _,
        "VixDiskLib_GetErrorText" => error_text as f::VixDiskLib_GetErrorText as _,
        "VixDiskLib_FreeErrorText" => free_error_text as f::VixDiskLib_FreeErrorText as _,
        "VixDiskLib_ConnectEx" => connect as f::VixDiskLib_ConnectEx as _,
        "VixDiskLib_Disconnect" => disconnect as f::VixDiskLib_Disconnect as _,
        "VixDiskLib_Open" => open as f::VixDiskLib_Open as _,
        "VixDiskLib_Close" => close as f::VixDiskLib_Close as _,
        "VixDiskLib_GetInfo" => info as f::VixDiskLib_GetInfo as _,
        "VixDiskLib_FreeInfo" => free_info as f::VixDiskLib_FreeInfo as _,
        "VixDiskLib_GetTransportMode" => transport as f::VixDiskLib_GetTransportMode as _,
        "VixDiskLib_ReadAsync" => read_async as f::VixDiskLib_ReadAsync as _,
        "VixDiskLib_WriteAsync" => write_async as f::VixDiskLib_WriteAsync as _,
        "VixDiskLib_Flush" => flush as f::VixDiskLib_Flush as _,
        "VixDiskLib_Wait" => wait as f::VixDiskLib_Wait as _,
        "VixDiskLib_QueryAllocatedBlocks" => query as f::VixDiskLib_QueryAllocatedBlocks as _,
        "VixDiskLib_FreeBlockList" => free_blocks as f::VixDiskLib_FreeBlockList as _,
        "VixDiskLib_AllocateConnectParams" => {
            allocate_params as f::VixDiskLib_AllocateConnectParams as _
        }
        "VixDiskLib_FreeConnectParams" => free_params as f::VixDiskLib_FreeConnectParams as _,
        "VixDiskLib_PrepareForAccess" => prepare as f::VixDiskLib_PrepareForAccess as _,
        "VixDiskLib_EndAccess" => end_access as f::VixDiskLib_EndAccess as _,
        "VixDiskLib_Cleanup" => cleanup as f::VixDiskLib_Cleanup as _,
        "VixDiskLib_Grow" => grow as f::VixDiskLib_Grow as _,
        "VixDiskLib_Attach" => attach as f::VixDiskLib_Attach as _,
        "VixDiskLib_GetMetadataKeys" => keys as f::VixDiskLib_GetMetadataKeys as _,
        _ => unused as extern "C" fn() as _,
    }
}

unsafe extern "C" fn init(
    _: u32,
    _: u32,
    log: VixDiskLibGenericLogFunc,
    _: VixDiskLibGenericLogFunc,
    _: VixDiskLibGenericLogFunc,
    _: *const c_char,
    _: *const c_char,
) -> u64 {
    enter("VixDiskLib_InitEx");
    // SAFETY: a log function, which has to bear NULL.
    unsafe { log.unwrap()(std::ptr::null(), null_mut()) };
    let thread = std::thread::spawn(complete_late);
    with(|state| state.thread = Some(thread));
    OK
}

unsafe extern "C" fn exit() {
    let thread = with(|state| {
        state.ending = true;
        state.thread.take()
    });
    CHANGED.notify_all();
    thread.unwrap().join().unwrap();
    // Last: who waits for this call may begin the next double.
    enter("VixDiskLib_Exit");
}

unsafe extern "C" fn error_text(_: u64, _: *const c_char) -> *mut c_char {
    with(|state| state.script.error_text).map_or(null_mut(), |text| {
        assert_eq!(text.last(), Some(&0));
        text.as_ptr().cast_mut().cast()
    })
}

unsafe extern "C" fn free_error_text(_: *mut c_char) {}

unsafe extern "C" fn connect(
    params: *const VixDiskLibConnectParams,
    _: c_char,
    _: *const c_char,
    modes: *const c_char,
    _: *mut VixDiskLibConnection,
) -> u64 {
    enter("VixDiskLib_ConnectEx");
    assert!(!params.is_null() && !modes.is_null());
    // The pointer stays as it was: only the code counts (VDDK API reference, 1.5).
    OK
}

unsafe extern "C" fn disconnect(_: VixDiskLibConnection) -> u64 {
    enter("VixDiskLib_Disconnect");
    OK
}

unsafe extern "C" fn allocate_params() -> *mut VixDiskLibConnectParams {
    // SAFETY: zero is a value for every field.
    Box::into_raw(Box::new(unsafe { std::mem::zeroed() }))
}

unsafe extern "C" fn free_params(params: *mut VixDiskLibConnectParams) {
    enter("VixDiskLib_FreeConnectParams");
    // SAFETY: it came from `allocate_params`, and comes back once.
    drop(unsafe { Box::from_raw(params) });
}

unsafe extern "C" fn prepare(_: *const VixDiskLibConnectParams, _: *const c_char) -> u64 {
    enter("VixDiskLib_PrepareForAccess");
    OK
}

unsafe extern "C" fn end_access(_: *const VixDiskLibConnectParams, _: *const c_char) -> u64 {
    enter("VixDiskLib_EndAccess");
    OK
}

unsafe extern "C" fn cleanup(
    _: *const VixDiskLibConnectParams,
    cleaned_up: *mut u32,
    remaining: *mut u32,
) -> u64 {
    let (cleaned, left, code) = with(|state| state.script.cleanup);
    // SAFETY: the caller's own variable.
    unsafe { cleaned_up.write(cleaned) };
    // SAFETY: as above.
    unsafe { remaining.write(left) };
    code
}

unsafe extern "C" fn grow(
    _: VixDiskLibConnection,
    _: *const c_char,
    _: u64,
    _: c_char,
    _: VixDiskLibProgressFunc,
    _: *mut c_void,
) -> u64 {
    enter("VixDiskLib_Grow");
    OK
}

unsafe extern "C" fn attach(_: VixDiskLibHandle, _: VixDiskLibHandle) -> u64 {
    enter("VixDiskLib_Attach");
    OK
}

/// There are none.
unsafe extern "C" fn keys(
    _: VixDiskLibHandle,
    _: *mut c_char,
    _: usize,
    required: *mut usize,
) -> u64 {
    enter("VixDiskLib_GetMetadataKeys");
    // SAFETY: the caller's own variable, or NULL.
    if let Some(required) = unsafe { required.as_mut() } {
        *required = 0;
    }
    OK
}

unsafe extern "C" fn open(
    _: VixDiskLibConnection,
    _: *const c_char,
    _: u32,
    handle: *mut VixDiskLibHandle,
) -> u64 {
    enter("VixDiskLib_Open");
    let code = with(|state| {
        state.opened += usize::from(state.script.open == OK);
        state.script.open
    });
    if code == OK {
        // SAFETY: the caller's own variable.
        unsafe { handle.write(std::ptr::without_provenance_mut(16)) };
    }
    code
}

unsafe extern "C" fn close(_: VixDiskLibHandle) -> u64 {
    enter("VixDiskLib_Close");
    with(|state| {
        assert!(state.late.is_empty(), "closed with requests in flight");
        state.closed += 1;
    });
    OK
}

unsafe extern "C" fn info(_: VixDiskLibHandle, info: *mut *mut VixDiskLibInfo) -> u64 {
    let script = with(|state| state.script);
    if script.no_info {
        return OK;
    }
    // SAFETY: zero is a value for every field.
    let mut object: Box<VixDiskLibInfo> = Box::new(unsafe { std::mem::zeroed() });
    object.capacity = CAPACITY_SECTORS;
    object.numLinks = -1;
    if let Some(text) = script.info_text {
        object.uuid = text.as_ptr().cast_mut().cast();
    }
    // SAFETY: the caller's own variable.
    unsafe { info.write(Box::into_raw(object)) };
    OK
}

unsafe extern "C" fn free_info(info: *mut VixDiskLibInfo) {
    // SAFETY: it came from `info`, and comes back once.
    drop(unsafe { Box::from_raw(info) });
}

unsafe extern "C" fn transport(_: VixDiskLibHandle) -> *const c_char {
    with(|state| state.script.transport).map_or(std::ptr::null(), |text| text.as_ptr().cast())
}

/// Blocks behind a count, as long as they really are.
#[repr(C)]
struct Blocks {
    count: u32,
    runs: [(u64, u64); 4],
}

unsafe extern "C" fn query(
    _: VixDiskLibHandle,
    _: u64,
    _: u64,
    _: u64,
    list: *mut *mut VixDiskLibBlockList,
) -> u64 {
    enter("VixDiskLib_QueryAllocatedBlocks");
    let Some((count, runs)) = with(|state| state.script.blocks) else {
        return OK;
    };
    let mut blocks = Box::new(Blocks {
        count,
        runs: [(0, 0); 4],
    });
    blocks.runs[..runs.len()].copy_from_slice(runs);
    // SAFETY: the caller's own variable.
    unsafe { list.write(Box::into_raw(blocks).cast()) };
    OK
}

unsafe extern "C" fn free_blocks(list: *mut VixDiskLibBlockList) -> u64 {
    // SAFETY: it came from `query`, and comes back once.
    drop(unsafe { Box::from_raw(list.cast::<Blocks>()) });
    OK
}

unsafe extern "C" fn read_async(
    _: VixDiskLibHandle,
    start_sector: u64,
    sectors: u64,
    buffer: *mut u8,
    callback: VixDiskLibCompletionCB,
    data: *mut c_void,
) -> u64 {
    let late = Late {
        callback,
        data,
        start_sector,
        sectors,
        buffer,
    };
    enter("VixDiskLib_ReadAsync");
    let outcome = with(|state| match state.script.seed {
        None => 0,
        Some(_) => state.chance(8),
    });
    match outcome {
        0 | 1 => late.complete(true),
        2 => late.complete(false),
        3 => return u64::from(VIX_E_OUT_OF_MEMORY),
        _ => {
            with(|state| state.late.push(late));
            CHANGED.notify_all();
        }
    }
    u64::from(VIX_ASYNC)
}

/// Takes nothing, and says that it is done.
unsafe extern "C" fn write_async(
    _: VixDiskLibHandle,
    _: u64,
    _: u64,
    _: *const u8,
    callback: VixDiskLibCompletionCB,
    data: *mut c_void,
) -> u64 {
    enter("VixDiskLib_WriteAsync");
    // SAFETY: called once, with the data that came with it.
    unsafe { callback.unwrap()(data, OK) };
    u64::from(VIX_ASYNC)
}

unsafe extern "C" fn flush(_: VixDiskLibHandle) -> u64 {
    enter("VixDiskLib_Flush");
    OK
}

/// Waits until nothing is late any more and every completion has returned.
unsafe extern "C" fn wait(_: VixDiskLibHandle) -> u64 {
    enter("VixDiskLib_Wait");
    while let Some(late) = with(|state| state.late.pop()) {
        late.complete(true);
    }
    OK
}

/// The double's own thread: completes in any order, some with an error.
fn complete_late() {
    loop {
        let (late, well) = {
            let mut state = lock();
            loop {
                let now = state.get_or_insert_default();
                if now.ending {
                    return;
                }
                if now.late.is_empty() {
                    state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
                    continue;
                }
                let place = now.chance(now.late.len() as u64) as usize;
                let well = now.chance(5) > 0;
                break (now.late.swap_remove(place), well);
            }
        };
        late.complete(well);
    }
}

impl Late {
    fn complete(self, well: bool) {
        if well {
            for index in 0..self.sectors as usize {
                let byte = byte_of(self.start_sector + index as u64);
                let sector = self.buffer.wrapping_add(index * vddk::SECTOR_BYTES);
                // SAFETY: the caller has room for all sectors until the completion.
                unsafe { sector.write_bytes(byte, vddk::SECTOR_BYTES) };
            }
        }
        let code = if well { 0 } else { VIX_E_HOST_TCP_CONN_LOST };
        with(|state| state.completed += 1);
        // SAFETY: called once, with the data that came with it.
        unsafe { self.callback.unwrap()(self.data, u64::from(code)) };
    }
}

/// What every byte of a sector is.
pub(crate) fn byte_of(sector: u64) -> u8 {
    (sector % 251) as u8 + 1
}
