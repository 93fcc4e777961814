//! The command line.

mod files;
mod man;
mod new;
mod serve;
mod size;
mod write;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

const EXAMPLES: &str = "Examples:
  vcenter-stub new lab --vm app01 --disk 1G --disk image.raw
  vcenter-stub --lab lab --listen 127.0.0.1:8989
  vcenter-stub --lab lab --esxi
  vcenter-stub write lab app01 2000 1M --text hello";

/// A stand-in vCenter over a lab folder.
///
/// With --lab it serves the lab until interrupted: SOAP at /sdk, and a read-only object browser
/// at /mob. It prints one line with the URL and both thumbprints of the certificate. The lab's
/// users and passwords stand in its file site.json; what shall go wrong stands in its faults.toml.
///
/// It simulates and guards nothing: do not let it listen where strangers are.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Folder of the lab to serve.
    #[arg(long, value_name = "DIR", required = true)]
    lab: Option<PathBuf>,
    #[command(flatten)]
    serving: serve::Serving,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    New(new::New),
    Write(write::Write),
    Man(man::Man),
}

impl Arguments {
    fn run(self) -> anyhow::Result<()> {
        match (self.command, self.lab) {
            (Some(Command::Serve(command)), _) => command.run(),
            (Some(Command::New(command)), _) => command.run(),
            (Some(Command::Write(command)), _) => command.run(),
            (Some(Command::Man(command)), _) => command.run(),
            (None, Some(lab)) => self.serving.run(&lab),
            (None, None) => anyhow::bail!("--lab DIR is needed"),
        }
    }
}

/// Runs the command line. Failures end with 1, wrong usage with 2.
pub(crate) fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when this fails.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_lab_is_served_with_and_without_the_word() {
        for line in [
            vec!["vcenter-stub", "--lab", "lab", "--esxi"],
            vec!["vcenter-stub", "serve", "lab", "--esxi"],
        ] {
            assert!(Arguments::try_parse_from(line).is_ok());
        }
        assert!(Arguments::try_parse_from(["vcenter-stub"]).is_err());
        let both = ["vcenter-stub", "--lab", "lab", "new", "lab"];
        assert!(Arguments::try_parse_from(both).is_err());
    }
}
