//! `init`: make a repository.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        block_size::BlockSize,
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
    },
    repo::{InitOptions, KdfParams, ProbeOutcome, ProbeReport, Repository, RepositoryKey},
    secret::Secret,
};

/// Make a repository in an empty or new folder, or in an empty place of a bucket.
///
/// The store is probed first: one that does not keep what the repository rests on is refused.
///
/// Everything in it is encrypted with a key that the passphrase opens, or the key file. A recovery
/// passphrase is made too, and shown this once: write it down. Without any of them nothing can be
/// restored, and nobody can help.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  cbt-backup init --repo /backup/vms --passphrase-file /etc/cbt-backup/passphrase\n  cbt-backup init --repo 's3://vms/site-a?endpoint=https://s3.example'"
)]
pub struct Init {
    #[command(flatten)]
    repository: RepositoryOptions,
    /// Make no recovery passphrase; `cbt-backup key add --recovery` makes one later
    #[arg(long)]
    no_recovery: bool,
    /// Size of the blocks that disks are cut into. Larger ones make less to keep account of, smaller ones find more that is equal; a disk keeps the size it began with
    #[arg(long, value_enum, default_value_t, value_name = "SIZE")]
    block_size: BlockSize,
}

impl Init {
    /// Runs the command.
    ///
    /// # Errors
    /// 12 for a store that is not fit, 16 when the folder cannot be written, 17 when something is there already.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let key = self.repository.new_key(&context.config)?;
        let store = self.repository.new_store(&context.config)?;
        let other = self.repository.store(&context.config)?;
        let options = InitOptions {
            block_shift: self.block_size.shift(),
            ..InitOptions::default()
        };
        let made = async {
            Repository::refuse_used(&store).await?;
            tell_notes(&store.demand_fit(&other).await?);
            let repository = Repository::init(store, key, options).await?;
            if self.no_recovery {
                return Ok((repository, None));
            }
            let (recovery, text) = RepositoryKey::new_recovery()?;
            repository
                .add_key(&recovery, "recovery", KdfParams::default())
                .await?;
            Ok::<_, Failure>((repository, Some(text)))
        };
        let (repository, recovery) = context.runtime.block_on(made)?;
        let location = repository.location();
        if context.output.json {
            let recovery = recovery.as_ref().map(Secret::expose);
            context.output.document(&json!({
                "version": 1,
                "repository": location,
                "id": repository.config().id.to_string(),
                "recovery_passphrase": recovery,
            }));
            return Ok(ExitCode::Done);
        }
        context
            .output
            .line(&format!("made a repository at {location}"));
        match recovery {
            Some(text) => {
                context.output.line(&format!(
                    "recovery passphrase, shown only now: {}",
                    text.expose()
                ));
                context.output.line(
                    "write it down, and keep it where neither fire nor thief finds both it and the repository",
                );
            }
            None => context
                .output
                .line("keep its key in two places: without it nothing can be restored"),
        }
        Ok(ExitCode::Done)
    }
}

fn tell_notes(report: &ProbeReport) {
    for check in &report.checks {
        if let ProbeOutcome::Noted(note) = &check.outcome {
            tracing::warn!("{}: {note}", check.promise);
        }
    }
}
