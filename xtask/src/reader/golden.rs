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
/// When a disk is not what it was, or the reader takes one that is not whole, or does not name what of
/// it is lost.
pub(super) fn restore_all(python: &Path, scratch: &Path) -> anyhow::Result<()> {
    let folder = workspace::root()?.join(FOLDER);
    let entries = fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))?;
    let mut golden: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<anyhow::Result<_>>()?;
    golden.sort_unstable();
    for repository in golden {
        let (disks, losses) = Golden {
            python,
            repository: &repository,
            restored: &scratch.join("golden.raw"),
        }
        .restore()?;
        let name = repository.file_name().unwrap_or_default().display();
        line(&format!(
            "  golden {name}: {disks} disks are what they were, {losses} lost ranges are told"
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
    /// The number of disks compared, and of ranges that are lost in them.
    fn restore(&self) -> anyhow::Result<(u32, usize)> {
        let expected = fs::read(self.repository.join("expected.json"))?;
        let expected: Value = serde_json::from_slice(&expected)?;
        let (mut compared, mut losses, mut turn) = (0, 0, 0);
        for point in expected["points"].as_array().context("no points")? {
            let id = point["point"].as_str().context("no id")?;
            for disk in point["disks"].as_array().context("no disks")? {
                let output = self.read(id, &disk["key"].to_string(), turn)?;
                turn += 1;
                let Some(hash) = disk["blake3"].as_str() else {
                    if output.status.success() {
                        bail!("{id}: the reader takes a disk that is not whole");
                    }
                    continue;
                };
                let lost = lost(&disk["lost"])?;
                judge(&output, &lost).with_context(|| id.to_owned())?;
                losses += lost.len();
                if self.hash()? != hash {
                    bail!("{id}: the reader restores another disk {}", disk["key"]);
                }
                compared += 1;
            }
        }
        Ok((compared, losses))
    }

    /// Each of the keys that open it has its turn.
    fn read(&self, point: &str, disk: &str, turn: usize) -> anyhow::Result<Output> {
        let mut keys =
            ["passphrase", "key-file", "recovery"].map(|name| self.repository.join(name));
        keys.sort_by_key(|key| !key.exists());
        let there = keys.iter().filter(|key| key.exists()).count().max(1);
        Command::new(self.python)
            .arg(workspace::root()?.join(SCRIPT))
            .arg(self.repository.join("repository"))
            .arg(&keys[turn % there])
            .args([point, disk])
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

/// What the reader has to say of each range that is lost.
fn lost(expected: &Value) -> anyhow::Result<Vec<String>> {
    let ranges: Option<Vec<(u64, u64)>> = serde_json::from_value(expected.clone())?;
    let ranges = ranges.unwrap_or_default().into_iter();
    let told =
        ranges.map(|(start, bytes)| format!("lost, written as zeros: {bytes} bytes at {start}"));
    Ok(told.collect())
}

/// A disk with losses is written, but told to be damaged, with each range that is lost.
fn judge(output: &Output, lost: &[String]) -> anyhow::Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    let told: Vec<&str> = said
        .lines()
        .filter(|line| line.starts_with("lost"))
        .collect();
    if output.status.success() != lost.is_empty() || told != lost {
        bail!("the reader ended with {} and said: {said}", output.status);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn each_loss_must_be_told() {
        let lost = lost(&serde_json::json!([[4096, 700]])).unwrap();
        let said = |code: i32, text: &str| Output {
            status: ExitStatus::from_raw(code << 8),
            stdout: Vec::new(),
            stderr: text.into(),
        };
        let told = "lost, written as zeros: 700 bytes at 4096\nparts are lost\n";
        assert!(judge(&said(1, told), &lost).is_ok());
        assert!(judge(&said(0, told), &lost).is_err());
        assert!(judge(&said(1, "no such file\n"), &lost).is_err());
        assert!(judge(&said(1, told), &[]).is_err());
        assert!(judge(&said(0, ""), &[]).is_ok());
    }
}
