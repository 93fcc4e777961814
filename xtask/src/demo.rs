//! `demo`: the main job, end to end, on real input and without any VMware part.
//!
//! What the disks must hold is known from the demo's own copies: the source images plus the same
//! guest writes, put there by plain `pwrite` and never read through the lab or the library. One
//! exception: a VMDK given by `--image` is unpacked by the crate that the lab uses too, so
//! `qemu-img` judges the unpacked copy where it is installed, and the demo says so when it is not.

pub(crate) mod compare;
pub(crate) mod content;
mod filesystem;
mod guest;
mod image;
mod keep;
mod program;
mod run;
mod scale;
mod shadow;
mod tour;

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use crate::output::line;
use crate::workspace;

/// Back two disks up in full and by change, restore both points, compare every byte.
///
/// Everything stays in one folder, which the next run replaces.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  cargo xtask demo
  cargo xtask demo --tour
  cargo xtask demo --keep
  cargo xtask demo --image server.vmdk --image data.raw")]
pub(crate) struct Demo {
    /// A raw or VMDK image to use as a disk, in place of those the demo makes; may be repeated
    #[arg(long, value_name = "FILE")]
    image: Vec<PathBuf>,
    /// Show what happens when things go wrong: a reset of change tracking, an audit that finds a lie, a run that is killed
    #[arg(long, conflicts_with_all = ["image", "keep"])]
    tour: bool,
    /// Leave the stand-in vCenter running at the end, until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Folder for everything [default: demo in the target folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where the repository is to be, in place of a folder beside the rest
    #[arg(skip)]
    store: Option<Store>,
}

/// A repository that is no folder of ours.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// What `--repo` gets.
    address: String,
    /// What opens it.
    environment: Vec<(String, String)>,
}

impl Demo {
    /// The tour.
    pub(crate) fn tour() -> Self {
        Self {
            tour: true,
            ..Self::default()
        }
    }

    /// The demo in a folder of its own, with its repository at `address`.
    pub(crate) fn elsewhere(address: String, environment: Vec<(String, String)>) -> Self {
        let store = Some(Store {
            address,
            environment,
        });
        Self {
            store,
            ..Self::default()
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a step fails, and when any restored byte differs from what it must be.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let started = Instant::now();
        let folder = match &self.dir {
            Some(folder) => folder.clone(),
            None if self.tour => workspace::target()?.join("demo-tour"),
            None if self.store.is_some() => workspace::target()?.join("demo-store"),
            None => workspace::target()?.join("demo"),
        };
        if self.tour {
            tour::go(&folder)?;
            line(&format!("done in {} s", started.elapsed().as_secs()));
            return Ok(());
        }
        let played = run::play(&folder, &self.image, self.keep, self.store.as_ref())?;
        line(&format!("done in {} s", started.elapsed().as_secs()));
        if self.keep {
            keep::until_interrupted(&played)?;
        }
        Ok(())
    }
}
