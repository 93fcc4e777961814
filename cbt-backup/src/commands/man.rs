//! `man`: the manual pages, made from the definition of the command line.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, CommandFactory};

use super::Context;
use crate::cli::{
    Cli,
    exit_code::{ExitCode, Failure},
};

/// Print the manual page, or write a page for each command.
#[derive(Debug, Args)]
pub struct Man {
    /// Write the pages of the program and of each command into this folder, such as
    /// /usr/local/share/man/man1
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    /// Runs the command.
    ///
    /// # Errors
    /// 1 when a page cannot be made or written.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if let Some(dir) = &self.dir {
            write_all(dir).map_err(|error| Failure::new(ExitCode::Unexpected, error))?;
            return Ok(ExitCode::Done);
        }
        let mut page = Vec::new();
        let render = clap_mangen::Man::new(Cli::command()).render(&mut page);
        render.map_err(|error| Failure::new(ExitCode::Unexpected, error))?;
        context.output.line(&String::from_utf8_lossy(&page));
        Ok(ExitCode::Done)
    }
}

fn write_all(dir: &Path) -> anyhow::Result<()> {
    let cannot = || format!("failed to write manual pages to {}", dir.display());
    std::fs::create_dir_all(dir).with_context(cannot)?;
    clap_mangen::generate_to(Cli::command(), dir).with_context(cannot)
}
