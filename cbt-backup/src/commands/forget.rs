//! `forget`: drop points that no rule keeps.

use anyhow::{Context as _, anyhow};
use clap::Args;
use jiff::{Timestamp, tz::TimeZone};
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
        output::{count, note, printable, table},
        past_span::PastSpan,
    },
    engine::host::host_name,
    repo::{PointId, PointSummary, Repository, RetentionPolicy, Tag, Verdict, before, plan},
};

/// Drop points that no rule keeps, or that are named.
///
/// Without --apply it only shows the plan, with each rule that keeps a point. Rules add up; hours, days and
/// so on count only where there is a point, and a complete point is preferred to an incomplete one. The newest
/// point of a VM and its newest complete one always stay. A dropped point lies in the bin:
/// `undelete` brings it back until a `prune` after the bin's days takes its data.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cbt-backup forget --keep-daily 14 --keep-weekly 8 --keep-monthly 12 --repo /backup/vms
  cbt-backup forget --vm app01 --keep-last 3 --keep-within 2w --apply --repo /backup/vms
  cbt-backup forget --keep-daily 14 --keep-tag before-update --apply --repo /backup/vms
  cbt-backup forget 01JD --apply --repo /backup/vms")]
pub struct Forget {
    /// Points to drop, but for the newest complete one of a VM: ids, or as many characters of them as are needed
    #[arg(conflicts_with_all = ["vm", "keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly", "keep_within", "keep_tag"])]
    point: Vec<String>,
    /// Only points of this virtual machine
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    /// Keep the newest N points
    #[arg(long, default_value_t = 0, value_name = "N")]
    keep_last: u32,
    /// Keep one point an hour, for N hours
    #[arg(long, default_value_t = 0, value_name = "N")]
    keep_hourly: u32,
    /// Keep one point a day, for N days
    #[arg(long, default_value_t = 0, value_name = "N")]
    keep_daily: u32,
    /// Keep one point a week, for N weeks
    #[arg(long, default_value_t = 0, value_name = "N")]
    keep_weekly: u32,
    /// Keep one point a month, for N months
    #[arg(long, default_value_t = 0, value_name = "N")]
    keep_monthly: u32,
    /// Keep one point a year, for N years
    #[arg(long, default_value_t = 0, value_name = "N")]
    keep_yearly: u32,
    /// Keep all points of this span, such as 36h, 10d, 2w, 3mo or 1y
    #[arg(long, value_name = "SPAN")]
    keep_within: Option<PastSpan>,
    /// Keep all points with this tag; may be given several times
    #[arg(long, value_name = "TAG")]
    keep_tag: Vec<Tag>,
    /// Drop no point that is younger than this
    #[arg(long, default_value = "1d", value_name = "SPAN")]
    min_age: PastSpan,
    /// The zone whose days count, such as Europe/Berlin; else that of this machine
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Do it
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    repository: RepositoryOptions,
}

impl Forget {
    /// Runs the command.
    ///
    /// # Errors
    /// 1 when a point that was named stays, 2 without any rule or point, 16 when the repository takes no data, 18 for an
    /// unknown point. A root that cannot be read is told and makes the exit code 4; its point is left alone unless it is named.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let policy = self.policy();
        if self.point.is_empty() && policy.is_empty() {
            let error = anyhow!("no rule says what to keep, and no point is named");
            return Err(Failure::new(ExitCode::Usage, error)
                .with_hint("for instance --keep-daily 14 --keep-weekly 8"));
        }
        context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            let listed = repository.points(None).await?;
            let (verdicts, unreadable) = if self.point.is_empty() {
                (self.by_rules(&listed.points, &policy)?, Vec::new())
            } else {
                self.by_name(&repository, &listed.points).await?
            };
            if self.apply {
                let dropped = verdicts.iter().filter(|verdict| !verdict.is_kept());
                let dropped = dropped.map(|verdict| verdict.point.id);
                let dropped: Vec<_> = dropped.chain(unreadable.iter().copied()).collect();
                self.drop_points(&repository, &dropped).await?;
            }
            self.tell(context, &verdicts, &unreadable);
            let mut findings = listed.findings;
            if self.apply {
                // What was dropped just now is in nobody's way any more.
                let is_dropped = |point: PointId| unreadable.contains(&point);
                findings.retain(|finding| !finding.point.is_some_and(is_dropped));
            }
            for finding in &findings {
                note(&format!("warning: {}", printable(&finding.to_string())));
            }
            let code = if findings.is_empty() {
                ExitCode::Done
            } else {
                ExitCode::Damage
            };
            match self.refused(&verdicts) {
                Some(refused) if code == ExitCode::Done => Err(refused),
                Some(refused) => Err(Failure { code, ..refused }),
                None => Ok(code),
            }
        })
    }

    /// Whoever names a point wants it gone: when one stays, a script must notice.
    fn refused(&self, verdicts: &[Verdict]) -> Option<Failure> {
        let kept = verdicts.iter().filter(|verdict| verdict.is_kept());
        let kept: Vec<String> = kept
            .map(|verdict| {
                let point = &verdict.point;
                format!("{} of {}", point.id, point.vm_name)
            })
            .collect();
        if !self.apply || self.point.is_empty() || kept.is_empty() {
            return None;
        }
        let what = if kept.len() == 1 {
            "the newest complete point of its VM always stays"
        } else {
            "the newest complete points of their VMs always stay"
        };
        let error = anyhow!("{what}, and was not dropped: {}", kept.join(", "));
        Some(
            Failure::new(ExitCode::Unexpected, error)
                .with_hint("it can go once the VM has a newer complete point"),
        )
    }

    fn policy(&self) -> RetentionPolicy {
        RetentionPolicy {
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            yearly: self.keep_yearly,
            within: self.keep_within.map(PastSpan::span),
            tags: self.keep_tag.iter().cloned().collect(),
        }
    }

    fn by_rules(
        &self,
        points: &[PointSummary],
        policy: &RetentionPolicy,
    ) -> Result<Vec<Verdict>, Failure> {
        let zone = match &self.zone {
            None => TimeZone::system(),
            Some(zone) => TimeZone::get(zone)
                .with_context(|| format!("no time zone {zone}"))
                .map_err(|error| Failure::new(ExitCode::Usage, error))?,
        };
        let now = Timestamp::now();
        let too_young = before(now, self.min_age.span(), &zone)?.as_millisecond();
        let wanted = |point: &&PointSummary| self.vm.as_ref().is_none_or(|vm| point.vm_name == *vm);
        let points: Vec<PointSummary> = points.iter().filter(wanted).cloned().collect();
        let mut verdicts = plan(&points, policy, &zone, now)?;
        for verdict in &mut verdicts {
            if verdict.point.snapshot_time_ms > too_young {
                verdict.kept_by.push("min-age".to_owned());
            }
        }
        Ok(verdicts)
    }

    /// All points of these names go, but for the newest complete one of a VM. Those that cannot be
    /// read are told apart.
    async fn by_name(
        &self,
        repository: &Repository,
        points: &[PointSummary],
    ) -> Result<(Vec<Verdict>, Vec<PointId>), Failure> {
        let (mut verdicts, mut unreadable) = (Vec::new(), Vec::new());
        for prefix in &self.point {
            let id = repository.resolve(prefix).await?;
            let Some(point) = points.iter().find(|point| point.id == id) else {
                unreadable.push(id);
                continue;
            };
            let others = |other: &&PointSummary| other.vm == point.vm && other.is_sound();
            let newest = points.iter().filter(others).all(|other| {
                (other.snapshot_time_ms, other.id) <= (point.snapshot_time_ms, point.id)
            });
            let kept = point.is_sound() && newest;
            verdicts.push(Verdict {
                point: point.clone(),
                kept_by: kept
                    .then(|| "newest complete".to_owned())
                    .into_iter()
                    .collect(),
            });
        }
        Ok((verdicts, unreadable))
    }

    async fn drop_points(
        &self,
        repository: &Repository,
        points: &[PointId],
    ) -> Result<(), Failure> {
        let reason = if self.point.is_empty() {
            "no rule keeps it"
        } else {
            "named"
        };
        let now_ms = Timestamp::now().as_millisecond();
        for point in points {
            repository
                .forget_point(*point, &host_name(), reason, now_ms)
                .await?;
        }
        Ok(())
    }

    fn tell(&self, context: &Context, verdicts: &[Verdict], unreadable: &[PointId]) {
        let kept = verdicts.iter().filter(|verdict| verdict.is_kept()).count();
        let all = verdicts.len() + unreadable.len();
        if context.output.json {
            let rows: Vec<_> = verdicts.iter().map(row_json).collect();
            let unreadable: Vec<_> = unreadable.iter().map(ToString::to_string).collect();
            context.output.document(&json!({
                "version": 1, "applied": self.apply, "dropped": all - kept, "kept": kept, "points": rows,
                "unreadable": unreadable,
            }));
            return;
        }
        let head = ["POINT", "VM", "TIME", "PLAN", "KEPT BY"];
        if !verdicts.is_empty() || unreadable.is_empty() {
            let mut rows = vec![head.map(str::to_owned).to_vec()];
            rows.extend(verdicts.iter().map(row));
            context.output.line(&table(&rows));
        }
        for point in unreadable {
            let plan = if self.apply {
                "it is dropped all the same"
            } else {
                "it would be dropped all the same"
            };
            let line = format!(
                "point {point} cannot be read, so nobody knows of which VM or time it is; {plan}"
            );
            context.output.line(&line);
        }
        let done = if self.apply {
            "dropped"
        } else {
            "would be dropped; --apply does it"
        };
        let line = format!("{} of {} {done}", all - kept, count(all as u64, "point"));
        context.output.line(&line);
    }
}

fn row(verdict: &Verdict) -> Vec<String> {
    let point = &verdict.point;
    let plan = if verdict.is_kept() { "keep" } else { "drop" };
    vec![
        point.id.to_string(),
        printable(&point.vm_name),
        point.snapshot_time.clone(),
        plan.to_owned(),
        verdict.kept_by.join(", "),
    ]
}

fn row_json(verdict: &Verdict) -> serde_json::Value {
    let point = &verdict.point;
    json!({
        "point": point.id.to_string(),
        "vm": point.vm_name,
        "time": point.snapshot_time,
        "tags": point.tags,
        "kept": verdict.is_kept(),
        "kept_by": verdict.kept_by,
    })
}
