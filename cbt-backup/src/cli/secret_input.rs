//! Passwords and passphrases: by file, command, environment or prompt, never on the command line.

use std::{
    fs::File,
    io::{IsTerminal, Read},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, anyhow, bail};
use zeroize::{Zeroize, Zeroizing};

use super::shell::shell_for_a_secret;
use crate::secret::Secret;

/// No password is longer; a file that is was named by mistake.
const MAX_BYTES: u64 = 64 * 1024;

/// The variable with vSphere's password.
pub const PASSWORD_VARIABLE: &str = "CBT_BACKUP_PASSWORD";

/// The variable with the password at a proxy.
pub const PROXY_PASSWORD_VARIABLE: &str = "CBT_BACKUP_PROXY_PASSWORD";

/// The variable with the repository's passphrase.
pub const PASSPHRASE_VARIABLE: &str = "CBT_BACKUP_PASSPHRASE";

/// The variable with a passphrase that is to be set.
pub const NEW_PASSPHRASE_VARIABLE: &str = "CBT_BACKUP_NEW_PASSPHRASE";

/// The variable with the passphrase of the repository that points are copied to.
pub const TO_PASSPHRASE_VARIABLE: &str = "CBT_BACKUP_TO_PASSPHRASE";

/// What names a secret in one place, in the order in which it is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sources<'a> {
    /// A key file, in place of the secret.
    pub key_file: Option<&'a PathBuf>,
    /// A file whose first line it is.
    pub file: Option<&'a PathBuf>,
    /// A command that prints it.
    pub command: Option<&'a String>,
    /// The name of an environment variable that is set.
    pub variable: Option<&'a str>,
}

impl<'a> Sources<'a> {
    /// With the environment variable, if that is set and not empty.
    #[must_use]
    pub fn or_variable(mut self, name: &'a str) -> Self {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        self.variable = value.map(|_| name);
        self
    }

    /// The first place that names anything: the command line wins over the environment, and that over the
    /// configuration, whatever the kind of the source.
    #[must_use]
    pub fn first(places: impl IntoIterator<Item = Self>) -> Self {
        let mut places = places.into_iter();
        places.find(Self::names_any).unwrap_or_default()
    }

    /// True when there is a source.
    pub fn names_any(&self) -> bool {
        self.key_file.is_some()
            || self.file.is_some()
            || self.command.is_some()
            || self.variable.is_some()
    }
}

/// Where a secret comes from; where no source is named, whoever sits at the terminal is asked.
#[derive(Debug)]
pub struct SecretInput<'a> {
    /// What it is, for prompt and errors: `password`.
    pub what: &'a str,
    /// What names it.
    pub sources: Sources<'a>,
    /// The environment variable named in errors.
    pub variable: &'a str,
    /// The options named in errors: `--password-file`.
    pub option: &'a str,
}

impl SecretInput<'_> {
    /// Gets the secret.
    ///
    /// # Errors
    /// When no source is given and nobody is there to ask, or the source cannot be read.
    pub fn get(&self) -> anyhow::Result<Secret> {
        let secret = self.find()?;
        if secret.is_empty() {
            bail!("the {} is empty", self.what);
        }
        Ok(secret)
    }

    /// Gets a secret that is to be set. Whoever types it, types it twice.
    ///
    /// # Errors
    /// As [`SecretInput::get`], and when the two differ.
    pub fn get_new(&self) -> anyhow::Result<Secret> {
        let first = self.get()?;
        if self.would_ask() {
            let again = prompt(&format!("{}, again", self.what))?;
            if again.expose() != first.expose() {
                bail!("the two are not the same; nothing was changed");
            }
        }
        Ok(first)
    }

    /// True when only a person at the terminal can tell it.
    pub fn would_ask(&self) -> bool {
        !self.sources.names_any() && std::io::stdin().is_terminal()
    }

    fn find(&self) -> anyhow::Result<Secret> {
        if let Some(path) = self.sources.file {
            return from_file(path).with_context(|| {
                format!("failed to read the {} from {}", self.what, path.display())
            });
        }
        if let Some(command) = self.sources.command {
            return from_command(command)
                .with_context(|| format!("failed to get the {} from its command", self.what));
        }
        if let Some(variable) = self.sources.variable {
            return match std::env::var(variable) {
                Ok(text) => Ok(Secret::new(text)),
                // The error itself would show the secret.
                Err(_) => Err(anyhow!("the {} in {variable} is not UTF-8", self.what)),
            };
        }
        if std::io::stdin().is_terminal() {
            return prompt(self.what);
        }
        Err(anyhow!(
            "no {}: use {}, {} or a terminal",
            self.what,
            self.option,
            self.variable
        ))
    }
}

fn prompt(what: &str) -> anyhow::Result<Secret> {
    Ok(Secret::new(rpassword::prompt_password(format!(
        "{what}: "
    ))?))
}

/// The first line of a file.
///
/// # Errors
/// When the file can't be read.
pub fn from_file(path: &Path) -> anyhow::Result<Secret> {
    first_line(File::open(path)?)
}

fn from_command(command: &str) -> anyhow::Result<Secret> {
    let mut shell = shell_for_a_secret(command);
    shell.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = shell.spawn()?;
    let output = child
        .stdout
        .take()
        .ok_or_else(|| anyhow!("the command has no output"))?;
    let secret = first_line(output)?;
    let status = child.wait()?;
    if !status.success() {
        bail!("the command ended with {status}");
    }
    Ok(secret)
}

fn first_line(source: impl Read) -> anyhow::Result<Secret> {
    // Room for everything at once: a vector that grows would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
    source.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("longer than {MAX_BYTES} bytes");
    }
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
    let text = std::str::from_utf8(line)
        .map_err(|_| anyhow!("not UTF-8"))?
        .to_owned();
    bytes.zeroize();
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::{SecretInput, Sources};

    fn input<'a>(
        file: Option<&'a std::path::PathBuf>,
        command: Option<&'a String>,
    ) -> SecretInput<'a> {
        SecretInput {
            what: "password",
            sources: Sources {
                file,
                command,
                ..Sources::default()
            },
            variable: "CBT_BACKUP_NO_SUCH_VARIABLE",
            option: "--password-file",
        }
    }

    #[test]
    fn the_first_line_of_a_file_or_a_command_is_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "s3cret word\r\nsecond line").unwrap();
        assert_eq!(
            input(Some(&path), None).get().unwrap().expose(),
            "s3cret word"
        );
        let command = "printf 'from a command\\n'".to_owned();
        assert_eq!(
            input(None, Some(&command)).get().unwrap().expose(),
            "from a command"
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "\nhidden").unwrap();
        let error = format!("{:#}", input(Some(&path), None).get().unwrap_err());
        assert!(
            error.contains("empty") && !error.contains("hidden"),
            "{error}"
        );
        let failing = "echo leaked; exit 3".to_owned();
        let error = format!("{:#}", input(None, Some(&failing)).get().unwrap_err());
        assert!(
            error.contains("exit status: 3") && !error.contains("leaked"),
            "{error}"
        );
        std::fs::write(&path, vec![b'x'; 70_000]).unwrap();
        assert!(input(Some(&path), None).get().is_err());
    }
}
