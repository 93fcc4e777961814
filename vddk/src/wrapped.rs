//! The score: what this crate makes of each function of VixDiskLib.
//!
//! `FUNCTIONS.md` is made from this list.

use vddk_sys::Function;

use crate::{Access, CallError, Connection, Disk, Library, WritableDisk};

/// What became of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// These call it.
    By(&'static [&'static str]),
    /// Nothing calls it, and why.
    Not(&'static str),
}

/// A function of VixDiskLib and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The function.
    pub function: Function,
    /// What became of it.
    pub wrapping: Wrapping,
}

/// Why the second library of the kit is left out as a whole (VDDK API reference, 1.11).
pub const MNTAPI: &str = "libvixMntapi, the kit's second library, mounts the file systems of a disk. \
    It is not wrapped: an image backup reads sectors and mounts nothing, and a disk that was \
    restored to a file can be mounted by the system's own means.";

/// Makes the list, a proof that no function is missing in it, and one that every wrapper exists.
macro_rules! rows {
    (
        wrapped { $( $function:ident by $( $path:path ),+ ; )* }
        not_wrapped { $( $left_out:ident because $reason:literal ; )* }
    ) => {
        /// A row for each function, in the order in which a program meets them.
        pub const ROWS: &[Row] = &[
            $( Row {
                function: Function::$function,
                wrapping: Wrapping::By(&[ $( stringify!($path) ),+ ]),
            }, )*
            $( Row {
                function: Function::$left_out,
                wrapping: Wrapping::Not($reason),
            }, )*
        ];

        /// Does not compile when a function has no row, or two.
        #[deny(unreachable_patterns)]
        const _: fn(Function) = |function| match function {
            $( Function::$function => (), )*
            $( Function::$left_out => (), )*
        };

        /// Does not compile when a wrapper is gone.
        const _: fn() = || {
            $( $( let _ = $path; )+ )*
        };
    };
}

rows! {
    wrapped {
        VixDiskLib_InitEx by Library::load;
        VixDiskLib_ListTransportModes by Library::transport_modes;
        VixDiskLib_AllocateConnectParams by Library::connect, Library::prepare_for_access;
        VixDiskLib_FreeConnectParams by Connection::close, Connection::params;
        VixDiskLib_PrepareForAccess by Library::prepare_for_access;
        VixDiskLib_ConnectEx by Access::connect, Library::connect, Library::connect_local;
        VixDiskLib_GetConnectParams by Connection::params;
        VixDiskLib_Open by Connection::open, Connection::open_writable,
            Connection::open_first_class_disk, Connection::open_first_class_disk_writable;
        VixDiskLib_GetInfo by Disk::info;
        VixDiskLib_FreeInfo by Disk::info;
        VixDiskLib_GetTransportMode by Disk::transport_mode;
        VixDiskLib_QueryAllocatedBlocks by Disk::allocated_blocks;
        VixDiskLib_FreeBlockList by Disk::allocated_blocks;
        VixDiskLib_ReadAsync by Disk::read;
        VixDiskLib_Read by Disk::read;
        VixDiskLib_WriteAsync by WritableDisk::write;
        VixDiskLib_Write by WritableDisk::write;
        VixDiskLib_Wait by WritableDisk::flush, Disk::close;
        VixDiskLib_Flush by WritableDisk::flush, WritableDisk::close;
        VixDiskLib_GetMetadataKeys by Disk::metadata_keys;
        VixDiskLib_ReadMetadata by Disk::metadata;
        VixDiskLib_WriteMetadata by WritableDisk::set_metadata;
        VixDiskLib_Create by Connection::create;
        VixDiskLib_CreateChild by Disk::create_child;
        VixDiskLib_Clone by Connection::clone_from;
        VixDiskLib_SpaceNeededForClone by Disk::space_needed_for_clone;
        VixDiskLib_Grow by Connection::grow;
        VixDiskLib_Shrink by WritableDisk::shrink;
        VixDiskLib_Defragment by WritableDisk::defragment;
        VixDiskLib_CheckRepair by Connection::check_repair;
        VixDiskLib_Rename by Library::rename;
        VixDiskLib_Unlink by Connection::unlink;
        VixDiskLib_IsAttachPossible by Disk::is_attach_possible;
        VixDiskLib_Attach by Disk::attach_to, WritableDisk::attach_to;
        VixDiskLib_Close by Disk::close, WritableDisk::close;
        VixDiskLib_Disconnect by Connection::close;
        VixDiskLib_Cleanup by Library::cleanup;
        VixDiskLib_EndAccess by Access::close, Library::end_access;
        VixDiskLib_Exit by Library::close;
        VixDiskLib_GetErrorText by CallError::text;
        VixDiskLib_FreeErrorText by CallError::text;
    }
    not_wrapped {
        VixDiskLib_Init because "`InitEx` does the same and takes the folder and the configuration besides";
        VixDiskLib_Connect because "`ConnectEx` does the same and takes the snapshot and the transports besides";
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::{ROWS, Wrapping};

    #[test]
    fn every_symbol_has_one_row() {
        let mut names: Vec<_> = ROWS.iter().map(|row| row.function.symbol().name).collect();
        names.sort_unstable();
        let mut symbols: Vec<_> = vddk_sys::SYMBOLS.iter().map(|one| one.name).collect();
        symbols.sort_unstable();
        assert_eq!(names, symbols);
    }

    /// A C programmer who searches the documentation for a function finds its wrapper.
    #[test]
    fn every_wrapped_function_is_an_alias_in_the_documentation() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut source = String::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                source += &fs::read_to_string(path).unwrap();
            }
        }
        for row in ROWS {
            let name = row.function.symbol().name;
            let is_alias = source.contains(&format!("#[doc(alias = \"{name}\")]"));
            let wrapped = matches!(row.wrapping, Wrapping::By(_));
            assert_eq!(is_alias, wrapped, "{name}");
        }
    }
}
