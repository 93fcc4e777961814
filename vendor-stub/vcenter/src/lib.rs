//! A stand-in vCenter: an HTTPS server that speaks the part of the vSphere Web Services
//! API a backup program needs, over a [`lab::Lab`].
//!
//! It is strict where a real vCenter is strict, so that mistakes of a client show:
//! element order, `_this`, types, sessions that end, pages that were not asked for,
//! typed faults. Section numbers in the comments are those of "vSphere Web Services API".
//!
//! # What it does for you
//!
//! - Login, property collector with traversal, pages and filters that report changes, container
//!   views, search, snapshot and reconfiguration tasks, changed disk areas. An unknown method is
//!   `MethodNotFound`.
//! - Everything it knows comes from the lab; several servers may run on one lab.
//! - Answers as an ESXi host, in the version of the API that is asked for, and in other forms of
//!   XML ([`Options::bare_host`], [`Form`]); a read-only object browser at `/mob`.
//! - Faults, delays, broken answers and false pages as the lab's `faults.toml` orders them;
//!   every call is a line in the lab's journal, without secrets.
//!
//! # What it does not
//!
//! - Sessions and tasks live in the process and end with it; finished tasks are forgotten
//!   after [`Options::task_memory_secs`].
//!
//! # Example
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use vcenter_stub::{Options, VCenter};
//!
//! let lab = lab::Lab::open("target/demo/lab".as_ref())?;
//! let vcenter = VCenter::start(lab, Options::default())?;
//! let (url, thumbprint) = (vcenter.url(), vcenter.thumbprint_sha256());
//! # let _ = (url, thumbprint);
//! vcenter.stop();
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! [`VCenter`] has a thread and a tokio runtime of its own, so it can be started from
//! anywhere, also inside another runtime's blocking code.

#![forbid(unsafe_code)]

mod changes;
mod clock;
mod collector;
mod error;
mod event;
mod form;
mod history;
mod journal;
mod lease;
mod methods;
mod mob;
mod model;
mod options;
mod privilege;
mod random;
mod schema;
mod server;
mod session;
mod setting;
mod soap;
mod task;
mod ticket;
mod value;
mod world;

pub use error::Error;
pub use form::{FaultForm, Form};
pub use options::Options;
pub use server::VCenter;
