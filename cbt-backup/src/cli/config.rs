//! The configuration file: defaults for options that are the same every time.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use serde::Deserialize;

use super::rate::Rate;
use crate::whole_file;

/// A configuration file is a page of text.
const MAX_BYTES: u64 = 1024 * 1024;

/// What the TOML file may hold. An option or environment variable wins over it. Unknown keys are
/// errors: a misspelt key must not be a silent default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Config {
    /// As `--repo`.
    pub repo: Option<String>,
    /// As `--passphrase-file`.
    pub passphrase_file: Option<PathBuf>,
    /// As `--passphrase-command`.
    pub passphrase_command: Option<String>,
    /// As `--key-file`.
    pub key_file: Option<PathBuf>,
    /// As `--limit-upload`.
    pub limit_upload: Option<Rate>,
    /// As `--limit-download`.
    pub limit_download: Option<Rate>,
    /// As `--state-dir`.
    pub state_dir: Option<PathBuf>,
    /// As `--vddk`.
    pub vddk: Option<PathBuf>,
    /// As `--vddk-config`.
    pub vddk_config: Option<PathBuf>,
    /// As `--transport`.
    pub transport: Option<String>,
    /// As `--transport-policy`.
    pub transport_policy: Option<String>,
    /// The server.
    pub vsphere: Vsphere,
}

/// The part on the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Vsphere {
    /// As `--server`.
    pub server: Option<String>,
    /// As `--user`.
    pub user: Option<String>,
    /// As `--password-file`.
    pub password_file: Option<PathBuf>,
    /// As `--password-command`.
    pub password_command: Option<String>,
    /// As `--thumbprint`.
    pub thumbprint: Option<String>,
    /// As `--ca-file`.
    pub ca_file: Option<PathBuf>,
    /// As `--proxy`.
    pub proxy: Option<String>,
    /// As `--proxy-user`.
    pub proxy_user: Option<String>,
    /// As `--proxy-password-file`.
    pub proxy_password_file: Option<PathBuf>,
}

impl Config {
    /// Reads the file; without one every value is unset.
    ///
    /// # Errors
    /// When the file cannot be read, or holds what is not known.
    pub fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            return Ok(Self::default());
        };
        let context = || format!("failed to read the configuration {}", path.display());
        let text = whole_file::read_text(path, MAX_BYTES).with_context(context)?;
        toml::from_str(&text)
            .map_err(|error| refused(&text, &error))
            .with_context(context)
    }
}

/// What is wrong, and in which line. The line itself is not shown: somebody may have written a secret into it.
fn refused(text: &str, error: &toml::de::Error) -> anyhow::Error {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map_or(1, |before| before.matches('\n').count() + 1);
    let message = error.message();
    let hint = if ["`password`", "`passphrase`", "secret"]
        .iter()
        .any(|word| message.contains(word))
    {
        "; secrets are never in it: it names a file or a command that has them"
    } else {
        ""
    };
    anyhow!("line {line}: {message}{hint}")
}

#[cfg(test)]
mod tests {
    use super::Config;

    fn read(text: &str) -> anyhow::Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(Some(&path))
    }

    #[test]
    fn a_secret_that_is_there_by_mistake_is_not_quoted() {
        for wrong in [
            "repo = \"/b\"\npassword = \"s3cr3t\"\n",
            "repo = \"/b\"\npassphrase = s3cr3t\n",
            "repo = \"/b\"\n[vsphere]\npassword = \"s3cr3t\"\n",
        ] {
            let told = format!("{:?}", read(wrong).unwrap_err());
            assert!(!told.contains("s3cr3t"), "{told}");
            assert!(told.contains("line 2") || told.contains("line 3"), "{told}");
        }
        let told = format!("{:#}", read("password = \"x\"").unwrap_err());
        assert!(
            told.contains("line 1") && told.contains("secrets"),
            "{told}"
        );
    }

    #[test]
    fn known_keys_are_read_and_unknown_ones_refused() {
        let config =
            read("repo = \"/backup\"\nlimit-upload = \"20MiB\"\n[vsphere]\nserver = \"vc\"\nuser = \"u\"\n").unwrap();
        assert_eq!(
            (config.repo.as_deref(), config.vsphere.server.as_deref()),
            (Some("/backup"), Some("vc"))
        );
        assert_eq!(config.limit_upload, "20MiB".parse().ok());
        for wrong in [
            "limit-upload = \"fast\"",
            "repos = \"x\"",
            "[vsphere]\npassword = \"x\"",
            "repo = 3",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?} was accepted");
        }
        for path in ["/no/such/file", "/dev/zero"] {
            assert!(Config::read(Some(std::path::Path::new(path))).is_err());
        }
    }
}
