//! Whole runs: the real program against the stand-ins, judged by a copy that neither has seen.
//!
//! A [`Bench`] is one small world in a temporary folder: a lab with a VM of two disks, a stand-in
//! vCenter on loopback, the stand-in library as a kit, a repository, a state folder, and a
//! [`Shadow`] of every disk. Its methods run the real `cbt-backup` and give an [`Outcome`].
//!
//! # What it does for you
//!
//! - The program is built once a test process, and started with an empty environment.
//! - Guest writes go to the lab and to the shadow alike. A run's point is tied to the shadow as it
//!   was when the run began, so a restored point can be compared byte by byte.
//! - A [`Bucket`] is a place for the repository that can stop at any one request.
//! - [`Calls`] answers what the stand-ins were asked, and whether everything was put back.
//!
//! # What it does not
//!
//! - The shadow is never read through the lab, the library or `vmdk`: the oracle is plain files.
//! - Nothing is shared between benches, so tests run side by side.
//!
//! # Example
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let mut bench = cbt_tests::Bench::new()?;
//! bench.init()?.expect_code(0);
//! let full = bench.backup(&[])?.expect_code(0).point();
//! bench.guest_write(2000, 65_536, &[7; 512])?;
//! bench.backup(&[])?.expect_code(0);
//! bench.assert_restores(&full)?;
//! bench.assert_put_back()?;
//! # Ok(())
//! # }
//! ```
//!
//! # Panics
//!
//! What fails to be set up is an error; what is not as a test expects is a panic at the test's line.

#![forbid(unsafe_code)]

mod backup;
mod bench;
mod bucket;
mod calls;
mod content;
mod outcome;
mod program;
mod restore;
mod run;
mod search;
mod shadow;
mod touched;

pub use backup::Backup;
pub use bench::{Bench, BenchOptions, PASSPHRASE, PASSWORD, USER, UserSnapshot, VM};
pub use bucket::Bucket;
pub use calls::Calls;
pub use content::{Noise, mixed};
pub use outcome::{DiskLine, Outcome};
pub use program::{program, stand_in_library};
pub use run::Run;
pub use search::files_holding;
pub use shadow::{Frozen, Shadow};
pub use touched::Touched;
