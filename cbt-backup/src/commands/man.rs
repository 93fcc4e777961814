//! `man`: the manual page, made from the definition of the command line.

use clap::{Args, CommandFactory};

use super::Context;
use crate::cli::{
    Cli,
    exit_code::{ExitCode, Failure},
};

/// Print the manual page.
#[derive(Debug, Args)]
pub struct Man {}

impl Man {
    /// Runs the command.
    ///
    /// # Errors
    /// 1 when the page cannot be made.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let mut page = Vec::new();
        let render = clap_mangen::Man::new(Cli::command()).render(&mut page);
        render.map_err(|error| Failure::new(ExitCode::Unexpected, error))?;
        context.output.line(&String::from_utf8_lossy(&page));
        Ok(ExitCode::Done)
    }
}
