//! A python with packages from PyPI: the system's, else one of our own in the target folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// A python that can import these modules. Packages that are missing are installed into
/// `folder/venv`, if pip can do that.
///
/// # Errors
///
/// When there is no python, or the packages cannot be had.
pub(crate) fn with(folder: &Path, packages: &[&str], modules: &str) -> anyhow::Result<PathBuf> {
    let system = PathBuf::from("python3");
    let own = folder.join("venv/bin/python");
    for python in [&system, &own] {
        if can_import(python, modules) {
            return Ok(python.clone());
        }
    }
    let mut steps = Vec::new();
    if !can_import(&own, "pip") {
        let mut make = Command::new(&system);
        make.args(["-m", "venv", "--clear"])
            .arg(folder.join("venv"));
        steps.push(make);
    }
    let mut install = Command::new(&own);
    install
        .args(["-m", "pip", "install", "--quiet"])
        .args(packages);
    steps.push(install);
    for mut step in steps {
        let done = step.stdin(Stdio::null()).stdout(Stdio::null()).status();
        let done = done.with_context(|| format!("no {}", step.get_program().display()))?;
        if !done.success() {
            bail!("{step:?} failed");
        }
    }
    if !can_import(&own, modules) {
        bail!("{} cannot import {modules}", own.display());
    }
    Ok(own)
}

fn can_import(python: &Path, modules: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {modules}")]);
    command.stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
