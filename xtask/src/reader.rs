//! `reader`: a repository read by a program that knows the written format alone.

mod golden;

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail};
use clap::Args;

use crate::demo::Demo;
use crate::demo::compare::compare;
use crate::folder::Folder;
use crate::output::{line, skipped};
use crate::{python, workspace};

pub(crate) const SCRIPT: &str = "tests/reader/read_repository.py";
const PACKAGES: &[&str] = &["blake3", "zstandard", "cryptography>=44"];
/// What the script imports that is not python's own.
const MODULES: &str = "blake3, zstandard, cryptography.hazmat.primitives.kdf.argon2";

/// Restore the demo's disks and the golden repositories with a reader in Python, and compare
/// every byte.
///
/// The reader was written from doc/repository-format.md. When both agree, the page is enough to get
/// the data back without this program.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  cargo xtask demo && cargo xtask reader
  python3 tests/reader/read_repository.py target/demo/repo target/demo/passphrase")]
pub(crate) struct Reader {
    /// Fail when the packages of python cannot be had, in place of skipping
    #[arg(long)]
    strict: bool,
}

impl Reader {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the reader fails, a byte differs, or damage goes unnoticed.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let python = match python::with(&workspace::target()?.join("reader"), PACKAGES, MODULES) {
            Ok(python) => python,
            Err(error) if self.strict => return Err(error),
            Err(error) => {
                skipped(&format!("reader: {error:#}"));
                return Ok(());
            }
        };
        let demo = workspace::target()?.join("demo");
        if !demo.join("shadow").exists() {
            Demo::default().run()?;
        }
        let reader = Script { python, demo };
        let points = reader.points()?;
        let [full, incremental] = points.as_slice() else {
            bail!("the demo leaves two points, not {}", points.len());
        };
        let scratch = Folder::claim(&workspace::target()?.join("reader/restored"))?;
        for (key, image) in [("2000", "images/disk-1.raw"), ("2001", "images/disk-2.raw")] {
            let shadow = format!("shadow/disk-{key}-after-writes.raw");
            for (point, expected) in [(full, image), (incremental, shadow.as_str())] {
                let restored = scratch.path().join("disk.raw");
                reader.restore(point, key, &restored)?;
                let verdict = compare(&reader.demo.join(expected), &restored)?;
                line(&format!("  {point}, disk {key}: {verdict}"));
                if !verdict.is_identical() {
                    bail!("the reader restores another disk than {expected}");
                }
            }
        }
        for key in ["2000", "2001"] {
            let changed = reader.changed_areas(incremental, key)?;
            line(&format!(
                "  {incremental}, disk {key}: {changed} changed areas"
            ));
        }
        reader.notices_damage(full, &scratch)?;
        golden::restore_all(&reader.python, scratch.path())
    }
}

/// The script and what it reads.
struct Script {
    python: PathBuf,
    demo: PathBuf,
}

impl Script {
    fn call(&self, repository: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
        Command::new(&self.python)
            .arg(workspace::root()?.join(SCRIPT))
            .arg(repository)
            .arg(self.demo.join("passphrase"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .context("failed to start python")
    }

    /// The ids of the points, oldest first.
    fn points(&self) -> anyhow::Result<Vec<String>> {
        let output = self.call(&self.demo.join("repo"), &[])?;
        said(&output)?;
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = |line: &str| line.split(' ').next().unwrap_or_default().to_owned();
        Ok(lines.lines().map(first).collect())
    }

    fn restore(&self, point: &str, key: &str, to: &Path) -> anyhow::Result<()> {
        let to = to.to_str().context("a path that is not UTF-8")?;
        said(&self.call(&self.demo.join("repo"), &[point, key, to])?)
    }

    /// How many areas of a disk were called changed; the script holds them against the root.
    fn changed_areas(&self, point: &str, key: &str) -> anyhow::Result<usize> {
        let output = self.call(&self.demo.join("repo"), &[point, key])?;
        said(&output)?;
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = lines.lines().next().unwrap_or_default();
        if !first.starts_with("since ") {
            bail!("the reader tells no changed areas: {lines}");
        }
        Ok(lines.lines().count() - 1)
    }

    /// One wrong bit in a block of a copy, and the reader must not hand the disk out.
    fn notices_damage(&self, point: &str, scratch: &Folder) -> anyhow::Result<()> {
        let copy = scratch.path().join("repo");
        let copied = Command::new("cp")
            .arg("-r")
            .arg(self.demo.join("repo"))
            .arg(&copy)
            .status();
        if !copied.context("no cp")?.success() {
            bail!("failed to copy the repository");
        }
        let pack = first_data_pack(&copy.join("pack"))?;
        let file = OpenOptions::new().read(true).write(true).open(&pack)?;
        let mut byte = [0];
        file.read_exact_at(&mut byte, 100)?;
        file.write_all_at(&[byte[0] ^ 1], 100)?;
        let mut refused = 0;
        for key in ["2000", "2001"] {
            let to = scratch.path().join("damaged.raw");
            let to = to.to_str().context("a path that is not UTF-8")?;
            refused += usize::from(!self.call(&copy, &[point, key, to])?.status.success());
        }
        if refused == 0 {
            bail!("a wrong bit in {} went unnoticed", pack.display());
        }
        line("  a wrong bit in a pack is noticed");
        Ok(())
    }
}

fn first_data_pack(packs: &Path) -> anyhow::Result<PathBuf> {
    let mut found = Vec::new();
    for session in fs::read_dir(packs)? {
        let pack = session?.path().join("d00000000");
        if pack.exists() {
            found.push(pack);
        }
    }
    found.sort();
    found.into_iter().next().context("there is no data pack")
}

fn said(output: &Output) -> anyhow::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    bail!("the reader ended with {} and said:\n{text}", output.status)
}
