//! The golden repositories, restored by the reader in Python.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::SCRIPT;
use crate::output::line;
use crate::workspace;

const FOLDER: &str = "cbt-backup/tests/golden";
/// Prints the BLAKE3 hash of a file.
const HASH: &str =
    "import blake3, sys; print(blake3.blake3(open(sys.argv[1], 'rb').read()).hexdigest())";

/// Restores every disk of every living point and compares hashes.
///
/// # Errors
///
/// When a disk is not what it was, or the reader takes one that is not whole.
pub(super) fn restore_all(python: &Path, scratch: &Path) -> anyhow::Result<()> {
    let folder = workspace::root()?.join(FOLDER);
    let entries = fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut golden: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    golden.sort_unstable();
    for repository in golden {
        let disks = Golden {
            python,
            repository: &repository,
            restored: &scratch.join("golden.raw"),
        }
        .restore()?;
        let name = repository.file_name().unwrap_or_default().display();
        line(&format!(
            "  golden {name}: {disks} disks are what they were"
        ));
    }
    Ok(())
}

struct Golden<'a> {
    python: &'a Path,
    repository: &'a Path,
    restored: &'a Path,
}

impl Golden<'_> {
    /// The number of disks compared.
    fn restore(&self) -> anyhow::Result<u32> {
        let expected = fs::read(self.repository.join("expected.json"))?;
        let expected: Value = serde_json::from_slice(&expected)?;
        let mut compared = 0;
        for point in expected["points"].as_array().context("no points")? {
            let id = point["point"].as_str().context("no id")?;
            for disk in point["disks"].as_array().context("no disks")? {
                let output = self.read(id, &disk["key"].to_string())?;
                let Some(hash) = disk["blake3"].as_str() else {
                    if output.status.success() {
                        bail!("{id}: the reader takes a disk that is not whole");
                    }
                    continue;
                };
                if !output.status.success() {
                    bail!("{id}: {}", String::from_utf8_lossy(&output.stderr));
                }
                if self.hash()? != hash {
                    bail!("{id}: the reader restores another disk {}", disk["key"]);
                }
                compared += 1;
            }
        }
        Ok(compared)
    }

    fn read(&self, point: &str, key: &str) -> anyhow::Result<Output> {
        Command::new(self.python)
            .arg(workspace::root()?.join(SCRIPT))
            .arg(self.repository.join("repository"))
            .arg(self.repository.join("passphrase"))
            .args([point, key])
            .arg(self.restored)
            .stdin(Stdio::null())
            .output()
            .context("failed to start python")
    }

    fn hash(&self) -> anyhow::Result<String> {
        let output = Command::new(self.python)
            .args(["-c", HASH])
            .arg(self.restored)
            .output()
            .context("failed to start python")?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
