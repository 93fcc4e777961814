//! nbdkit's VDDK plugin, as its authors published it.
//!
//! Debian leaves the plugin out of its binary packages; the source package has it.

mod build;
mod loading;
mod local;
mod making;
mod managed;
mod own_tests;

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Outcome;
use super::ground::Ground;
use super::process::{self, Said, foreign, hear, must};
use crate::output::line;

/// A built nbdkit with its plugin.
#[derive(Debug)]
struct Nbdkit {
    /// The folder it was built in.
    built: PathBuf,
    /// The folder with its source.
    source: PathBuf,
    /// Its version.
    version: String,
}

/// Runs all that is tried with nbdkit.
///
/// # Errors
///
/// When nbdkit finds something wrong, or we with what it read.
pub(super) fn run(ground: &Ground) -> anyhow::Result<Outcome> {
    let nbdkit = match needs().and_then(|()| build::have(&ground.tools)) {
        Ok(nbdkit) => nbdkit,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    line(&format!("  nbdkit {}", nbdkit.version));
    loading::check(&nbdkit, ground)?;
    own_tests::check(&nbdkit, ground)?;
    local::check(&nbdkit, ground)?;
    making::check(&nbdkit, ground)?;
    managed::check(&nbdkit, ground)?;
    Ok(Outcome::Passed)
}

fn needs() -> anyhow::Result<()> {
    for (program, package) in [
        ("nbdcopy", "libnbd-bin"),
        ("nbdinfo", "libnbd-bin"),
        ("nbdsh", "python3-libnbd"),
        ("qemu-img", "qemu-utils"),
        ("file", "file"),
    ] {
        process::need(program, package)?;
    }
    Ok(())
}

/// The dummy VixDiskLib of nbdkit's tests, built from the same source.
///
/// # Errors
///
/// When the source cannot be had or does not build.
pub(super) fn dummy(tools: &Path) -> anyhow::Result<PathBuf> {
    let nbdkit = build::have(tools)?;
    Ok(nbdkit.built.join("tests/.libs/libvixDiskLib.so.6"))
}

impl Nbdkit {
    fn plugin(&self) -> PathBuf {
        plugin(&self.built)
    }

    /// The server with the plugin and a kit, on a socket of its own.
    fn command(&self, kit: &Path) -> Command {
        command(&self.built, kit)
    }

    /// Serves a disk while a shell command runs, which finds the address in `$uri`. What the
    /// command and nbdkit said comes back.
    fn serve(&self, kit: &Path, options: &[String], client: &str) -> anyhow::Result<String> {
        must(self.command(kit).args(options).args(["--run", client]))
    }

    /// As [`Nbdkit::serve`], but success is not asked for.
    fn try_serve(&self, kit: &Path, options: &[String], client: &str) -> anyhow::Result<Said> {
        hear(self.command(kit).args(options).args(["--run", client]))
    }
}

/// The server with the plugin and a kit, where an earlier run of the clients has built them and nbdcopy is there.
pub(crate) fn as_built(tools: &Path, kit: &Path) -> Option<Command> {
    let built = build::folder(tools);
    let is_there = build::is_done(&built) && process::need("nbdcopy", "libnbd-bin").is_ok();
    is_there.then(|| command(&built, kit))
}

fn command(built: &Path, kit: &Path) -> Command {
    let mut command = foreign(built.join("server/nbdkit"));
    command
        .args(["--exit-with-parent", "-U", "-"])
        .arg(plugin(built))
        .arg(format!("libdir={}", kit.display()));
    command
}

fn plugin(built: &Path) -> PathBuf {
    built.join("plugins/vddk/.libs/nbdkit-vddk-plugin.so")
}

/// A word in single quotes for the shell.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}
