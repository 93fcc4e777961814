//! The real program, run as a user runs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Store;
use crate::output::line;
use crate::stage::Stage;

/// The program with the options every run of the demo gives it.
#[derive(Debug)]
pub(super) struct Program {
    /// The executable.
    pub(super) path: PathBuf,
    /// `--repo` and what opens it.
    pub(super) repository: Vec<OsString>,
    /// The server, the login, the library and the state folder.
    pub(super) server: Vec<OsString>,
    /// What opens the store.
    environment: Vec<(String, String)>,
}

impl Program {
    /// Takes the options from where things are: `repo`, `passphrase` and `state` in the folder.
    pub(super) fn new(
        path: PathBuf,
        folder: &Path,
        kit: &Path,
        stage: &Stage,
        store: Option<&Store>,
    ) -> Self {
        let address = store.map_or_else(
            || folder.join("repo").into_os_string(),
            |store| store.address.clone().into(),
        );
        let repository = [
            ("--repo", address),
            (
                "--passphrase-file",
                folder.join("passphrase").into_os_string(),
            ),
        ];
        let server = [
            ("--server", stage.vcenter.url().into()),
            ("--user", stage.user.clone().into()),
            (
                "--password-file",
                stage.password_file.clone().into_os_string(),
            ),
            ("--thumbprint", stage.vcenter.thumbprint_sha256().into()),
            ("--vddk", kit.as_os_str().to_owned()),
            ("--state-dir", folder.join("state").into_os_string()),
        ];
        let flat = |options: &[(&str, OsString)]| {
            options
                .iter()
                .flat_map(|(name, value)| [OsString::from(name), value.clone()])
                .collect()
        };
        Self {
            path,
            repository: flat(&repository),
            server: flat(&server),
            environment: store.map_or_else(Vec::new, |store| store.environment.clone()),
        }
    }

    /// Runs a command and shows what it prints.
    ///
    /// # Errors
    ///
    /// When it cannot be started or does not end with 0.
    pub(super) fn show(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let command = arguments.join(" ");
        line(&format!("  $ cbt-backup {command}"));
        let output = self.command(arguments, &self.repository).output();
        let output = output.with_context(|| format!("failed to start {}", self.path.display()))?;
        for text in String::from_utf8_lossy(&output.stdout).lines() {
            line(&format!("  {text}"));
        }
        if !output.status.success() {
            bail!("cbt-backup {command} ended with {}", output.status);
        }
        Ok(())
    }

    /// Makes a backup and returns its result.
    ///
    /// # Errors
    ///
    /// When it cannot be started, does not end with 0, or prints no result.
    pub(super) fn backup(&self, vm: &str) -> anyhow::Result<Value> {
        let options = [self.repository.as_slice(), self.server.as_slice()].concat();
        self.result(&["backup", vm], &options)
    }

    /// Restores a point to a folder and returns the result.
    ///
    /// # Errors
    ///
    /// As [`Program::backup`].
    pub(super) fn restore(&self, point: &str, folder: &Path) -> anyhow::Result<Value> {
        let mut options = self.repository.clone();
        options.extend(["--to".into(), folder.as_os_str().to_owned()]);
        self.result(&["restore", point], &options)
    }

    /// Runs a long command with `--json` and returns its last line, which is its result.
    fn result(&self, arguments: &[&str], options: &[OsString]) -> anyhow::Result<Value> {
        let command = arguments.join(" ");
        line(&format!("  $ cbt-backup {command} …"));
        let mut run = self.command(arguments, options);
        let output = run.arg("--json").output();
        let output = output.with_context(|| format!("failed to start {}", self.path.display()))?;
        if !output.status.success() {
            bail!("cbt-backup {command} ended with {}", output.status);
        }
        let text = String::from_utf8(output.stdout).context("cbt-backup wrote no UTF-8")?;
        let last: Value = text
            .lines()
            .last()
            .and_then(|line| serde_json::from_str(line).ok())
            .with_context(|| format!("cbt-backup {command} printed no JSON"))?;
        if last["type"] != "result" {
            bail!("cbt-backup {command} printed no result but {last}");
        }
        Ok(last)
    }

    fn command(&self, arguments: &[&str], options: &[OsString]) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .args(options)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        // What the user has set for real work must not lead the demo astray.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CBT_BACKUP_") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().cloned());
        command
    }
}
