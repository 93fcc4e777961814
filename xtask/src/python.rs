//! A python with packages from PyPI: the system's, else one of our own in the target folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// A python that can import these modules. Packages that are missing are installed into
/// `folder/venv`, if pip can do that. A package with its version, as in `name==1.2`, is that one.
///
/// # Errors
///
/// When there is no python, or the packages cannot be had.
pub(crate) fn with(folder: &Path, packages: &[&str], modules: &str) -> anyhow::Result<PathBuf> {
    let system = PathBuf::from("python3");
    let own = folder.join("venv/bin/python");
    for python in [&system, &own] {
        if can_import(python, modules) && has_versions(python, packages) {
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
    if !can_import(&own, modules) || !has_versions(&own, packages) {
        bail!("{} cannot import {modules} of {packages:?}", own.display());
    }
    Ok(own)
}

fn can_import(python: &Path, modules: &str) -> bool {
    succeeds(python, &format!("import {modules}"))
}

/// Whether the packages that are named with a version have that one.
fn has_versions(python: &Path, packages: &[&str]) -> bool {
    let pinned = packages.iter().filter_map(|one| one.split_once("=="));
    let mut program = "from importlib.metadata import version\n".to_owned();
    for (name, version) in pinned {
        let _ = writeln!(program, "assert version({name:?}) == {version:?}");
    }
    succeeds(python, &program)
}

fn succeeds(python: &Path, program: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", program]);
    command.stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_of_another_version_is_not_the_one() {
        let python = Path::new("python3");
        if !succeeds(python, "") {
            return crate::output::skipped("versions of packages (no python3)");
        }
        assert!(has_versions(python, &["any", "thing"]));
        assert!(!has_versions(python, &["no-such-package-here==1"]));
        let pip = "from importlib.metadata import version; print(version('pip'))";
        let said = Command::new(python).args(["-c", pip]).output().unwrap();
        if said.status.success() {
            let version = String::from_utf8(said.stdout).unwrap();
            let version = version.trim_end();
            assert!(has_versions(python, &[&format!("pip=={version}")]));
            assert!(!has_versions(python, &[&format!("pip=={version}0")]));
        }
    }
}
