//! `man`: the committed manual pages.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, bail};
use clap::Args;

use crate::generated::{Mode, settle};
use crate::workspace::{self, Build};

/// The programs that have pages, made by their own `man --dir`. The name of the package is that of the
/// program.
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
        let mut pages = BTreeMap::new();
        for program in PROGRAMS {
            pages.extend(self::pages(&build, program)?);
        }
        for (name, made) in &pages {
            settle(
                Mode::new(self.check),
                &format!("doc/man/{name}"),
                made,
                "cargo xtask man",
            )?;
        }
        for entry in fs::read_dir(workspace::root()?.join("doc/man"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !pages.contains_key(&name) {
                bail!("doc/man/{name} is the page of no command\nhint: remove it");
            }
        }
        Ok(())
    }
}

/// The pages of a program and of each of its commands, by file name.
fn pages(build: &Build, name: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let folder = tempfile::tempdir()?;
    let status = Command::new(build.program(name)?)
        .args(["man", "--dir"])
        .arg(folder.path())
        .status()
        .with_context(|| format!("failed to start {name}"))?;
    if !status.success() {
        bail!("{name} man --dir failed");
    }
    let mut pages = BTreeMap::new();
    for entry in fs::read_dir(folder.path())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        pages.insert(name, fs::read_to_string(entry.path())?);
    }
    Ok(pages)
}
