//! The protocol of the repository as a model, and an explorer that visits every state of it.
//!
//! `doc/repository-format.md` says what sessions, sweeps and readers do. This crate says it a second
//! time, in a form that can be run to the end: each look at a key and each change of one is a step,
//! the steps of all actors are mixed in every order, and everybody can stop for ever anywhere.
//!
//! ```text
//! store      the objects                     writer    announce, choose a parent, upload, commit
//! sweep      condemn, fence, delete, clean   reader    pin, find, read
//! retention  drop points; rot, lost roots    scene     who acts
//! state      all of it, and the promises     variant   protocols with a mistake in them
//! explore    every state, breadth first
//! ```
//!
//! The promises, checked in every state:
//!
//! - a living root finds all its packs,
//! - a point that was reported lives until retention drops it,
//! - a point that was dropped stays so,
//! - a reader loses nothing while it reads,
//! - a lost root can be brought back until its time is over,
//! - a sweep that ended leaves no proposal undecided,
//! - a backup that knew the quarantine heals.
//!
//! ```
//! use protocol::{Outcome, Scene, explore};
//!
//! assert!(matches!(explore(&Scene::undelete(), 10_000_000), Outcome::Safe { .. }));
//! ```

#![forbid(unsafe_code)]

pub mod explore;
pub mod reader;
mod retention;
pub mod scene;
pub mod set;
pub mod state;
pub mod store;
pub mod sweep;
pub mod variant;
pub mod writer;

pub use explore::{Model, Outcome, explore};
pub use scene::{Scene, Writing};
pub use state::{State, Step};
pub use variant::Variant;
