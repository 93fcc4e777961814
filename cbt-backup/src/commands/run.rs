//! `run`: backups again and again.

mod schedule;

use std::time::{Duration, Instant};

use clap::Args;

use self::schedule::Schedule;
use super::{
    Context,
    backup::{Backup, Round},
};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        interval::Interval,
        output::note,
    },
    engine::{Event, Monitor as _, pause_until},
};

/// Back virtual machines up again and again, for instance every five minutes.
///
/// Each round is a `backup` of the VMs that are selected then. Rounds never overlap: where one takes longer than the
/// interval, the times that it misses are skipped, and said to be. After a snapshot that took long to
/// remove, the VMs are left in peace for twice that time. A VM that fails has its turn again in the next
/// round; a refused password or key ends the program, so that no account is locked. A signal ends it: between
/// rounds with the last round's exit code, within one as `backup` ends.
#[derive(Debug, Args)]
pub struct Run {
    /// Time from one beginning to the next: 90s, 5m, 1h, 1d
    #[arg(long, value_name = "TIME")]
    every: Interval,
    /// End after so many rounds
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..), value_name = "N")]
    rounds: Option<u64>,
    /// What each round does.
    #[command(flatten)]
    pub backup: Backup,
}

impl Run {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of the last round, see [`Backup::run`], and a refusal or an interruption of any.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        self.backup.with_work(context, |work| {
            let begun = Instant::now();
            let mut schedule = Schedule::new(self.every.duration());
            let mut count = 0;
            loop {
                let round = work.round();
                count += 1;
                let removal = round.as_ref().map_or(Duration::ZERO, |round| round.removal);
                let result = round.and_then(Round::result);
                if self.rounds == Some(count) || result.as_ref().is_err_and(ends_all) {
                    return result;
                }
                if let Err(failure) = &result {
                    note(&format!("error: {failure}"));
                }
                let next = schedule.after(begun.elapsed(), removal);
                let progress = context.progress();
                if next.missed > 0 {
                    let message = format!(
                        "the round took longer than {}: times that passed meanwhile: {}",
                        self.every, next.missed
                    );
                    progress.event(&Event::warning("rounds-missed", message));
                }
                if next.rested > 0 {
                    let message = format!(
                        "a snapshot took {} s to remove: times that are left out: {}",
                        removal.as_secs(),
                        next.rested
                    );
                    progress.event(&Event::warning("rounds-rested", message));
                }
                let wait = next.at.saturating_sub(begun.elapsed());
                progress.step(&format!("wait {} s for the next round", wait.as_secs()));
                if pause_until(begun + next.at, &context.cancel).is_err() {
                    return result;
                }
            }
        })
    }
}

/// A refused login must not be tried every few minutes, and a wrong word does not mend itself.
fn ends_all(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ExitCode::Refused | ExitCode::Interrupted | ExitCode::Usage
    )
}
