//! Every function of the interface exists and has the type of the bindings.

use vddk_sys::{SYMBOLS, functions};

/// Coerces each function to the type of the same name and lists the names.
macro_rules! exports {
    ($($name:ident,)*) => {{
        $( let _: functions::$name = vixDiskLib::$name; )*
        [$( stringify!($name) ),*]
    }};
}

const EXPORTS: [&str; 43] = exports![
    VixDiskLib_InitEx,
    VixDiskLib_Exit,
    VixDiskLib_GetErrorText,
    VixDiskLib_FreeErrorText,
    VixDiskLib_FreeConnectParams,
    VixDiskLib_ConnectEx,
    VixDiskLib_Open,
    VixDiskLib_GetTransportMode,
    VixDiskLib_Close,
    VixDiskLib_Disconnect,
    VixDiskLib_GetInfo,
    VixDiskLib_FreeInfo,
    VixDiskLib_Read,
    VixDiskLib_Write,
    VixDiskLib_Create,
    VixDiskLib_Flush,
    VixDiskLib_ReadAsync,
    VixDiskLib_WriteAsync,
    VixDiskLib_Wait,
    VixDiskLib_Init,
    VixDiskLib_ListTransportModes,
    VixDiskLib_Cleanup,
    VixDiskLib_Connect,
    VixDiskLib_PrepareForAccess,
    VixDiskLib_EndAccess,
    VixDiskLib_ReadMetadata,
    VixDiskLib_WriteMetadata,
    VixDiskLib_GetMetadataKeys,
    VixDiskLib_QueryAllocatedBlocks,
    VixDiskLib_FreeBlockList,
    VixDiskLib_AllocateConnectParams,
    VixDiskLib_GetConnectParams,
    VixDiskLib_CreateChild,
    VixDiskLib_Clone,
    VixDiskLib_Grow,
    VixDiskLib_Shrink,
    VixDiskLib_Defragment,
    VixDiskLib_Rename,
    VixDiskLib_Unlink,
    VixDiskLib_Attach,
    VixDiskLib_IsAttachPossible,
    VixDiskLib_SpaceNeededForClone,
    VixDiskLib_CheckRepair,
];

#[test]
fn every_function_of_the_list_is_exported_with_its_type() {
    let mut exported = EXPORTS;
    exported.sort_unstable();
    let mut listed: Vec<&str> = SYMBOLS.iter().map(|symbol| symbol.name).collect();
    listed.sort_unstable();
    assert_eq!(exported.as_slice(), listed);
}
