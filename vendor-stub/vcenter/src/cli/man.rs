//! `vcenter-stub man`.

use std::io::Write as _;

use clap::{Args, CommandFactory as _};

use super::Arguments;

/// Print the manual page.
#[derive(Debug, Args)]
pub(super) struct Man {}

impl Man {
    #[expect(clippy::unused_self, reason = "every command is run this way")]
    pub(super) fn run(self) -> anyhow::Result<()> {
        let mut page = Vec::new();
        clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
        std::io::stdout().write_all(&page)?;
        Ok(())
    }
}
