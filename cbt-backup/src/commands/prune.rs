//! `prune`: what no point needs goes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        look_options::LookOptions,
        options::RepositoryOptions,
        output::{bytes, count, printable},
        progress::Progress,
    },
    engine::{Event, Monitor, host::host_name},
    repo::{
        CompactOptions, CompactReport, MissedRoot, Repository, SessionId, SweepMonitor,
        SweepOptions, SweepReport,
    },
};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Remove what no point needs any more.
///
/// Backups, restores and other prunes may go on meanwhile, here and on other machines. It waits for
/// backups that run to end; one whose announcement does not change between two looks counts as dead and can
/// never make its point, should it wake. Killed at any time, a prune hurts no point, and the next one
/// finishes its work.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
#[command(after_help = "\
Examples:
  cbt-backup prune --dry-run --repo /backup/vms
  cbt-backup prune --repo /backup/vms
  cbt-backup prune --compact --repo /backup/vms
  cbt-backup prune --bin-days 0 --repo /backup/vms")]
pub struct Prune {
    /// Tell what would go and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Days for which a dropped point can be brought back; its data stay as long
    #[arg(long, default_value_t = 7, value_name = "N")]
    bin_days: u32,
    /// Days for which the data of a point whose root was lost are held, from the first prune that misses it
    #[arg(long, default_value_t = 7, value_name = "N")]
    lost_days: u32,
    #[command(flatten)]
    look: LookOptions,
    /// Give up after N looks while backups run, and delete nothing; else it waits for them to end
    #[arg(long, value_name = "N")]
    max_looks: Option<u32>,
    /// Refuse when more than this share of the packs would go
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u8).range(0..=100), value_name = "PERCENT")]
    max_percent: u8,
    /// Believe the points' tables of the packs they need, and do not walk their trees as well
    #[arg(long)]
    trust_tables: bool,
    /// Remove lists of earlier prunes that cannot be read, and so stop backups; say it only when no other prune runs on
    /// the repository, here or elsewhere. It looks twice whether one does
    #[arg(long, conflicts_with = "dry_run")]
    remove_unreadable_lists: bool,
    /// Before that, move what is needed out of packs that are mostly garbage
    #[arg(long, conflicts_with = "dry_run")]
    compact: bool,
    /// With --compact: packs with a smaller share of needed bytes are emptied
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u8).range(1..=100), requires = "compact", value_name = "PERCENT")]
    min_live_percent: u8,
    /// With --compact: most GiB to copy; the emptiest packs come first
    #[arg(long, default_value_t = 16, requires = "compact", value_name = "N")]
    compact_gib: u32,
    #[command(flatten)]
    repository: RepositoryOptions,
}

impl Prune {
    /// Runs the command.
    ///
    /// # Errors
    /// 2 for looks that are too short, 4 when a point cannot be read, 11 when it gave up waiting for backups; those of reading and writing the repository.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let options = SweepOptions {
            now_ms: Timestamp::now().as_millisecond(),
            bin_ms: i64::from(self.bin_days) * DAY_MS,
            lost_ms: i64::from(self.lost_days) * DAY_MS,
            look_interval: self.look.interval()?,
            max_looks: self.max_looks,
            max_percent: self.max_percent,
            recount: !self.trust_tables,
            remove_unreadable_lists: self.remove_unreadable_lists,
            dry_run: self.dry_run,
            ..SweepOptions::default()
        };
        let watch = Watch {
            progress: context.progress(),
            cancel: Arc::clone(&context.cancel),
            told: AtomicBool::new(false),
        };
        let repository = context
            .runtime
            .block_on(self.repository.open(&context.config))?;
        let compacted = match self
            .compact
            .then(|| self.compact(context, &repository, &watch))
        {
            // What is garbage already can go all the same, and makes room.
            Some(Err(failure)) if failure.code == ExitCode::NotWritable => {
                let text = format!("nothing was moved: {failure}; what nobody needs is removed");
                watch.progress.event(&Event::warning("not-compacted", text));
                None
            }
            compacted => compacted.transpose()?,
        };
        let sweep = || {
            context
                .runtime
                .block_on(repository.sweep(options.clone(), &watch))
        };
        let mut report = sweep()?;
        let rewritten = compacted
            .as_ref()
            .is_some_and(|compacted| !compacted.rewritten.is_empty());
        if rewritten && report.still_open.is_empty() {
            // The first one has removed the old generations, and this one takes their packs.
            report = report.and_then(sweep()?);
        }
        watch.progress.disk_ends(0);
        for missed in &report.missed_roots {
            watch
                .progress
                .event(&Event::warning("root-lost", lost(missed)));
        }
        self.tell(context, &report, compacted.as_ref());
        Ok(if report.still_open.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::Busy
        })
    }

    fn compact(
        &self,
        context: &Context,
        repository: &Repository,
        watch: &Watch,
    ) -> Result<CompactReport, Failure> {
        let options = CompactOptions {
            min_live_percent: self.min_live_percent,
            budget_bytes: u64::from(self.compact_gib) << 30,
            ..CompactOptions::default()
        };
        let report = repository.compact(&context.runtime, &host_name(), &options, watch)?;
        watch.progress.disk_ends(0);
        for (point, why) in &report.skipped {
            let text = format!("point {point} was not compacted: {why}");
            watch.progress.event(&Event::info("not-compacted", text));
        }
        Ok(report)
    }

    fn tell(&self, context: &Context, report: &SweepReport, compacted: Option<&CompactReport>) {
        let names =
            |sessions: &[SessionId]| sessions.iter().map(ToString::to_string).collect::<Vec<_>>();
        if context.output.json {
            context.output.json_line(&json!({
                "version": 1, "type": "result", "dry_run": self.dry_run,
                "packs": report.packs, "pack_bytes": report.pack_bytes,
                "packs_deleted": report.packs_deleted, "bytes_deleted": report.bytes_deleted,
                "packs_denied": report.packs_denied, "packs_untold": report.packs_untold,
                "roots_removed": report.roots_removed, "leftovers_removed": report.leftovers_removed,
                "unreadable_lists": report.unreadable_lists,
                "fenced": names(&report.fenced), "still_open": names(&report.still_open),
                "lost_roots": report.missed_roots.iter().map(|missed| json!({
                    "session": missed.session.to_string(), "vm": missed.vm, "begun": time(missed.session.made_ms()), "packs": missed.packs, "bytes": missed.bytes,
                    "announced": missed.announced,
                    "held_until": missed.held_until_ms.and_then(time),
                })).collect::<Vec<_>>(),
                "compacted": compacted.map(|compacted| json!({
                    "packs": compacted.candidates, "points": compacted.rewritten.len(),
                    "copied_blobs": compacted.copied_blobs, "copied_bytes": compacted.copied_bytes,
                })),
            }));
            return;
        }
        if let Some(compacted) = compacted {
            context.output.line(&format!(
                "mostly garbage: {}; {} moved, {} written anew",
                count(compacted.candidates, "pack"),
                bytes(compacted.copied_bytes),
                count(compacted.rewritten.len() as u64, "point"),
            ));
        }
        for list in &report.unreadable_lists {
            let line = format!("{list} could not be read and was removed");
            context.output.line(&line);
        }
        for session in &report.fenced {
            let line =
                format!("session {session} did not move and was ended: it makes no point any more");
            context.output.line(&line);
        }
        if report.packs_untold > 0 {
            let line = format!(
                "needed by trees but in no table: {}, kept; run `verify`",
                count(report.packs_untold, "pack")
            );
            context.output.line(&line);
        }
        if report.packs_denied > 0 {
            let line = format!(
                "locked by the store: {}; a later prune takes what is locked now",
                count(report.packs_denied, "pack")
            );
            context.output.line(&line);
        }
        if !report.still_open.is_empty() {
            let line = format!(
                "nothing was removed, because of what still runs: {}",
                count(report.still_open.len() as u64, "session")
            );
            context.output.line(&line);
            return;
        }
        context.output.line(&self.summary(report));
    }

    fn summary(&self, report: &SweepReport) -> String {
        let removed = report.packs_deleted + report.roots_removed + report.leftovers_removed;
        let (packs, pack_bytes) = (count(report.packs, "pack"), bytes(report.pack_bytes));
        match (removed, report.packs, self.dry_run) {
            (0, 0, _) => "nothing to remove: there are no packs".to_owned(),
            (0, _, true) => format!("nothing would go: {packs} ({pack_bytes})"),
            (0, _, false) => format!("nothing removed: {packs} ({pack_bytes})"),
            _ => format!(
                "{} of {packs} {} ({} of {pack_bytes}), {}, {}",
                report.packs_deleted,
                if self.dry_run { "would go" } else { "removed" },
                bytes(report.bytes_deleted),
                count(report.roots_removed, "root"),
                count(report.leftovers_removed, "other object"),
            ),
        }
    }
}

/// What is to be said of a point whose root is lost.
fn lost(missed: &MissedRoot) -> String {
    let session = missed.session;
    let of_vm = missed.vm.as_ref();
    let of_vm = of_vm.map_or_else(String::new, |vm| format!(" of {}", printable(vm)));
    let begun =
        time(session.made_ms()).map_or_else(String::new, |time| format!(", begun at {time},"));
    let (held, until) = (bytes(missed.bytes), missed.held_until_ms.and_then(time));
    let packs = count(missed.packs, "pack");
    if missed.announced {
        let until = until.map_or_else(
            || "--lost-days 0".to_owned(),
            |until| format!("{until} or --lost-days 0"),
        );
        return format!(
            "session {session}{of_vm}{begun} died before it wrote the root of its point, or that is lost: its {packs} ({held}) \
             stay until {until}"
        );
    }
    let what = match (missed.held_until_ms, until) {
        (None, _) => format!("nothing holds its {packs} ({held}) any longer"),
        (Some(_), Some(until)) => format!(
            "its {packs} ({held}) stay until {until}, so that it can be brought back from a copy"
        ),
        (Some(_), None) => format!("its {packs} ({held}) stay until --lost-days 0"),
    };
    format!("the root of session {session}{of_vm}{begun} is lost: {what}")
}

fn time(milliseconds: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(milliseconds).ok()?;
    Some(time.to_string())
}

/// Hands a sweep's progress to the display.
struct Watch {
    progress: Progress,
    cancel: Arc<AtomicBool>,
    told: AtomicBool,
}

impl SweepMonitor for Watch {
    fn waiting(&self, sessions: &[SessionId]) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let sessions = count(sessions.len() as u64, "announced session");
            let text = format!("waiting for {sessions}");
            self.progress.event(&Event::info("waiting", text));
        }
    }

    fn looking_twice(&self) {
        let text = "a list of a prune cannot be read; looking whether that prune is at work";
        self.progress.event(&Event::info("waiting", text));
    }

    fn total_bytes(&self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.progress.disk_begins(0, "packs", bytes);
    }

    fn advance_bytes(&self, bytes: u64) {
        self.progress.advance(0, bytes);
    }

    fn should_stop(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
