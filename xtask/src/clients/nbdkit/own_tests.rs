//! The tests that nbdkit's authors run against the real VixDiskLib.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::bail;

use super::Nbdkit;
use crate::clients::ground::Ground;
use crate::clients::process::{foreign, hear, tail};
use crate::demo::content::write_image;
use crate::output::line;

/// How such a test says that it cannot run here.
const SKIPPED: i32 = 77;

/// Runs every `test-vddk-real*.sh` of the source.
///
/// # Errors
///
/// When one fails, or refuses to run.
pub(super) fn check(nbdkit: &Nbdkit, ground: &Ground) -> anyhow::Result<()> {
    let folder = nbdkit.built.join("tests");
    let disk = folder.join("disk");
    if !disk.exists() {
        write_image(&disk, 8 << 20)?;
    }
    let mut scripts = Vec::new();
    for entry in fs::read_dir(nbdkit.source.join("tests"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("test-vddk-real") && Path::new(&name).extension().is_some() {
            scripts.push(name);
        }
    }
    scripts.sort();
    if scripts.is_empty() {
        bail!("the source has no tests for the real library any more");
    }
    for script in scripts {
        run(nbdkit, ground, &script)?;
    }
    Ok(())
}

fn run(nbdkit: &Nbdkit, ground: &Ground, script: &str) -> anyhow::Result<()> {
    // The wrapper in the top folder is found before any nbdkit of the system, and nbdsh must run
    // with the python it was packaged for.
    let mut path = vec![nbdkit.built.clone(), "/usr/bin".into()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut command = foreign("bash");
    command
        .arg(nbdkit.source.join("tests").join(script))
        .current_dir(nbdkit.built.join("tests"))
        .env("PATH", env::join_paths(path)?)
        .env("vddkdir", &ground.kit);
    let said = hear(&mut command)?;
    match said.code {
        Some(0) => line(&format!("  {script}: passed")),
        Some(SKIPPED) => bail!("{script} would not run:\n{}", tail(&said.text)),
        code => bail!("{script} ended with {code:?}:\n{}", tail(&said.text)),
    }
    Ok(())
}
