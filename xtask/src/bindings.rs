//! `bindings`: the committed bindings of vddk-sys.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use clap::Args;

use crate::folder::Folder;
use crate::generated::{Mode, settle};
use crate::output::line;
use crate::workspace::{self, Build};

const BUILD: [&str; 4] = ["-p", "vddk-sys", "--features", "buildtime-bindgen"];
const HEADER: &str = "vddk-sys/include/vixDiskLib.h";
/// What the copy that plays a kit's header has besides: name and value.
const OF_THE_KIT: (&str, &str) = ("VIXDISKLIB_KIT_OF_THE_CHECK", "7321");

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
        let build =
            Build::run(&BUILD).context("failed to make the bindings (is libclang installed?)")?;
        let made = made_by(&build)?;
        settle(
            Mode::new(self.check),
            "vddk-sys/src/bindings.rs",
            &made,
            "cargo xtask bindings",
        )?;
        if self.check {
            check_against_a_kit(&made)?;
        }
        Ok(())
    }
}

fn made_by(build: &Build) -> anyhow::Result<String> {
    let path = build.out_dir("vddk-sys")?.join("bindings.rs");
    fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
}

/// Makes the bindings against a folder that plays a kit's: our header and one constant more. They
/// must be ours and that constant.
fn check_against_a_kit(ours: &str) -> anyhow::Result<()> {
    let folder = Folder::claim(&workspace::target()?.join("xtask/bindings"))?;
    let (name, value) = OF_THE_KIT;
    let header = fs::read_to_string(workspace::root()?.join(HEADER))
        .with_context(|| format!("failed to read {HEADER}"))?;
    let copy: &Path = &folder.path().join("vixDiskLib.h");
    fs::write(copy, format!("{header}\n#define {name} {value}\n"))
        .with_context(|| format!("failed to write {}", copy.display()))?;
    let build = Build::run_against(folder.path(), &BUILD)?;
    let made = made_by(&build)?;
    let (more, same): (Vec<_>, Vec<_>) = made.lines().partition(|line| line.contains(name));
    ensure!(
        more.len() == 1 && more[0].contains(value),
        "the header in VDDK_INCLUDE_DIR was not read"
    );
    ensure!(
        same == ours.lines().collect::<Vec<_>>(),
        "the same header in VDDK_INCLUDE_DIR makes other bindings"
    );
    line("the bindings can be made against VDDK_INCLUDE_DIR");
    Ok(())
}
