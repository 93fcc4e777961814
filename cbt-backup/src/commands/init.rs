//! `init`: make a repository.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
    },
    repo::{InitOptions, Repository, Store},
};

/// Make a repository in an empty or new folder.
///
/// Everything in it is encrypted with a key that the passphrase opens. Without the passphrase
/// nothing can be restored, and nobody can help: keep it in two places.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  cbt-backup init --repo /backup/vms --passphrase-file /etc/cbt-backup/passphrase"
)]
pub struct Init {
    #[command(flatten)]
    repository: RepositoryOptions,
}

impl Init {
    /// Runs the command.
    ///
    /// # Errors
    /// 16 when the folder cannot be written, 17 when something is there already.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let address = self.repository.address(&context.config)?;
        let passphrase = self.repository.passphrase(&context.config)?;
        let made = async {
            let store = Store::create(&address)?;
            Repository::init(store, &passphrase, InitOptions::default()).await
        };
        let repository = context.runtime.block_on(made)?;
        let location = repository.location();
        if context.output.json {
            context.output.document(&json!({"version": 1, "repository": location, "id": repository.config().id.to_string()}));
        } else {
            context
                .output
                .line(&format!("made a repository at {location}"));
            context
                .output
                .line("keep its passphrase in two places: without it nothing can be restored");
        }
        Ok(ExitCode::Done)
    }
}
