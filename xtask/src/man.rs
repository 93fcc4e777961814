//! `man`: the committed manual page.

use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::generated::{Mode, settle};
use crate::workspace::Build;

/// Make doc/man/cbt-backup.1 from the definition of the command line.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Fail when the committed file differs; write nothing
    #[arg(long)]
    check: bool,
}

impl Man {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the build fails, or the file differs and `--check` is given.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let program = Build::packages(&["cbt-backup"])?.program("cbt-backup")?;
        let output = Command::new(program)
            .arg("man")
            .output()
            .context("failed to start cbt-backup")?;
        if !output.status.success() {
            bail!(
                "cbt-backup man failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let made = String::from_utf8(output.stdout).context("the page is no UTF-8")?;
        settle(
            Mode::new(self.check),
            "doc/man/cbt-backup.1",
            &made,
            "cargo xtask man",
        )
    }
}
