//! pyVmomi, driven by `tests/clients/pyvmomi_check.py`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};

use super::{CAPACITY_BYTES, Outcome, VM, certificate, moref};
use crate::output::line;
use crate::stage::Stage;
use crate::{python, workspace};

/// The package that is tried, which is the newest there was.
const PACKAGE: &str = "pyvmomi==9.1.1.0";
const SCRIPT: &str = "tests/clients/pyvmomi_check.py";
const GRAIN_BYTES: u64 = 64 << 10;
const SECTOR_BYTES: u64 = 512;

/// Runs the script.
///
/// # Errors
///
/// When the script finds something wrong.
pub(super) fn run(stage: &Stage, tools: &Path) -> anyhow::Result<Outcome> {
    let python = match python::with(tools, &[PACKAGE], "pyVmomi") {
        Ok(python) => python,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let address = stage.vcenter.address();
    let mut command = Command::new(python);
    command
        .arg(workspace::root()?.join(SCRIPT))
        .args([
            &address.ip().to_string(),
            &address.port().to_string(),
            &stage.user,
        ])
        .args([&stage.password_file, &certificate(stage)])
        .arg(VM)
        // Its other half lies beside it, in the source tree.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("failed to start python")?;
    let last = talk(&mut child, stage);
    let status = child.wait().context("failed to wait for python")?;
    if last? != "ok" || !status.success() {
        bail!("{SCRIPT} ended with {status}");
    }
    Ok(Outcome::Passed)
}

/// Does what the script asks for. Returns its last line.
fn talk(child: &mut Child, stage: &Stage) -> anyhow::Result<String> {
    let output = child.stdout.take().context("python has no output")?;
    let mut input = child.stdin.take().context("python has no input")?;
    let mut last = String::new();
    for said in BufReader::new(output).lines() {
        last = said.context("failed to read from python")?;
        line(&format!("  {last}"));
        if last == "write" {
            let areas = write_as_guest(stage)?;
            writeln!(input, "{}", serde_json::to_string(&areas)?)
                .context("failed to answer python")?;
        }
    }
    Ok(last)
}

/// Writes here and there to the first disk. Returns the grains, start and length in bytes.
fn write_as_guest(stage: &Stage) -> anyhow::Result<Vec<(u64, u64)>> {
    let vm = moref(stage)?;
    let mut places: Vec<(u64, usize)> = (0..120)
        .map(|number| (number * 3 * GRAIN_BYTES + SECTOR_BYTES, 512))
        .collect();
    // A run over two borders, and the last sector of the disk.
    places.push((
        600 * GRAIN_BYTES - SECTOR_BYTES,
        GRAIN_BYTES as usize + 1024,
    ));
    places.push((CAPACITY_BYTES - SECTOR_BYTES, 512));
    let mut areas = Vec::new();
    for (offset, length) in places {
        stage
            .lab
            .guest_write(&vm, 2000, offset, &vec![0x5A; length])?;
        let start = offset / GRAIN_BYTES * GRAIN_BYTES;
        let end = (offset + length as u64)
            .next_multiple_of(GRAIN_BYTES)
            .min(CAPACITY_BYTES);
        areas.push((start, end - start));
    }
    Ok(areas)
}
