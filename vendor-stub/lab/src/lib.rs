//! One simulated vSphere site in a folder: datastores, VMs, disks, snapshots, change tracking, faults.
//!
//! Both stand-ins work on a lab: `vcenter-stub` answers SOAP calls from it, and the stand-in
//! `libvixDiskLib.so` reads its disks. They may run in different processes, so everything a lab
//! knows is in its folder:
//!
//! ```text
//! LAB/site.json            the site: users, host, datastores, limits
//! LAB/vm/<moref>.json      one VM with its disks and snapshots
//! LAB/first-class/<id>.json  one disk without a VM, with its snapshots
//! LAB/datastores/<name>/   real VMDK files, change-tracking maps, .vmx
//! LAB/tls/                 the certificate the stand-ins show
//! LAB/kit/                 the library as a client installs it, with standin.toml
//! LAB/journal.jsonl        every call the stand-ins served
//! LAB/sessions/            who is logged in, by digests of the cookies
//! LAB/faults.toml          what shall go wrong, and when
//! LAB/performance.toml     how fast the hosts are, where it is set
//! LAB/lock, journal.lock, holds/, fault-markers/, nfc/, nfc-links/
//! ```
//!
//! # What it does for you
//!
//! - Changes happen under `LAB/lock` and replace whole files, so a reader needs no lock.
//! - Change tracking follows "vSphere Web Services API" section 5: 64 KiB grains, a sequence
//!   number for each grain, ids that stay valid when their snapshot is removed.
//! - Names from outside never leave the folder they belong to.
//!
//! # What it does not
//!
//! - It keeps no secrets: the passwords of the simulated users stand in `site.json`.
//! - It is no oracle. A test that wants to know what a disk must hold keeps its own copy.
//! - A crash of the machine may lose the last changes: files are renamed, not synced.
//!
//! # Example
//!
//! ```
//! # fn main() -> Result<(), lab::Error> {
//! # let folder = std::env::temp_dir().join(format!("lab-doc-{}", std::process::id()));
//! use lab::{DiskSpec, Lab, SiteSpec, SnapshotSpec, VmSpec};
//!
//! let lab = Lab::create(&folder, SiteSpec::default())?;
//! let vm = lab.add_vm(VmSpec {
//!     name: "app01".into(),
//!     disks: vec![DiskSpec { capacity_bytes: 16 << 20, ..DiskSpec::default() }],
//!     ..VmSpec::default()
//! })?;
//! lab.set_change_tracking(&vm.moref, true)?;
//! let first = lab.create_snapshot(&vm.moref, &SnapshotSpec::named("first"))?;
//! let change_id = first.disks[0].change_id.clone().unwrap_or_default();
//! lab.remove_snapshot(&first.moref, false)?;
//!
//! lab.guest_write(&vm.moref, 2000, 0, &[7; 512])?;
//! let second = lab.create_snapshot(&vm.moref, &SnapshotSpec::named("second"))?;
//! let page = lab.changed_areas(&vm.moref, Some(&second.moref), 2000, 0, &change_id);
//! assert_eq!(page.map(|page| page.areas.len()).ok(), Some(1));
//! # std::fs::remove_dir_all(&folder).ok();
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod access;
mod attachment;
mod behaviour;
mod catalog;
mod certificate;
mod clone;
mod companion;
mod consolidate;
mod custom_field;
mod datastore;
mod datastore_file;
mod datastore_path;
mod error;
mod existing_disk;
mod faults;
mod file_tree;
mod first_class;
mod frozen;
mod growth;
mod guest;
mod guest_word;
mod hold;
mod home;
mod hot_add;
mod image;
mod inventory;
mod journal;
mod kit;
mod layout;
mod loose_disk;
mod machine;
mod made;
mod nfc;
mod nfc_link;
mod performance;
mod power;
mod provision;
mod query;
mod question;
mod quiescing;
mod random;
mod reconfigure;
mod register;
mod relocate;
mod removal;
mod revert;
mod role;
mod role_list;
mod root;
mod session;
mod site;
mod slot;
mod snapshot;
mod state;
mod system_role;
mod time;
mod tracking;
mod virtual_disk;
mod vm;
mod vmx;
mod written;

pub use attachment::Attachment;
pub use behaviour::{Behaviour, PhysicalRawDisk, TrackingOverSnapshots, UnknownAllocation};
pub use catalog::{Catalog, Vms};
pub use clone::CloneSpec;
pub use custom_field::CustomField;
pub use datastore::{Datastore, DatastoreKind, DatastoreSpec, Vmfs};
pub use error::{Error, Kind};
pub use faults::{BlocksLie, Crash, Fault, Faults, Lie, TextLie};
pub use file_tree::{FileEntry, FolderListing};
pub use first_class::{FirstClassDisk, FirstClassDiskSpec, FirstClassSnapshot};
pub use frozen::FrozenConfig;
pub use hold::DiskHold;
pub use hot_add::{CleanedUp, HotAddRefusal, HotAddSpec, HotAdded};
pub use inventory::FolderKind;
pub use journal::{Entry, Journal};
pub use kit::{KitSpec, library_major};
pub use layout::{DiskLayout, FileLayout, LayoutFile, SnapshotLayout};
pub use machine::Machine;
pub use nfc::{NfcBandwidth, NfcMemory};
pub use nfc_link::NfcLink;
pub use performance::Performance;
pub use power::NEWEST_HARDWARE_VERSION;
pub use query::{Area, ChangedAreas, ChangedAreasError};
pub use question::{CHOICES, Consent, Question};
pub use quiescing::Quiescing;
pub use reconfigure::{DiskChange, VmChange};
pub use role::{Permission, Role};
pub use role_list::NumberedRole;
pub use root::Lab;
pub use site::{
    ComputeResource, Datacenter, Folder, Host, Network, ResourcePool, Site, SiteSpec, User,
};
pub use slot::Bus;
pub use snapshot::{Snapshot, SnapshotSpec};
pub use system_role::SystemRole;
pub use time::timestamp;
pub use tracking::GRAIN_BYTES;
pub use vm::{
    DisabledMethod, Disk, DiskSpec, Link, LinkTracking, PowerState, Provisioning, Tracking, Vm,
    VmSpec,
};
pub use vmx::ddb_uuid;
