//! `vcenter-stub man`.

use std::io::Write as _;

use clap::{Args, CommandFactory as _};

use super::{Arguments, files};

/// Print the manual page.
#[derive(Debug, Args)]
pub(super) struct Man {}

impl Man {
    #[expect(clippy::unused_self, reason = "every command is run this way")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut page = Vec::new();
        let man = clap_mangen::Man::new(Arguments::command());
        man.render_title(&mut page)?;
        man.render_name_section(&mut page)?;
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_subcommands_section(&mut page)?;
        files::section().to_writer(&mut page)?;
        man.render_extra_section(&mut page)?;
        man.render_version_section(&mut page)?;
        std::io::stdout().write_all(&page)?;
        Ok(())
    }
}
