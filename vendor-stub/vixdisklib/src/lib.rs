//! A stand-in `libvixDiskLib.so`: the 43 C functions of VMware's VixDiskLib over a [`lab::Lab`]
//! or over VMDK files of this machine. It holds no VMware code.
//!
//! A program loads it by path, as it would load the real library. It finds its lab through a
//! file `standin.toml`, looked for in this order:
//!
//! 1. beside the loaded file, then one level up; links in the path are not resolved;
//! 2. in the `libDir` given to [`VixDiskLib_InitEx`];
//! 3. through `VDDK_STANDIN_LAB`, the path of the lab folder (settings: `kit/standin.toml` in it).
//!
//! Without a lab only local VMDK files can be opened. The keys of `standin.toml`:
//!
//! | key | meaning |
//! |---|---|
//! | `lab` | path of the lab folder; a relative one counts from the file |
//! | `async` | where requests complete: `"thread"`, `"inline"`, `"shuffled"`; default `thread` for disks of the lab and `inline` for local files |
//! | `journal_reads` | `true`: one journal line a read, not one a handle |
//! | `[performance]` | see Performance below |
//!
//! # What it checks
//!
//! User, password, VM, snapshot and path are checked against the lab when the real library checks
//! them; a wrong thumbprint shows at `Open`, as error 1. Allocated blocks, metadata, read-only
//! rules and mixed modes fail with the real codes. A VM is named as `moref=vm-16` (or `moid=`), or as
//! `app01/app01.vmx?dcPath=DC0&dsName=datastore1`. `GetConnectParams` tells what a connection was
//! made with, without its secrets. A login by session is good while the vCenter of the lab has a
//! session of that cookie and user ([`lab::Lab::publish_session`]); 35 otherwise. Its key is not
//! looked at. Every handle and every object given out is
//! known to a table, so a stale handle, a double free or a call too early is an error, not a crash.
//!
//! # Disks without a VM
//!
//! Without a `vmxSpec`, `specType` says what is named. A first-class disk of the lab
//! ([`lab::Lab::add_first_class_disk`]) is found by id, datastore and perhaps a snapshot of it. It is
//! opened whatever the path, null too; a snapshot is for reading only (11). A folder of a datastore is
//! for disks that nothing refers to, by datastore path; what a VM or a first-class disk has is in use
//! there (15). Releases before 8 answer 6 to folders.
//!
//! | wrong | code | from |
//! |---|---|---|
//! | id, datastore or folder null or empty; the snapshot of a VM besides | 3 | `ConnectEx` |
//! | no such datastore | 25 | `ConnectEx` |
//! | no such first-class disk there; a path that is not in the folder | 4 | `Open` |
//! | no such snapshot of the disk | 13003 | `Open` |
//!
//! Such disks come by `nbdssl` and `nbd`, those of folders by `hotadd` too; nobody tracks their changes. `PrepareForAccess` takes a
//! first-class disk, and forbids nothing, since there is nothing that could move it; a folder it
//! refuses (3). `Clone` copies from both and into folders.
//!
//! # Making and changing disks
//!
//! `Create`, `CreateChild`, `Grow`, `Rename` and `Unlink` work on files of this machine, by absolute
//! path (22 otherwise); with a connection or disk of a server they answer 20. `Clone` copies a local
//! disk or one of a server into a local one, or a local one to a datastore, where it belongs to no
//! VM. A disk that this process has open, also as the parent of another, is left alone (15). Disk
//! types of datastores (`VMFS_…`) answer 16022, for they cannot be local. `Shrink` and `Defragment`
//! work on an open local disk, `CheckRepair` on one that is not: 16006 if something is to be mended,
//! 16062 if it cannot be. After `Attach` the child's handle stands for the chain and closing the
//! parent's is ignored. Progress functions are called on the calling thread and what they return is
//! ignored.
//!
//! # Transports, locks and left-overs
//!
//! The first word of the list that works is taken; unknown words are skipped. When none works the
//! code is that of the last word tried. What the lab says about the site and about the machine
//! ([`lab::Machine`]) decides:
//!
//! | word | possible | code otherwise |
//! |---|---|---|
//! | `nbdssl`, `nbd` | always; AIO buffers up to 16 MB | 1 |
//! | `hotadd` | in a VM of the site, for SCSI disks of a VM that are no raw mapping, with a snapshot, and for disks of folders; controllers in sequence with a disk each and a free slot; an encrypted disk needs an encrypted proxy | 13 no slot or no snapshot; 16066 for the disk; else 16065 |
//! | `san` | on a physical machine that sees a LUN that the configuration allows, for VMFS that is not encrypted | 16065, 16066 if encrypted |
//!
//! SAN is taken for every VMFS disk as soon as one LUN can be seen. A disk that is not on it opens,
//! reads as zeros, and fails with 7 when written. Writing by SAN needs the base link (11), a snapshot
//! (13) and change tracking off (6), and all of SAN aligned buffers (3).
//!
//! A disk of the lab can be written when its VM is off: the base and the last link of the running
//! state, the last link of a snapshot. One writer excludes all others (15), readers exclude
//! writers. Change tracking does not follow such writes. A local disk opened for writing is locked
//! by a folder `<file>.lck`, which a process that dies leaves behind, and the disk is then busy
//! (15) until somebody removes it.
//!
//! HotAdd makes the disk a device of the proxy, over a redo log unless it is written. A process
//! that dies leaves both, which keeps the source's snapshots from being merged until `Cleanup`.
//! A lab may be told that hosts do not notice dead clients (`nfc_time_scale` of
//! [`lab::SiteSpec`]): then their disks stay locked until the shortest NFC time-out of the
//! configuration has passed, and for ever without one.
//!
//! # What it does not do
//!
//! Logins by ticket answer [`VIX_E_NOT_SUPPORTED`](vddk_sys::VIX_E_NOT_SUPPORTED). First-class disks do
//! not come by `hotadd` (16065): whether they do with VMware's was not found. SAN is for disks of VMs.
//!
//! # Journal
//!
//! With a lab, every call is a line of `journal.jsonl` (`who` = `vixdisklib`, result `{"code": n}`)
//! with its arguments, never with a secret; reads and writes are summed up and written by `Wait`
//! and `Close`. A failed read or write has a line of its own.
//!
//! # Faults
//!
//! `LAB/faults.toml` holds tables `[[fault]]`; [`lab::Fault`] describes all keys. Which calls:
//!
//! | key | meaning |
//! |---|---|
//! | `call` | the function, such as `VixDiskLib_Open`; with `.callback` behind an asynchronous one its completion |
//! | `nth`, `count` | first call (1) and how many in a row (1; 0 = for ever), counted in each process |
//! | `rate`, `seed` | the chance of each of those calls; the same calls of every run |
//! | `pid`, `once` | in that process only; in one process only, and once |
//!
//! What happens:
//!
//! | key | meaning |
//! |---|---|
//! | `code`, `message` | the call fails; 0 = it succeeds and does nothing. A refused request has no callback |
//! | `delay_ms` | it waits first; with `count = 0` a latency of every request. A callback comes late, others overtake it |
//! | `hang_until_ms` | it waits until that time (since 1970) or until the lab has other faults; not for a `.callback` |
//! | `crash` | `segv`, `abort` or `kill` ends the process; the journal says so first |
//! | `lose_link` | it fails (14011), and so does every call on the handle until the disk is opened anew |
//! | `disk_full` | half of a write is written, and 8 is returned |
//! | `never` | the callback never comes; `Wait` and `Close` wait for ever, `Exit` does not |
//! | `blocks` | a false list of allocated blocks: [`lab::BlocksLie`] |
//! | `text` | `null` or `not-utf8` from `GetErrorText`, `GetTransportMode`, `ListTransportModes`, in `GetInfo` and in metadata; `AllocateConnectParams` gives null |
//! | `required_bytes` | the length that metadata are said to need |
//!
//! Calls that end something (`Close`, `Disconnect`, `Flush`, `Wait`) do their work and then return
//! the code. A callback that comes twice is not offered: the real library has none. What is called
//! before `InitEx` knows no lab, so no faults and no journal.
//!
//! # Performance
//!
//! The table `[performance]` of `standin.toml`, or `LAB/performance.toml`, which
//! [`lab::Lab::set_performance`] writes; [`lab::Performance`] describes the keys. It holds for
//! disks of the lab. A synchronous request costs one round trip; asynchronous ones overlap up to
//! the number of AIO buffers of VDDK's configuration file. Requests over NBD and NBDSSL of more than
//! 2 MiB fail with 2 unless `max_request_bytes` says otherwise. Waits follow a clock, so that one
//! wait that ends late delays no other.
//!
//! # Threads
//!
//! Any thread may call. The library starts one thread in `InitEx`, which does nothing but live, as
//! the real library's do, and one for each disk with asynchronous requests. `Exit` and `Close` end
//! them, so that the library can be unloaded.
//!
//! # Safety of the functions
//!
//! Pointers must be null or point to what the interface says (strings end in NUL), for the time
//! the interface says. Handles and objects to free may be anything.

#![cfg_attr(
    not(test),
    expect(non_snake_case, reason = "the library has VMware's name")
)]

mod access;
mod async_io;
mod blocks;
mod boundary;
mod change;
mod clock;
mod config;
mod connect;
mod connection;
mod data;
mod disk;
mod error;
mod error_text;
mod fault;
mod handles;
mod image;
mod info;
mod interface;
mod journal;
mod lease;
mod library;
mod local_lock;
mod log;
mod loose;
mod memory;
mod metadata;
mod open;
mod pace;
mod params;
mod script;
mod start;
mod text;
mod transport;
mod va_list;
mod vm_name;

pub use access::{VixDiskLib_Cleanup, VixDiskLib_EndAccess, VixDiskLib_PrepareForAccess};
pub use blocks::{VixDiskLib_FreeBlockList, VixDiskLib_QueryAllocatedBlocks};
pub use change::{
    VixDiskLib_Attach, VixDiskLib_CheckRepair, VixDiskLib_Clone, VixDiskLib_Create,
    VixDiskLib_CreateChild, VixDiskLib_Defragment, VixDiskLib_Grow, VixDiskLib_IsAttachPossible,
    VixDiskLib_Rename, VixDiskLib_Shrink, VixDiskLib_SpaceNeededForClone, VixDiskLib_Unlink,
};
pub use connect::{VixDiskLib_Connect, VixDiskLib_ConnectEx, VixDiskLib_Disconnect};
pub use data::{
    VixDiskLib_Flush, VixDiskLib_Read, VixDiskLib_ReadAsync, VixDiskLib_Wait, VixDiskLib_Write,
    VixDiskLib_WriteAsync,
};
pub use error_text::{VixDiskLib_FreeErrorText, VixDiskLib_GetErrorText};
pub use info::{VixDiskLib_FreeInfo, VixDiskLib_GetInfo, VixDiskLib_GetTransportMode};
pub use metadata::{VixDiskLib_GetMetadataKeys, VixDiskLib_ReadMetadata, VixDiskLib_WriteMetadata};
pub use open::{VixDiskLib_Close, VixDiskLib_Open};
pub use params::{
    VixDiskLib_AllocateConnectParams, VixDiskLib_FreeConnectParams, VixDiskLib_GetConnectParams,
};
pub use start::{
    VixDiskLib_Exit, VixDiskLib_Init, VixDiskLib_InitEx, VixDiskLib_ListTransportModes,
};
