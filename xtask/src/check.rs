//! `check`: the walks that are too slow for `cargo test`.

use clap::Args;

use crate::clients::Clients;
use crate::demo::Demo;
use crate::output::{line, skipped};

/// Run the slow walks, each with its name.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Run them all: the demo, and programs of other people
    #[arg(long)]
    long: bool,
}

impl Check {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// That of the first walk that fails.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if !self.long {
            skipped("demo, clients (they take minutes: use --long)");
            return Ok(());
        }
        line("== demo");
        Demo::default().run()?;
        line("== clients");
        Clients::default().run()
    }
}
