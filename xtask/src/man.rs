//! `man`: the committed manual pages.

use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::generated::{Mode, settle};
use crate::workspace::Build;

/// The programs that have a page, each that of its own `man`. The name of the package is that of
/// the program.
const PROGRAMS: [&str; 2] = ["cbt-backup", "vcenter-stub"];

/// Make the pages in doc/man/ from the definitions of the command lines.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Fail when a committed file differs; write nothing
    #[arg(long)]
    check: bool,
}

impl Man {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the build fails, or a file differs and `--check` is given.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let build = Build::packages(&PROGRAMS)?;
        for name in PROGRAMS {
            let made = page(&build, name)?;
            settle(
                Mode::new(self.check),
                &format!("doc/man/{name}.1"),
                &made,
                "cargo xtask man",
            )?;
        }
        Ok(())
    }
}

fn page(build: &Build, name: &str) -> anyhow::Result<String> {
    let output = Command::new(build.program(name)?)
        .arg("man")
        .output()
        .with_context(|| format!("failed to start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} man failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).context("the page is no UTF-8")
}
