//! `run`: backups again and again.

mod schedule;

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;

use self::schedule::Schedule;
use super::{
    Context,
    backup::{Backup, Round, Work},
};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        interval::Interval,
        output::{Output, count, note},
    },
    engine::{Event, Monitor as _, pause_until},
};

/// Back virtual machines up again and again, for instance every five minutes.
///
/// Each round is a `backup` of the VMs that are selected then. Rounds never overlap: where one takes longer than the
/// interval, the times that it misses are skipped, and said to be. After a snapshot that took long to
/// remove, the VMs are left in peace for twice that time. A VM that fails has its turn again in the next
/// round; a refused password or key ends the program, so that no account is locked. A signal ends it: between
/// rounds with the last round's exit code, within one as `backup` ends. The exit code is that of the last
/// round; how many were not well is told at the end.
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
            let mut tally = Tally::default();
            let result = self.rounds(context, work, &mut tally);
            tally.tell(context.output);
            result
        })
    }

    /// Makes the rounds, and counts them.
    fn rounds(
        &self,
        context: &Context,
        work: &Work<'_>,
        tally: &mut Tally,
    ) -> Result<ExitCode, Failure> {
        let begun = Instant::now();
        let mut schedule = Schedule::new(self.every.duration());
        loop {
            let round = work.round();
            let removal = round.as_ref().map_or(Duration::ZERO, |round| round.removal);
            let result = round.and_then(Round::result);
            tally.add(&result);
            if self.rounds == Some(tally.rounds) || result.as_ref().is_err_and(ends_all) {
                return result;
            }
            if let Err(failure) = &result {
                failure.tell(context.output);
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
    }
}

/// What came of all rounds.
#[derive(Debug, Default)]
struct Tally {
    rounds: u64,
    /// Those whose own exit code would not be 0.
    failed: u64,
}

impl Tally {
    fn add(&mut self, result: &Result<ExitCode, Failure>) {
        self.rounds += 1;
        self.failed += u64::from(!matches!(result, Ok(ExitCode::Done)));
    }

    fn tell(&self, output: Output) {
        if output.json {
            output.json_line(&json!({
                "version": 1, "type": "rounds", "rounds": self.rounds, "failed": self.failed,
            }));
        } else if self.failed > 0 {
            note(&format!(
                "{}, of which were not well: {}",
                count(self.rounds, "round"),
                self.failed
            ));
        }
    }
}

/// A refused login must not be tried every few minutes, and a wrong word does not mend itself.
fn ends_all(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ExitCode::Refused | ExitCode::Interrupted | ExitCode::Usage
    )
}
