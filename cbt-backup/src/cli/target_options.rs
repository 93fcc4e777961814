//! The repository that points are copied to.

use std::path::PathBuf;

use clap::Args;

use super::{
    config::Config,
    exit_code::{ExitCode, Failure},
    key_file::read_key_file,
    options::RepositoryOptions,
    placed::{Place, Placed},
    secret_input::{SecretInput, Sources, TO_PASSPHRASE_VARIABLE},
};
use crate::repo::{Repository, RepositoryKey, Store};

/// Where the target is and what opens it. Nothing of it comes from the configuration: that describes
/// the repository that is copied.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
pub struct TargetOptions {
    /// The repository to copy to, as for --repo; `cbt-backup init` makes one
    #[arg(long, env = "CBT_BACKUP_TO", value_name = "ADDRESS")]
    pub to: String,
    #[command(flatten)]
    opener: Placed<TargetOpener>,
}

/// What opens the target.
#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "so are the options called")]
struct TargetOpener {
    /// File whose first line is the target's passphrase (else CBT_BACKUP_TO_PASSPHRASE, else a prompt)
    #[arg(long, env = "CBT_BACKUP_TO_PASSPHRASE_FILE", value_name = "FILE")]
    to_passphrase_file: Option<PathBuf>,
    /// Command that prints the target's passphrase
    #[arg(long, env = "CBT_BACKUP_TO_PASSPHRASE_COMMAND", value_name = "COMMAND")]
    to_passphrase_command: Option<String>,
    /// Key file of the target, used instead of a passphrase
    #[arg(long, env = "CBT_BACKUP_TO_KEY_FILE", value_name = "FILE")]
    to_key_file: Option<PathBuf>,
}

impl TargetOptions {
    /// Opens the target; its rates are those of the source's options.
    ///
    /// # Errors
    /// 2 without a key or with a wrong address, 10 where there is no repository, 12 for a wrong key. Each
    /// says that it is about the target.
    pub async fn open(
        &self,
        source: &RepositoryOptions,
        config: &Config,
    ) -> Result<Repository, Failure> {
        let opened = async {
            let store = Store::open(&self.to)?.limited(&source.limits(config));
            Ok::<_, Failure>(Repository::open(store, self.key()?).await?)
        };
        opened.await.map_err(|failure| Failure {
            error: failure.error.context("the target cannot be opened"),
            ..failure
        })
    }

    fn key(&self) -> Result<RepositoryKey, Failure> {
        let opener = &self.opener;
        let at = |place| Sources {
            key_file: opener.at(place, "to_key_file", opener.to_key_file.as_ref()),
            file: opener.at(
                place,
                "to_passphrase_file",
                opener.to_passphrase_file.as_ref(),
            ),
            command: opener.at(
                place,
                "to_passphrase_command",
                opener.to_passphrase_command.as_ref(),
            ),
            variable: None,
        };
        let sources = Sources::first([
            at(Place::CommandLine),
            at(Place::Environment).or_variable(TO_PASSPHRASE_VARIABLE),
        ]);
        if let Some(path) = sources.key_file {
            return read_key_file(path);
        }
        let input = SecretInput {
            what: "passphrase of the target",
            sources,
            variable: TO_PASSPHRASE_VARIABLE,
            option: "--to-passphrase-file, --to-key-file",
        };
        let secret = input
            .get()
            .map_err(|error| Failure::new(ExitCode::Usage, error))?;
        Ok((&secret).into())
    }
}
