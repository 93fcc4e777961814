//! A client for the vSphere Web Services API: what an agentless backup needs, and no more.
//!
//! ```text
//! Client        connect, log in, find VMs, read one VM, snapshots, changed areas, tasks, log out
//! ServerAddress where the server is            Trust, Thumbprint(s)  why we believe it is that server
//! Vm, Disk      what a VM is made of           SnapshotConfig        the VM as the snapshot froze it
//! VmSelection   which VMs are meant            VmPages, VmSummary    those VMs, page by page
//! TaskInfo      work the server does           DiskChangeInfo        one page of changed areas
//! ObjectPages   any properties of any objects  Watch, TaskWatch      what changes, as it does
//! UserSession   who is logged in               Proxy                 the way there
//! RevertHistory was a VM taken back?         SearchTarget          one object by what it is called
//! Error, Fault  what went wrong, typed
//! ```
//!
//! What it does: it writes the envelope by hand, in the order the schema demands; it reads
//! answers with a bounded pull reader; it verifies the server by system roots, by a file of
//! authorities or by a pinned thumbprint, never not at all; it logs in again when a session
//! has expired, and keeps an idle one alive; it repeats reads, and only reads, after a failure
//! of the transport.
//!
//! What it does not do: judge the changed areas, decide on retries of writes, wait without a
//! limit, or log out by itself. [`Client::logout`] belongs on every path out.
//!
//! All calls are async and want a tokio runtime with I/O and time enabled.

mod address;
mod authorization;
mod changed_areas;
mod client;
mod config_spec;
mod connect;
mod datastore;
mod datastore_file;
mod datastore_path;
mod device;
mod disk;
mod envelope;
mod error;
mod exchange;
mod fault;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod host;
mod http;
mod inventory;
mod lifecycle;
mod moref;
mod near;
mod operation;
mod privilege;
mod property;
mod proxy;
mod revert_history;
mod search_index;
mod selector;
mod session;
mod snapshot;
mod surroundings;
mod task;
mod thumbprint;
mod tls;
mod tracking;
mod version;
mod vm;
mod xml;

#[cfg(test)]
mod action_tests;
#[cfg(test)]
mod parser_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod wire_tests;

pub use address::ServerAddress;
pub use authorization::EntityPrivileges;
pub use changed_areas::{ChangedArea, DiskChangeInfo};
pub use client::{About, Client};
pub use config_spec::{BootOrder, ConfigSpec, LaterDisk, Network, SpecEncryption, SpecOptions};
pub use connect::{ConnectOptions, PollDelays, RetryPolicy, Timeouts, observe, observe_through};
pub use datastore::Datastore;
pub use datastore_file::{DatastoreFile, FilePart, FileTicket, TicketMethod};
pub use datastore_path::DatastorePath;
pub use device::{Controller, ControllerKind, NetworkCard, SharedBus};
pub use disk::{Backing, BackingKind, Disk, DiskTracking, Exclusion, Untrackable};
pub use error::Error;
pub use fault::Fault;
pub use host::{Host, HostVersion};
pub use inventory::{VmPages, VmSummary};
pub use lifecycle::{Provisioning, VmQuestion};
pub use moref::Moref;
pub use privilege::{Privilege, PrivilegePurpose, PrivilegeScope};
pub use property::{
    ChangeOp, ItemKey, ObjectChange, ObjectContent, ObjectPages, ObjectSpec, ObjectUpdate,
    PathStep, PropertyChange, PropertyFilterSpec, PropertyMap, PropertyPath, PropertySpec,
    PropertyValue, Seen, Selection, TraversalSpec, Updates, Watch, WatchId, WatchInterrupt,
    WatchMethod,
};
pub use proxy::{Proxy, ProxyAddress};
pub use revert_history::{RevertDoubt, RevertHistory};
pub use search_index::{SearchTarget, UuidKind};
pub use selector::{PlaceKind, Selector, VmSelection};
pub use session::UserSession;
pub use snapshot::{
    Quiesce, SnapshotConfig, SnapshotNode, SnapshotSpec, SnapshotTree, Unmerged, VssBackupType,
    VssContext, WindowsQuiesce,
};
pub use surroundings::Surroundings;
pub use task::{TaskInfo, TaskRef, TaskState, TaskWatch};
pub use thumbprint::{Thumbprint, Thumbprints};
pub use tls::Trust;
pub use tracking::{
    DiskReport, Landmark, MIN_TRACKED_HARDWARE, ManualWay, QueryRefusal, SwitchOptions,
    TrackingCause, TrackingError, TrackingEvent, TrackingFacts, TrackingReport, TrackingState,
    browser_path, tracking_of,
};
pub use vm::{
    Capability, CryptoKeyId, Guest, ManagedBy, PowerState, TrackingKeys, Vm, VmEncryption,
};
pub use xml::XmlError;
