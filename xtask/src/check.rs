//! `check`: the walks that are too slow for `cargo test`.

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::bench::Bench;
use crate::clients::Clients;
use crate::demo::Demo;
use crate::output::line;
use crate::reader::Reader;
use crate::workspace;

/// Tests of the repository that take long, with what makes them long.
const TESTS: [(&str, &[&str], (&str, &str)); 2] = [
    (
        "a fleet of processes under kills",
        &["a_fleet_under_kills"],
        ("CBT_FLEET_SECONDS", "60"),
    ),
    (
        "memory for the tree of a large disk",
        &["memory_grows_slowly_with_the_disk", "--ignored"],
        ("CBT_SCALE_TIB", "4"),
    ),
];

/// Run the slow walks, each with its name.
#[derive(Debug, Args)]
#[command(after_help = "What is quick: cargo test --workspace, and --check of bindings and man.")]
pub(crate) struct Check {
    /// Run them all: the demo and its tour, its repository read in Python, programs of other
    /// people, long tests of the repository, and the benchmarks
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
        line("== demo --tour");
        Demo::tour().run()?;
        line("== reader");
        Reader::default().run()?;
        line("== clients");
        Clients::default().run()?;
        for (name, arguments, variable) in TESTS {
            line(&format!("== {name}"));
            test(arguments, variable)?;
        }
        line("== bench repo");
        Bench::tiny_repo().run()?;
        line("== bench backup");
        Bench::tiny_backup().run()?;
        line("== bench vddk");
        Bench::vddk().run()
    }
}

/// Runs tests of cbt-backup and shows what they print. A variable that is set already stays.
fn test(arguments: &[&str], (name, value): (&str, &str)) -> anyhow::Result<()> {
    let mut command = workspace::cargo()?;
    command
        .args(["test", "--quiet", "-p", "cbt-backup", "--lib", "--"])
        .args(arguments)
        .arg("--nocapture")
        .stdin(Stdio::null());
    if std::env::var_os(name).is_none() {
        command.env(name, value);
    }
    let status = command.status().context("failed to start cargo")?;
    ensure!(status.success(), "{arguments:?} ended with {status}");
    Ok(())
}
