//! The double's functions, as C sees them.

use std::{
    ffi::{c_char, c_void},
    ptr::null_mut,
    sync::PoisonError,
};

use vddk_sys::{
    VIX_ASYNC, VIX_E_HOST_TCP_CONN_LOST, VIX_E_OUT_OF_MEMORY, VixDiskLibBlockList,
    VixDiskLibCompletionCB, VixDiskLibConnectParams, VixDiskLibConnection,
    VixDiskLibGenericLogFunc, VixDiskLibHandle, VixDiskLibInfo, VixDiskLibProgressFunc,
    functions as f,
};

use super::{CAPACITY_SECTORS, CHANGED, Late, OK, byte_of, enter, lock, with};

/// Not one of these is called.
extern "C" fn unused() {
    std::process::abort();
}

pub(super) fn function(name: &'static str) -> *const () {
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
