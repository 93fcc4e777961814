//! What every command is given.

use std::sync::{Arc, atomic::AtomicBool};

use tokio::runtime::Handle;

use crate::cli::{config::Config, output::Output, progress::Progress};

/// What every command is given.
#[derive(Clone, Debug)]
pub struct Context {
    /// The configuration file.
    pub config: Config,
    /// Standard output.
    pub output: Output,
    /// Show no progress.
    pub quiet: bool,
    /// Where async calls run.
    pub runtime: Handle,
    /// Set by the first Ctrl-C.
    pub cancel: Arc<AtomicBool>,
}

impl Context {
    /// A display for a long command.
    pub fn progress(&self) -> Progress {
        Progress::new(self.output, self.quiet)
    }
}
