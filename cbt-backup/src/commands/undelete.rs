//! `undelete`: a point out of the bin.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
    },
    engine::host::host_name,
    repo::SessionOptions,
};

/// Bring a dropped point back.
///
/// It becomes a new point with the same content and time; `list --deleted` shows what there is. It is refused
/// when a prune has taken or is about to take some of its data.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cbt-backup undelete 01JD --repo /backup/vms")]
pub struct Undelete {
    /// The dropped point: its id, or as many characters of it as are needed
    point: String,
    #[command(flatten)]
    repository: RepositoryOptions,
}

impl Undelete {
    /// Runs the command.
    ///
    /// # Errors
    /// 18 when no dropped point has this id, 4 when its data are not whole; those of writing to the repository.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let (repository, dropped) = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            let dropped = repository.resolve_deleted(&self.point).await?;
            Ok::<_, Failure>((repository, dropped))
        })?;
        let options = SessionOptions::default();
        let made = repository.undelete(&context.runtime, dropped, &host_name(), options)?;
        if context.output.json {
            context.output.document(&json!({
                "version": 1, "point": made.point.to_string(), "from": dropped.to_string(),
            }));
        } else {
            let line = format!("point {} has the content of {dropped}", made.point);
            context.output.line(&line);
        }
        Ok(ExitCode::Done)
    }
}
