//! The real program, run as a user runs it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::Store;
use crate::output::line;
use crate::stage::Stage;

/// How many words of the options of the server are the login.
const LOGIN_WORDS: usize = 8;

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

    /// Runs a command of the repository, shows what it prints, and returns that.
    ///
    /// # Errors
    ///
    /// When it cannot be started or does not end with 0.
    pub(super) fn show(&self, arguments: &[&str]) -> anyhow::Result<String> {
        self.show_with(arguments, &self.repository, 0)
    }

    /// As [`Program::show`], of a command that needs the server, and perhaps the repository. It must end with that
    /// exit code.
    ///
    /// # Errors
    ///
    /// When it cannot be started or ends otherwise.
    pub(super) fn show_vm(
        &self,
        arguments: &[&str],
        repository: bool,
        code: i32,
    ) -> anyhow::Result<String> {
        let options = if repository {
            [self.repository.as_slice(), self.server.as_slice()].concat()
        } else {
            // VDDK and the state folder are of no use to it.
            self.server[..LOGIN_WORDS].to_vec()
        };
        self.show_with(arguments, &options, code)
    }

    fn show_with(
        &self,
        arguments: &[&str],
        options: &[OsString],
        code: i32,
    ) -> anyhow::Result<String> {
        let command = arguments.join(" ");
        line(&format!("  $ cbt-backup {command}"));
        let output = self.command(arguments, options).output();
        let output = output.with_context(|| format!("failed to start {}", self.path.display()))?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        for text in stdout.lines() {
            line(&format!("  {text}"));
        }
        if output.status.code() != Some(code) {
            bail!("cbt-backup {command} ended with {}", output.status);
        }
        if code != 0 {
            line(&format!("  exit code {code}"));
        }
        Ok(stdout)
    }

    /// Starts a command that needs repository and server, and shows nothing of it.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub(super) fn start(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        let options = [self.repository.as_slice(), self.server.as_slice()].concat();
        line(&format!("  $ cbt-backup {} …", arguments.join(" ")));
        let mut command = self.command(arguments, &options);
        let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        started.with_context(|| format!("failed to start {}", self.path.display()))
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
