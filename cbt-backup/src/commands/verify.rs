//! `verify`: is what the repository holds whole?

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
        output::{bytes, count, printable},
        progress::Progress,
    },
    engine::{Monitor, host::host_name},
    repo::{Finding, ProbeOutcome, Severity, VerifyLevel, VerifyMonitor, VerifyReport},
};

/// Check that what the repository holds is whole.
///
/// Each finding names the object, and the point, disk and bytes that it hits. Damaged packs are put in
/// quarantine: the next backup reads their blocks anew. With --level full a quarantine whose packs are all sound
/// is lifted, and one that cannot be read. Nothing else is changed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cbt-backup verify --repo /backup/vms
  cbt-backup verify --level full --repo /backup/vms
  cbt-backup verify 01JD --repo /backup/vms
  cbt-backup verify --store --repo /backup/vms")]
pub struct Verify {
    /// The point, for --level point
    #[arg(required_if_eq("level", "point"))]
    point: Option<String>,
    /// How deep to look [default: structure, or point where one is named]
    #[arg(long, value_enum, value_name = "LEVEL")]
    level: Option<Level>,
    /// With --level sample: which share, 0 to 29; a different one each day finds all rot in a month
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..SHARES), value_name = "N")]
    share: u64,
    /// Probe the store instead: does it keep what the repository rests on? Writes and removes a few objects
    #[arg(long, conflicts_with_all = ["point", "level", "share"])]
    store: bool,
    #[command(flatten)]
    repository: RepositoryOptions,
}

/// Into how many shares a sample cuts the packs.
const SHARES: u64 = 30;

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Names, lengths, roots, usage tables and every tree
    Structure,
    /// Structure, and the content of one pack in thirty
    Sample,
    /// Structure, and the content of every pack
    Full,
    /// One point: every block, decoded as a restore does
    Point,
}

impl Verify {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of opening and reading the repository. Damage is no error: it is exit code 4.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.store {
            return self.probe(context);
        }
        let (repository, level) = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            let level = match (self.level, &self.point) {
                (None | Some(Level::Point), Some(point)) => {
                    VerifyLevel::Point(repository.resolve(point).await?)
                }
                (Some(_), Some(_)) => {
                    let error = anyhow!("this level looks at all points");
                    return Err(Failure::new(ExitCode::Usage, error)
                        .with_hint("leave the point out, or --level"));
                }
                (None | Some(Level::Structure), None) => VerifyLevel::Structure,
                (Some(Level::Sample), None) => VerifyLevel::Sample {
                    divisor: SHARES,
                    remainder: self.share,
                },
                (Some(Level::Full), None) => VerifyLevel::Full,
                (Some(Level::Point), None) => {
                    return Err(Failure::new(ExitCode::Usage, anyhow!("no point is named")));
                }
            };
            Ok::<_, Failure>((repository, level))
        })?;
        let watch = Watch {
            progress: context.progress(),
            cancel: Arc::clone(&context.cancel),
        };
        let report = repository.verify(&context.runtime, level, &watch)?;
        watch.progress.disk_ends(0);
        tell(context, &report);
        Ok(if report.is_clean() {
            ExitCode::Done
        } else {
            ExitCode::Damage
        })
    }
}

impl Verify {
    fn probe(&self, context: &Context) -> Result<ExitCode, Failure> {
        let store = self.repository.store(&context.config)?;
        let other = self.repository.store(&context.config)?;
        let report = context.runtime.block_on(store.probe(&other))?;
        let checks = report.checks.iter().map(|check| {
            let (outcome, what) = match &check.outcome {
                ProbeOutcome::Kept => ("kept", None),
                ProbeOutcome::Noted(what) => ("noted", Some(what.as_str())),
                ProbeOutcome::Broken(how) => ("broken", Some(how.as_str())),
            };
            (check.promise, outcome, what)
        });
        if context.output.json {
            let checks: Vec<_> = checks
                .map(|(promise, outcome, what)| json!({"promise": promise, "outcome": outcome, "what": what}))
                .collect();
            context.output.json_line(&json!({
                "version": 1, "type": "store", "fit": report.broken().is_none(), "checks": checks,
            }));
        } else {
            for (promise, outcome, what) in checks {
                let what = what.map(|what| format!(": {what}")).unwrap_or_default();
                let line = format!("{outcome}: {promise}{what}");
                context.output.line(&printable(&line));
            }
        }
        Ok(if report.broken().is_none() {
            ExitCode::Done
        } else {
            ExitCode::Refused
        })
    }
}

/// Hands a verification's progress to the display.
struct Watch {
    progress: Progress,
    cancel: Arc<AtomicBool>,
}

impl VerifyMonitor for Watch {
    fn total_bytes(&self, total_bytes: u64) {
        if total_bytes == 0 {
            return;
        }
        self.progress.disk_begins(0, "packs", total_bytes);
    }

    fn advance_bytes(&self, more_bytes: u64) {
        self.progress.advance(0, more_bytes);
    }

    fn host(&self) -> String {
        host_name()
    }

    fn should_stop(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}

fn tell(context: &Context, report: &VerifyReport) {
    let counts = &report.counts;
    if context.output.json {
        let findings: Vec<_> = report.findings.iter().map(finding_json).collect();
        context.output.json_line(&json!({
            "version": 1, "type": "result", "clean": report.is_clean(), "findings": findings,
            "quarantined": report.quarantined, "lifted_lists": report.lifted_lists, "points": counts.points, "packs": counts.packs, "garbage_packs": counts.garbage_packs,
            "packs_read": counts.packs_read, "blobs_checked": counts.blobs_checked,
            "maps_checked": counts.maps_checked, "maps_compared": counts.maps_compared, "bytes_read": counts.bytes_read,
        }));
        return;
    }
    for finding in &report.findings {
        context.output.line(&printable(&finding.to_string()));
    }
    if report.quarantined {
        context.output.line("the damaged packs are in quarantine: the next backup of each VM reads their blocks anew");
    }
    for list in &report.lifted_lists {
        context.output.line(&format!(
            "the quarantine {list} is lifted: all packs that are there were read"
        ));
    }
    if counts.maps_checked > 0 {
        context.output.line(&format!(
            "changed areas of {} checked again, and compared {} with the point before",
            count(counts.maps_checked, "disk"),
            count(counts.maps_compared, "time")
        ));
    }
    context.output.line(&format!(
        "{}, {}, {} and nodes checked ({} read): {}",
        count(counts.points, "point"),
        count(counts.packs, "pack"),
        count(counts.blobs_checked, "block"),
        bytes(counts.bytes_read),
        if report.is_clean() {
            "no damage"
        } else {
            "damage found"
        }
    ));
}

/// A finding as one JSON object.
pub fn finding_json(finding: &Finding) -> serde_json::Value {
    json!({
        "severity": match finding.severity { Severity::Warning => "warning", Severity::Error => "error" },
        "object": finding.object,
        "point": finding.point.map(|point| point.to_string()),
        "vm": finding.vm.as_ref().map(ToString::to_string),
        "vm_name": finding.vm_name,
        "disk": finding.disk,
        "disk_label": finding.disk_label,
        "bytes": finding.byte_range.as_ref().map(|range| [range.start, range.end]),
        "what": finding.what,
    })
}
