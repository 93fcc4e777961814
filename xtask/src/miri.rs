//! `miri`: the pure parts of the safe layer under the interpreter that knows Rust's memory model.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::output::line;
use crate::workspace;

/// Answers, requests and their completion, maps, texts of C, metadata and progress. The rest calls
/// C, or takes minutes there.
const PARTS: [&str; 9] = [
    "answer::",
    "blocks::",
    "callback::tests::a_null_format_is_no_line",
    "given_up::",
    "info::",
    "metadata::",
    "progress::",
    "request::",
    "watch::tests::only_unanswered_requests_have_deadlines",
];

/// Run the pure parts of vddk under Miri, where a nightly toolchain has it.
#[derive(Debug, Args)]
#[command(after_help = "To have it: rustup toolchain install nightly --component miri,rust-src")]
pub(crate) struct Miri {}

impl Miri {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When Miri finds something, or a test fails under it.
    #[expect(clippy::unused_self, reason = "as every command is run")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if !is_there() {
            line("skipped: Miri (no nightly toolchain with the components miri and rust-src)");
            return Ok(());
        }
        let status = nightly()
            .current_dir(workspace::root()?)
            .env("CARGO_TARGET_DIR", workspace::target()?.join("miri"))
            // The tests look at the clock.
            .env("MIRIFLAGS", "-Zmiri-disable-isolation")
            .args(["miri", "test", "-p", "vddk", "--lib", "--"])
            .args(PARTS)
            .status()
            .context("failed to start cargo")?;
        ensure!(status.success(), "Miri found something");
        Ok(())
    }
}

fn is_there() -> bool {
    let setup = nightly()
        .args(["miri", "setup"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    setup.is_ok_and(|status| status.success())
}

/// Cargo of the nightly toolchain. The variables of the one that runs us would lead back to it.
fn nightly() -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly", "cargo"]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_");
        if ours || ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"].contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}
