//! The other programs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::bail;

use super::process::{Measured, measure};
use crate::output::skipped;
use crate::workspace;

const PASSPHRASE: &str = "for one run of a benchmark";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Restic,
    Borg,
    Rustic,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    kind: Kind,
    program: PathBuf,
}

impl Contestant {
    fn all() -> anyhow::Result<Vec<Self>> {
        let own = workspace::target()?.join("bench-repo/rustic/bin/rustic");
        let rustic = if own.is_file() { own } else { "rustic".into() };
        let found = [
            (Kind::Restic, PathBuf::from("restic")),
            (Kind::Borg, PathBuf::from("borg")),
            (Kind::Rustic, rustic),
        ];
        Ok(found.map(|(kind, program)| Self { kind, program }).to_vec())
    }

    /// Those that are there. Of the others it is told how to get them, but in `quiet`.
    pub(crate) fn installed(quiet: bool) -> anyhow::Result<Vec<Self>> {
        let mut found = Vec::new();
        for contestant in Self::all()? {
            match contestant.missing() {
                None => found.push(contestant),
                Some(why) if !quiet => skipped(&why),
                Some(_) => {}
            }
        }
        Ok(found)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self.kind {
            Kind::Restic => "restic",
            Kind::Borg => "borg",
            Kind::Rustic => "rustic",
        }
    }

    /// Why it cannot take part.
    fn missing(&self) -> Option<String> {
        let mut command = Command::new(&self.program);
        command
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if self.kind == Kind::Restic {
            command = Command::new(&self.program);
            command
                .arg("version")
                .stdout(Stdio::null())
                .stderr(Stdio::null());
        }
        let runs = command.status().is_ok_and(|status| status.success());
        let how = match self.kind {
            Kind::Restic => "apt-get install restic",
            Kind::Borg => "apt-get install borgbackup",
            Kind::Rustic => "cargo install rustic-rs --locked --root target/bench-repo/rustic",
        };
        (!runs).then(|| format!("{} is NOT INSTALLED: {how}", self.name()))
    }

    fn command(&self, scratch: &Path) -> Command {
        let repository = scratch.join("repository");
        let mut command = Command::new(&self.program);
        command
            .env("HOME", scratch)
            .env("XDG_CACHE_HOME", scratch.join("cache"));
        match self.kind {
            Kind::Restic => {
                command.env("RESTIC_PASSWORD", PASSPHRASE);
                command.env("RESTIC_REPOSITORY", repository).arg("--quiet");
            }
            Kind::Borg => {
                command
                    .env("BORG_PASSPHRASE", PASSPHRASE)
                    .env("BORG_REPO", repository);
                command.env("BORG_BASE_DIR", scratch.join("base"));
            }
            Kind::Rustic => {
                command.env("RUSTIC_PASSWORD", PASSPHRASE);
                command.env("RUSTIC_REPOSITORY", repository);
                command.args(["--no-progress", "--log-level", "warn"]);
            }
        }
        command
    }

    pub(crate) fn init(&self, scratch: &Path) -> anyhow::Result<()> {
        let mut command = self.command(scratch);
        match self.kind {
            Kind::Restic => command.args(["init", "--repository-version", "2"]),
            Kind::Borg => command.args(["init", "-e", "repokey-blake2"]),
            Kind::Rustic => command.args([
                "init",
                "--set-version",
                "2",
                "--set-chunker",
                "fixed_size",
                "--set-chunk-size",
                "256KiB",
                "--set-compression",
                "1",
            ]),
        };
        measure(command, Stdio::null()).map(drop)
    }

    /// What it takes to open the repository: the key's derivation above all.
    pub(crate) fn open(&self, scratch: &Path) -> anyhow::Result<Measured> {
        let mut command = self.command(scratch);
        match self.kind {
            Kind::Borg => command.arg("list"),
            Kind::Restic | Kind::Rustic => command.args(["cat", "config"]),
        };
        measure(command, Stdio::null())
    }

    pub(crate) fn back_up(
        &self,
        scratch: &Path,
        image: &Path,
        name: &str,
    ) -> anyhow::Result<Measured> {
        let mut command = self.command(scratch);
        match self.kind {
            Kind::Restic => command.args(["backup", "--force"]).arg(image),
            Kind::Borg => {
                let archive = name.replace([' ', ',', '%'], "-");
                command.args([
                    "create",
                    "--chunker-params",
                    "fixed,4194304",
                    "-C",
                    "zstd,1",
                ]);
                command.arg(format!("::{archive}")).arg(image)
            }
            Kind::Rustic => command.arg("backup").arg(image),
        };
        measure(command, Stdio::null())
    }

    /// The image of the newest point, to nowhere.
    pub(crate) fn restore(&self, scratch: &Path, image: &Path) -> anyhow::Result<Measured> {
        let mut command = self.command(scratch);
        match self.kind {
            Kind::Restic => command.args(["dump", "latest"]).arg(image),
            Kind::Borg => {
                let Ok(inside) = image.strip_prefix("/") else {
                    bail!("the image has no absolute path");
                };
                command.args(["extract", "--stdout", "::1---changed--all-read"]);
                command.arg(inside)
            }
            Kind::Rustic => command
                .arg("dump")
                .arg(format!("latest:{}", image.display())),
        };
        measure(command, Stdio::null())
    }
}
