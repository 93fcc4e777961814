//! `sanitize`: the tests of the unsafe crates under the address and the leak sanitizer.

use std::env::consts::{ARCH, OS};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use clap::Args;

use crate::output::line;
use crate::workspace;

/// The one platform that the C interface is known for, and the sanitizers are used on.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What is checked: the safe layer, and the stand-in that it loads.
const PACKAGES: [&str; 2] = ["vddk", "vixdisklib"];

/// The stand-in is a shared library and finds the sanitizer's functions in the program, which has
/// to export them for that.
const RUSTFLAGS: &str = "-Zsanitizer=address -Clink-arg=-rdynamic";

const ASAN_OPTIONS: &str = "detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1";

/// Faults that are made on purpose, each with what must be said of it: that the sanitizer is on,
/// and sees into the library too, is not taken for granted.
const FAULTS: [Fault; 3] = [
    Fault {
        package: "vddk",
        test: "sanitizer::leaks_on_purpose",
        report: "LeakSanitizer: detected memory leaks",
    },
    Fault {
        package: "vddk",
        test: "sanitizer::reads_freed_memory_on_purpose",
        report: "AddressSanitizer: heap-use-after-free",
    },
    Fault {
        package: "vixdisklib",
        test: "sanitizer::a_buffer_is_too_short_on_purpose",
        report: "AddressSanitizer: heap-buffer-overflow",
    },
];

struct Fault {
    package: &'static str,
    test: &'static str,
    report: &'static str,
}

/// Run the tests of vddk and the stand-in under AddressSanitizer and LeakSanitizer.
#[derive(Debug, Args)]
#[command(after_help = "Needs no other toolchain. What it builds lies in target/asan.")]
pub(crate) struct Sanitize {}

impl Sanitize {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a test fails, the sanitizer finds something, or it does not find a fault on purpose.
    #[expect(clippy::unused_self, reason = "as every command is run")]
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if (ARCH, OS) != ("x86_64", "linux") {
            line(&format!("skipped: sanitizers are run on {TARGET} only"));
            return Ok(());
        }
        line("== faults on purpose");
        for fault in &FAULTS {
            fault.is_found()?;
        }
        line("== all tests");
        let status = instrumented()?
            .args(["test", "--no-fail-fast", "--target", TARGET])
            .args(PACKAGES.iter().flat_map(|name| ["-p", name]))
            // Runs nothing, so there is nothing to find in it.
            .args(["--", "--skip", "compile_fail::"])
            .status()
            .context("failed to start cargo")?;
        ensure!(
            status.success(),
            "the tests do not pass under the sanitizer"
        );
        Ok(())
    }
}

impl Fault {
    fn is_found(&self) -> anyhow::Result<()> {
        let output = instrumented()?
            .args([
                "test",
                "--target",
                TARGET,
                "-p",
                self.package,
                "--test",
                "it",
            ])
            .args(["--", "--ignored", "--exact", self.test])
            .stderr(Stdio::piped())
            .output()
            .context("failed to start cargo")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        if output.status.success() || !errors.contains(self.report) {
            let said = String::from_utf8_lossy(&output.stdout);
            bail!(
                "{} was not found by the sanitizer, which should say \"{}\":\n{said}{errors}",
                self.test,
                self.report
            );
        }
        line(&format!("{}: {}", self.test, self.report));
        Ok(())
    }
}

/// A cargo command that builds with the sanitizer, into a folder of its own.
fn instrumented() -> anyhow::Result<Command> {
    let mut command = workspace::cargo()?;
    command
        // The stable compiler takes the unstable option with this.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", RUSTFLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("CARGO_TARGET_DIR", folder()?)
        .env("ASAN_OPTIONS", ASAN_OPTIONS);
    Ok(command)
}

/// Apart from the plain build, whose artifacts would be replaced each time.
fn folder() -> anyhow::Result<PathBuf> {
    Ok(workspace::target()?.join("asan"))
}
