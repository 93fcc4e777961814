//! `bindings`: the committed bindings of vddk-sys.

use std::fs;

use anyhow::Context as _;
use clap::Args;

use crate::generated::{Mode, settle};
use crate::workspace::Build;

const FEATURE: &str = "buildtime-bindgen";

/// Make vddk-sys/src/bindings.rs from the header. Needs libclang.
#[derive(Debug, Args)]
pub(crate) struct Bindings {
    /// Fail when the committed file differs; write nothing
    #[arg(long)]
    check: bool,
}

impl Bindings {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the build fails, or the file differs and `--check` is given.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let build = Build::run(&["-p", "vddk-sys", "--features", FEATURE])
            .context("failed to make the bindings (is libclang installed?)")?;
        let path = build.out_dir("vddk-sys")?.join("bindings.rs");
        let made = fs::read_to_string(&path)
            .with_context(|| format!("failed to read {}", path.display()))?;
        settle(
            Mode::new(self.check),
            "vddk-sys/src/bindings.rs",
            &made,
            "cargo xtask bindings",
        )
    }
}
