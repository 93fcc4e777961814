//! How long is looked before a session counts as dead.

use std::time::Duration;

use anyhow::anyhow;
use clap::Args;

use super::exit_code::{ExitCode, Failure};

/// The time between two looks at the repository's announcements.
#[derive(Debug, Args)]
pub struct LookOptions {
    /// Seconds between two looks at sessions that may be dead. A session that lives shows it every 60 at the latest, so at least twice that and a second, 121
    #[arg(long, default_value_t = 150, value_parser = clap::value_parser!(u64).range(1..=86_400), value_name = "SECONDS")]
    look_seconds: u64,
    /// No session into this repository shows life less often than this: shorter looks are then allowed. For tests
    #[arg(long, hide = true, env = "CBT_BACKUP_ASSUME_BEAT_SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=60), value_name = "SECONDS")]
    assume_beat_seconds: u64,
}

impl LookOptions {
    /// The time between two looks.
    ///
    /// # Errors
    /// 2 where a session that lives could seem dead.
    pub fn interval(&self) -> Result<Duration, Failure> {
        let lowest = 2 * self.assume_beat_seconds + 1;
        if self.look_seconds < lowest {
            let error = anyhow!(
                "--look-seconds {}: a run that lives could count as dead",
                self.look_seconds
            );
            return Err(Failure::new(ExitCode::Usage, error).with_hint(format!(
                "{lowest} is the lowest: twice the longest time between two signs of life, and a second"
            )));
        }
        Ok(Duration::from_secs(self.look_seconds))
    }
}
