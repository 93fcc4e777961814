//! What a machine remembers of its runs, and how dead ones are told from those that live.

use std::{path::PathBuf, time::Duration};

use anyhow::anyhow;
use clap::Args;

use super::{
    config::Config,
    exit_code::{ExitCode, Failure},
    look_options::LookOptions,
    state_folder::default_state_dir,
};

/// Options of commands that undo what dead runs left.
#[derive(Debug, Args)]
pub struct StateOptions {
    /// Where locks and the list of things to undo are kept [default: /var/lib/cbt-backup as root, else ~/.local/state/cbt-backup]
    #[arg(long, env = "CBT_BACKUP_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Minutes that a vSphere task, such as removing the snapshot, may take
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u64).range(1..=10_080), value_name = "MINUTES")]
    task_minutes: u64,
    #[command(flatten)]
    look: LookOptions,
}

impl StateOptions {
    /// The state folder, from option, environment or configuration, or else the customary one.
    ///
    /// # Errors
    /// 2 where there is none.
    pub fn folder(&self, config: &Config) -> Result<PathBuf, Failure> {
        let named = self.state_dir.clone().or_else(|| config.state_dir.clone());
        named.or_else(default_state_dir).ok_or_else(|| {
            Failure::new(ExitCode::Usage, anyhow!("no state folder is named"))
                .with_hint("use --state-dir")
        })
    }

    /// The longest that a task may take.
    pub fn task_time_out(&self) -> Duration {
        Duration::from_secs(self.task_minutes * 60)
    }

    /// The time between two looks.
    ///
    /// # Errors
    /// 2 where a run that lives could seem dead.
    pub fn look_interval(&self) -> Result<Duration, Failure> {
        self.look.interval()
    }
}
