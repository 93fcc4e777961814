//! `vcenter-stub man`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Command, CommandFactory as _};

use super::{Arguments, files};

/// Print the manual page, or write a page for each command.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// Write the pages of the program and of each command into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> anyhow::Result<()> {
        match self.dir {
            Some(dir) => write_all(&dir)
                .with_context(|| format!("failed to write manual pages to {}", dir.display())),
            None => Ok(std::io::stdout().write_all(&page()?)?),
        }
    }
}

/// The commands that have pages.
fn command() -> Command {
    Arguments::command().disable_help_subcommand(true)
}

fn write_all(dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command(), dir)?;
    // The program's own page has the files besides.
    fs::write(dir.join("vcenter-stub.1"), page()?)?;
    Ok(())
}

/// The page of the program.
fn page() -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(command());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    files::section().to_writer(&mut page)?;
    man.render_extra_section(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}
