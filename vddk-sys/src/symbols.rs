//! The one list of C functions. Everything that must know them expands from it: their types, the
//! table of pointers, the calls with their counters, the list of names and the loader.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::bindings::{
    Bool, VixDiskLibBlockList, VixDiskLibCompletionCB, VixDiskLibConnectParams,
    VixDiskLibConnection, VixDiskLibCreateParams, VixDiskLibDiskType, VixDiskLibGenericLogFunc,
    VixDiskLibHandle, VixDiskLibInfo, VixDiskLibProgressFunc, VixDiskLibSectorType, VixError,
    uint32, uint64,
};
use core::ffi::{c_char, c_void};
use core::mem::transmute;

/// A function of VixDiskLib, as the list knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The exported name.
    pub name: &'static str,
    /// The VDDK release that brought it.
    pub since: &'static str,
    /// True where loading fails without it (the 19 names every known client links).
    pub required: bool,
}

/// A function that the loaded library does not have was to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this VixDiskLib has no {}, which came with VDDK {}", .function.name, .function.since)]
pub struct MissingFunction {
    /// The function.
    pub function: Symbol,
}

/// Makes everything that must know the functions from one list.
macro_rules! symbols {
    (
        required { $( $rsince:literal fn $rname:ident ( $($rarg:ident : $rty:ty),* ) $(-> $rret:ty)?; )* }
        optional { $( $osince:literal fn $oname:ident ( $($oarg:ident : $oty:ty),* ) $(-> $oret:ty)?; )* }
    ) => {
        /// The type of each function, under the function's own name.
        pub mod functions {
            #![expect(non_camel_case_types, reason = "the names are VMware's")]
            #[allow(clippy::wildcard_imports, reason = "one list, one scope")]
            use super::*;
            $(
                #[doc = concat!("`", stringify!($rname), "`, since VDDK ", $rsince, ".")]
                pub type $rname = unsafe extern "C" fn($($rarg: $rty),*) $(-> $rret)?;
            )*
            $(
                #[doc = concat!("`", stringify!($oname), "`, since VDDK ", $osince, ".")]
                pub type $oname = unsafe extern "C" fn($($oarg: $oty),*) $(-> $oret)?;
            )*
        }

        /// Each function by name; as a number, its place in [`SYMBOLS`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(non_camel_case_types, reason = "the names are VMware's")]
        pub enum Function {
            $( #[doc = concat!("`", stringify!($rname), "`, required.")] $rname, )*
            $( #[doc = concat!("`", stringify!($oname), "`, since VDDK ", $osince, ".")] $oname, )*
        }

        /// All functions of the public interface, required ones first.
        pub const SYMBOLS: &[Symbol] = &[
            $( Symbol { name: stringify!($rname), since: $rsince, required: true }, )*
            $( Symbol { name: stringify!($oname), since: $osince, required: false }, )*
        ];

        /// The pointers. Required ones are plain, the others may be missing.
        #[derive(Debug)]
        #[expect(non_snake_case, reason = "the names are VMware's")]
        struct Table {
            $( $rname: functions::$rname, )*
            $( $oname: Option<functions::$oname>, )*
        }

        impl Table {
            /// Looks every name up; the error is the list of all required names that are missing.
            ///
            /// # Safety
            /// As [`Symbols::from_lookup`].
            #[expect(non_snake_case, reason = "the names are VMware's")]
            unsafe fn load(
                lookup: impl Fn(&'static str) -> Option<*const ()>,
            ) -> Result<Self, Vec<&'static str>> {
                let lookup = |name| lookup(name).filter(|function| !function.is_null());
                let mut missing = Vec::new();
                $(
                    let $rname = lookup(stringify!($rname));
                    if $rname.is_none() {
                        missing.push(stringify!($rname));
                    }
                )*
                match ($($rname,)*) {
                    ($(Some($rname),)*) => Ok(Self {
                        $(
                            // SAFETY: not NULL, and the caller promises a function of this type.
                            $rname: unsafe { transmute::<*const (), functions::$rname>($rname) },
                        )*
                        $(
                            $oname: lookup(stringify!($oname)).map(|function| {
                                // SAFETY: as above.
                                unsafe { transmute::<*const (), functions::$oname>(function) }
                            }),
                        )*
                    }),
                    _ => Err(missing),
                }
            }

            /// Whether each function of [`SYMBOLS`] is there, in its order.
            fn present(&self) -> [bool; SYMBOLS.len()] {
                [
                    $( { let _ = self.$rname; true }, )*
                    $( self.$oname.is_some(), )*
                ]
            }
        }

        /// The functions themselves, under their own names. Each call is counted.
        #[expect(non_snake_case, reason = "the names are VMware's")]
        #[expect(clippy::too_many_arguments, reason = "the signatures are VMware's")]
        impl Symbols {
            $(
                #[doc = concat!("Calls `", stringify!($rname), "`, and counts the call.")]
                ///
                /// # Safety
                /// The rules of the C function hold: of order, threads, lifetimes and buffers
                /// (VDDK API reference, 1 and 7).
                #[inline]
                pub unsafe fn $rname(&self, $($rarg: $rty),*) $(-> $rret)? {
                    self.count(Function::$rname);
                    // SAFETY: the caller keeps the function's rules; the pointer is that of a
                    // living function, as `Symbols::from_lookup` demands.
                    unsafe { (self.table.$rname)($($rarg),*) }
                }
            )*
            $(
                #[doc = concat!("Calls `", stringify!($oname), "` (VDDK ", $osince, "), and counts the call.")]
                ///
                /// # Errors
                /// [`MissingFunction`] where the library has none; nothing was called then.
                ///
                /// # Safety
                /// The rules of the C function hold: of order, threads, lifetimes and buffers
                /// (VDDK API reference, 1 and 7).
                #[inline]
                pub unsafe fn $oname(&self, $($oarg: $oty),*)
                    -> Result<symbols!(@ret $($oret)?), MissingFunction>
                {
                    let call = self.table.$oname.ok_or(Function::$oname.missing())?;
                    self.count(Function::$oname);
                    // SAFETY: the caller keeps the function's rules; the pointer is that of a
                    // living function, as `Symbols::from_lookup` demands.
                    Ok(unsafe { call($($oarg),*) })
                }
            )*
        }
    };
    (@ret $ret:ty) => { $ret };
    (@ret) => { () };
}

impl Function {
    /// What the list says of it.
    pub fn symbol(self) -> Symbol {
        SYMBOLS[self as usize]
    }

    /// The error of a library without it.
    pub fn missing(self) -> MissingFunction {
        MissingFunction {
            function: self.symbol(),
        }
    }
}

/// The loaded functions, each a method of its own name.
///
/// Required ones are always there. The others answer [`MissingFunction`] where the library lacks
/// them; [`Symbols::has`] asks beforehand. There is no way past the methods to the pointers, so
/// [`Symbols::calls`] forgets no call.
#[derive(Debug)]
pub struct Symbols {
    table: Table,
    counts: [AtomicU64; SYMBOLS.len()],
}

impl Symbols {
    /// Looks every name up in a mapped library.
    ///
    /// # Errors
    /// The missing required names, never empty.
    ///
    /// # Safety
    /// `library` must be a VixDiskLib of the x86-64 Linux interface described in
    /// `include/vixDiskLib.h`: a symbol of the same name with another signature would be called
    /// wrongly. The value must not be used after `library` is closed.
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    pub(crate) unsafe fn load(
        library: &libloading::os::unix::Library,
    ) -> Result<Self, Vec<&'static str>> {
        let lookup = |name: &'static str| {
            // SAFETY: the address is only taken here. What it is used as is the caller's promise.
            let symbol = unsafe { library.get::<*const ()>(name) };
            symbol.ok().map(|symbol| *symbol)
        };
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { Self::from_lookup(lookup) }
    }

    /// Takes each function from `lookup`, by its name in [`SYMBOLS`]: for functions that come from
    /// elsewhere than a file that [`load`](crate::load) finds, as a test's own do.
    ///
    /// # Errors
    /// The required names for which `lookup` has nothing, never empty.
    ///
    /// # Safety
    /// What `lookup` gives for a name must be a function of the type of that name in [`functions`],
    /// and stay one as long as this value.
    pub unsafe fn from_lookup(
        lookup: impl Fn(&'static str) -> Option<*const ()>,
    ) -> Result<Self, Vec<&'static str>> {
        // SAFETY: the caller's promise is the one that is asked for.
        let table = unsafe { Table::load(lookup) }?;
        Ok(Self {
            table,
            counts: [const { AtomicU64::new(0) }; SYMBOLS.len()],
        })
    }

    /// Tells whether the library has a function.
    pub fn has(&self, function: Function) -> bool {
        self.table.present()[function as usize]
    }

    /// Tells for each function of [`SYMBOLS`], in its order, whether the library has it.
    pub fn found(&self) -> Vec<(Symbol, bool)> {
        SYMBOLS.iter().copied().zip(self.table.present()).collect()
    }

    /// How often each function of [`SYMBOLS`] was called so far, in its order.
    ///
    /// A call is counted when it begins. Calls of other threads may be seen a little later.
    pub fn calls(&self) -> Vec<(Symbol, u64)> {
        let counts = self
            .counts
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        SYMBOLS.iter().copied().zip(counts).collect()
    }

    fn count(&self, function: Function) {
        // Relaxed: the numbers order nothing, they are only read for reports.
        self.counts[function as usize].fetch_add(1, Ordering::Relaxed);
    }
}

symbols! {
    required {
        "1.1" fn VixDiskLib_InitEx(major: uint32, minor: uint32, log: VixDiskLibGenericLogFunc, warn: VixDiskLibGenericLogFunc, panic: VixDiskLibGenericLogFunc, lib_dir: *const c_char, config_file: *const c_char) -> VixError;
        "1.0" fn VixDiskLib_Exit();
        "1.0" fn VixDiskLib_GetErrorText(err: VixError, locale: *const c_char) -> *mut c_char;
        "1.0" fn VixDiskLib_FreeErrorText(text: *mut c_char);
        "1.1" fn VixDiskLib_FreeConnectParams(params: *mut VixDiskLibConnectParams);
        "1.1" fn VixDiskLib_ConnectEx(params: *const VixDiskLibConnectParams, read_only: Bool, snapshot_ref: *const c_char, transport_modes: *const c_char, connection: *mut VixDiskLibConnection) -> VixError;
        "1.0" fn VixDiskLib_Open(connection: VixDiskLibConnection, path: *const c_char, flags: uint32, handle: *mut VixDiskLibHandle) -> VixError;
        "1.1" fn VixDiskLib_GetTransportMode(handle: VixDiskLibHandle) -> *const c_char;
        "1.0" fn VixDiskLib_Close(handle: VixDiskLibHandle) -> VixError;
        "1.0" fn VixDiskLib_Disconnect(connection: VixDiskLibConnection) -> VixError;
        "1.0" fn VixDiskLib_GetInfo(handle: VixDiskLibHandle, info: *mut *mut VixDiskLibInfo) -> VixError;
        "1.0" fn VixDiskLib_FreeInfo(info: *mut VixDiskLibInfo);
        "1.0" fn VixDiskLib_Read(handle: VixDiskLibHandle, start_sector: VixDiskLibSectorType, sectors: VixDiskLibSectorType, buffer: *mut u8) -> VixError;
        "1.0" fn VixDiskLib_Write(handle: VixDiskLibHandle, start_sector: VixDiskLibSectorType, sectors: VixDiskLibSectorType, buffer: *const u8) -> VixError;
        "1.0" fn VixDiskLib_Create(connection: VixDiskLibConnection, path: *const c_char, params: *const VixDiskLibCreateParams, progress: VixDiskLibProgressFunc, progress_data: *mut c_void) -> VixError;
        "6.0" fn VixDiskLib_Flush(handle: VixDiskLibHandle) -> VixError;
        "6.0" fn VixDiskLib_ReadAsync(handle: VixDiskLibHandle, start_sector: VixDiskLibSectorType, sectors: VixDiskLibSectorType, buffer: *mut u8, callback: VixDiskLibCompletionCB, callback_data: *mut c_void) -> VixError;
        "6.0" fn VixDiskLib_WriteAsync(handle: VixDiskLibHandle, start_sector: VixDiskLibSectorType, sectors: VixDiskLibSectorType, buffer: *const u8, callback: VixDiskLibCompletionCB, callback_data: *mut c_void) -> VixError;
        "6.5" fn VixDiskLib_Wait(handle: VixDiskLibHandle) -> VixError;
    }
    optional {
        "1.0" fn VixDiskLib_Init(major: uint32, minor: uint32, log: VixDiskLibGenericLogFunc, warn: VixDiskLibGenericLogFunc, panic: VixDiskLibGenericLogFunc, lib_dir: *const c_char) -> VixError;
        "1.1" fn VixDiskLib_ListTransportModes() -> *const c_char;
        "1.1" fn VixDiskLib_Cleanup(params: *const VixDiskLibConnectParams, cleaned_up: *mut uint32, remaining: *mut uint32) -> VixError;
        "1.0" fn VixDiskLib_Connect(params: *const VixDiskLibConnectParams, connection: *mut VixDiskLibConnection) -> VixError;
        "5.0" fn VixDiskLib_PrepareForAccess(params: *const VixDiskLibConnectParams, identity: *const c_char) -> VixError;
        "5.0" fn VixDiskLib_EndAccess(params: *const VixDiskLibConnectParams, identity: *const c_char) -> VixError;
        "1.0" fn VixDiskLib_ReadMetadata(handle: VixDiskLibHandle, key: *const c_char, buffer: *mut c_char, buffer_length: usize, required_length: *mut usize) -> VixError;
        "1.0" fn VixDiskLib_WriteMetadata(handle: VixDiskLibHandle, key: *const c_char, value: *const c_char) -> VixError;
        "1.0" fn VixDiskLib_GetMetadataKeys(handle: VixDiskLibHandle, keys: *mut c_char, max_length: usize, required_length: *mut usize) -> VixError;
        "6.7" fn VixDiskLib_QueryAllocatedBlocks(handle: VixDiskLibHandle, start_sector: VixDiskLibSectorType, sectors: VixDiskLibSectorType, chunk_sectors: VixDiskLibSectorType, list: *mut *mut VixDiskLibBlockList) -> VixError;
        "6.7" fn VixDiskLib_FreeBlockList(list: *mut VixDiskLibBlockList) -> VixError;
        "6.7" fn VixDiskLib_AllocateConnectParams() -> *mut VixDiskLibConnectParams;
        "1.1" fn VixDiskLib_GetConnectParams(connection: VixDiskLibConnection, params: *mut *mut VixDiskLibConnectParams) -> VixError;
        "1.0" fn VixDiskLib_CreateChild(parent: VixDiskLibHandle, child_path: *const c_char, disk_type: VixDiskLibDiskType, progress: VixDiskLibProgressFunc, progress_data: *mut c_void) -> VixError;
        "1.0" fn VixDiskLib_Clone(destination: VixDiskLibConnection, destination_path: *const c_char, source: VixDiskLibConnection, source_path: *const c_char, params: *const VixDiskLibCreateParams, progress: VixDiskLibProgressFunc, progress_data: *mut c_void, overwrite: Bool) -> VixError;
        "1.0" fn VixDiskLib_Grow(connection: VixDiskLibConnection, path: *const c_char, capacity: VixDiskLibSectorType, update_geometry: Bool, progress: VixDiskLibProgressFunc, progress_data: *mut c_void) -> VixError;
        "1.0" fn VixDiskLib_Shrink(handle: VixDiskLibHandle, progress: VixDiskLibProgressFunc, progress_data: *mut c_void) -> VixError;
        "1.0" fn VixDiskLib_Defragment(handle: VixDiskLibHandle, progress: VixDiskLibProgressFunc, progress_data: *mut c_void) -> VixError;
        "1.0" fn VixDiskLib_Rename(source: *const c_char, destination: *const c_char) -> VixError;
        "1.0" fn VixDiskLib_Unlink(connection: VixDiskLibConnection, path: *const c_char) -> VixError;
        "1.0" fn VixDiskLib_Attach(parent: VixDiskLibHandle, child: VixDiskLibHandle) -> VixError;
        "5.0" fn VixDiskLib_IsAttachPossible(parent: VixDiskLibHandle, child: VixDiskLibHandle) -> VixError;
        "1.0" fn VixDiskLib_SpaceNeededForClone(handle: VixDiskLibHandle, disk_type: VixDiskLibDiskType, space_needed_bytes: *mut uint64) -> VixError;
        "1.1" fn VixDiskLib_CheckRepair(connection: VixDiskLibConnection, path: *const c_char, repair: Bool) -> VixError;
    }
}

#[cfg(test)]
mod tests {
    use super::{Function, SYMBOLS, Symbols, VixDiskLibHandle, VixError};

    #[test]
    fn the_list_has_the_43_functions_19_of_them_required() {
        assert_eq!(SYMBOLS.len(), 43);
        assert_eq!(SYMBOLS.iter().filter(|symbol| symbol.required).count(), 19);
        let mut names: Vec<_> = SYMBOLS.iter().map(|symbol| symbol.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 43, "a name stands twice");
    }

    unsafe extern "C" fn wait(handle: VixDiskLibHandle) -> VixError {
        handle.addr() as u64 + 1
    }

    #[test]
    fn functions_may_come_from_elsewhere_and_what_is_missing_is_named() {
        // SAFETY: `wait` has the type of the one function that is called; the others are not.
        let symbols = unsafe {
            Symbols::from_lookup(|name| match name {
                "VixDiskLib_ReadMetadata" => None,
                "VixDiskLib_WriteMetadata" => Some(core::ptr::null()),
                _ => Some(wait as *const ()),
            })
        };
        let symbols = symbols.unwrap();
        // SAFETY: our own function, which takes any value.
        let waited = unsafe { symbols.VixDiskLib_Wait(core::ptr::without_provenance_mut(6)) };
        assert_eq!(waited, 7);
        assert!(!symbols.has(Function::VixDiskLib_ReadMetadata));
        assert!(!symbols.has(Function::VixDiskLib_WriteMetadata));
        assert!(symbols.has(Function::VixDiskLib_GetMetadataKeys));
        // SAFETY: nothing is called.
        let missing = unsafe { Symbols::from_lookup(|_| None) }.unwrap_err();
        assert_eq!(missing.len(), 19);
    }

    #[test]
    fn a_function_knows_its_place_in_the_list() {
        let first = Function::VixDiskLib_InitEx;
        let last = Function::VixDiskLib_CheckRepair;
        assert_eq!((first as usize, last as usize), (0, 42));
        assert_eq!(last.symbol().name, "VixDiskLib_CheckRepair");
        assert_eq!(
            Function::VixDiskLib_AllocateConnectParams
                .missing()
                .to_string(),
            "this VixDiskLib has no VixDiskLib_AllocateConnectParams, which came with VDDK 6.7"
        );
    }
}
