//! `check`: the walks that are too slow for `cargo test`.

use clap::Args;

use crate::bench::Bench;
use crate::clients::Clients;
use crate::demo::Demo;
use crate::output::line;
use crate::reader::Reader;

/// Run the slow walks, each with its name.
#[derive(Debug, Args)]
#[command(after_help = "What is quick: cargo test --workspace, and --check of bindings and man.")]
pub(crate) struct Check {
    /// Run them all: the demo, its repository read in Python, programs of other
    /// people, and the benchmark of reads
    #[arg(long, required = true)]
    long: bool,
}

impl Check {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// That of the first walk that fails.
    #[expect(clippy::unused_self, reason = "as every command is run")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        line("== demo");
        Demo::default().run()?;
        line("== reader");
        Reader::default().run()?;
        line("== clients");
        Clients::default().run()?;
        line("== bench vddk");
        Bench::vddk().run()
    }
}
