//! gvddk, VMware's Go layer over VixDiskLib, driven by `tests/clients/gvddk`.
//!
//! It is compiled against our header and linked to the stand-in library.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::bail;

use super::Outcome;
use super::ground::Ground;
use super::process::{foreign, hear, must, need, tail};
use crate::output::line;
use crate::workspace;

const FOLDER: &str = "tests/clients/gvddk";
/// gvddk passes this constant on. Its value is in no public source, so ours must not name one.
const UNKNOWN: &str = "-DVIXDISKLIB_MAX_CHUNK_SIZE=0";

/// Runs the program.
///
/// # Errors
///
/// When the program finds something wrong, or we with what it read.
pub(super) fn run(ground: &Ground) -> anyhow::Result<Outcome> {
    let fetched = need("go", "golang-go").and_then(|()| need("gcc", "gcc"));
    let fetched = fetched.and_then(|()| {
        must(go(ground)?.args(["mod", "download"]))?;
        Ok(())
    });
    if let Err(error) = fetched {
        return Ok(Outcome::Skipped(format!("{error:#}")));
    }
    let program = build(ground)?;
    let out = ground.scratch("gvddk")?.join("out.raw");
    let since = ground.journal(0)?.len();
    let address = ground.stage.vcenter.address();
    let mut command = foreign(program);
    command
        .env("LD_LIBRARY_PATH", ground.kit.join("lib64"))
        .arg(&ground.kit)
        .args([address.ip().to_string(), address.port().to_string()])
        .arg(&ground.stage.user)
        .arg(&ground.stage.password_file)
        .arg(ground.stage.lab.thumbprint_sha1()?)
        .arg(format!("moref={}", ground.resting_vm))
        .arg(&ground.resting_disk)
        .arg(&out);
    let said = hear(&mut command)?;
    for text in said.text.lines() {
        line(&format!("  {text}"));
    }
    if !said.success || !said.text.contains("\nok\n") {
        bail!("it ended with {:?}:\n{}", said.code, tail(&said.text));
    }
    ground.must_be_true(&out)?;
    ground.must_be_tidy(since)?;
    let vm = ground.stage.lab.vm(&ground.resting_vm)?;
    if !vm.disabled_methods.is_empty() {
        bail!(
            "moving the VM is still forbidden: {:?}",
            vm.disabled_methods
        );
    }
    line("  the disk is the same, byte for byte");
    Ok(Outcome::Passed)
}

fn build(ground: &Ground) -> anyhow::Result<PathBuf> {
    let program = ground.tools.join("bin/gvddk-check");
    must(go(ground)?.args(["build", "-o"]).arg(&program).arg("."))?;
    Ok(program)
}

fn go(ground: &Ground) -> anyhow::Result<Command> {
    let root = workspace::root()?;
    let include = root.join("vddk-sys/include");
    let mut command = foreign("go");
    command
        .current_dir(root.join(FOLDER))
        .env("CGO_ENABLED", "1")
        .env(
            "CGO_CFLAGS",
            format!("-O2 {} {UNKNOWN}", quoted("-I", &include)),
        )
        .env("CGO_LDFLAGS", quoted("-L", &ground.kit.join("lib64")));
    Ok(command)
}

/// An option with a path. go splits the variables at spaces and knows double quotes around a whole
/// word.
fn quoted(option: &str, path: &Path) -> String {
    format!("\"{option}{}\"", path.display())
}
