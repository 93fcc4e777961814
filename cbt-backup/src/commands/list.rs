//! `list`: the points of a repository.

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
        output::{bytes, note, printable, table},
    },
    repo::{DeletedPoint, PointKind, PointSummary, Tag, join_tags},
};

/// List the points of a repository, oldest first.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cbt-backup list --repo /backup/vms --vm app01\n  cbt-backup list --deleted --repo /backup/vms"
)]
pub struct List {
    #[command(flatten)]
    repository: RepositoryOptions,
    /// Only points of this virtual machine
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
    /// Only points with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<Tag>,
    /// The points in the bin: those that `forget` has dropped and no prune has taken yet
    #[arg(long)]
    deleted: bool,
}

impl List {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of opening and reading the repository. A root that cannot be read is told and makes
    /// the exit code 4; the others are listed.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        if self.deleted {
            return self.run_deleted(context);
        }
        let listed = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            Ok::<_, Failure>(repository.points(None).await?)
        })?;
        let points = listed.points.iter().filter(|point| self.wants(point));
        let points: Vec<&PointSummary> = points.collect();
        if context.output.json {
            let rows: Vec<_> = points.iter().map(|point| row_json(point)).collect();
            let findings: Vec<_> = listed.findings.iter().map(ToString::to_string).collect();
            context
                .output
                .document(&json!({"version": 1, "points": rows, "findings": findings}));
        } else {
            let mut rows = vec![
                [
                    "POINT", "VM", "TIME", "KIND", "STATE", "DISKS", "SIZE", "READ", "STORED",
                    "TAGS", "",
                ]
                .map(str::to_owned)
                .to_vec(),
            ];
            rows.extend(points.iter().map(|point| row(point)));
            context.output.line(&table(&rows));
            for finding in &listed.findings {
                note(&format!("warning: {}", printable(&finding.to_string())));
            }
        }
        Ok(if listed.findings.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::Damage
        })
    }
}

impl List {
    fn wants(&self, point: &PointSummary) -> bool {
        self.vm.as_ref().is_none_or(|vm| point.vm_name == *vm)
            && self.tag.as_ref().is_none_or(|tag| point.tags.contains(tag))
    }

    fn run_deleted(&self, context: &Context) -> Result<ExitCode, Failure> {
        let listed = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            Ok::<_, Failure>(repository.deleted_points().await?)
        })?;
        let points = listed.points.iter();
        let points: Vec<_> = points.filter(|point| self.wants(&point.summary)).collect();
        if context.output.json {
            let rows: Vec<_> = points.iter().map(|point| deleted_json(point)).collect();
            let findings: Vec<_> = listed.findings.iter().map(ToString::to_string).collect();
            context
                .output
                .document(&json!({"version": 1, "deleted": rows, "findings": findings}));
        } else {
            let head = ["POINT", "VM", "TIME", "DROPPED", "FROM", "WHY"];
            let mut rows = vec![head.map(str::to_owned).to_vec()];
            rows.extend(points.iter().map(|point| deleted_row(point)));
            context.output.line(&table(&rows));
            for finding in &listed.findings {
                note(&format!("warning: {}", printable(&finding.to_string())));
            }
        }
        Ok(ExitCode::Done)
    }
}

fn dropped_at(point: &DeletedPoint) -> Option<String> {
    let tombstone = point.tombstone.as_ref()?;
    let time = Timestamp::from_millisecond(tombstone.deleted_ms).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

fn deleted_row(point: &DeletedPoint) -> Vec<String> {
    let tombstone = point.tombstone.as_ref();
    let word = |text: Option<&String>| text.map(|text| printable(text)).unwrap_or_default();
    vec![
        point.summary.id.to_string(),
        printable(&point.summary.vm_name),
        point.summary.snapshot_time.clone(),
        dropped_at(point).unwrap_or_else(|| "unknown".to_owned()),
        word(tombstone.map(|tombstone| &tombstone.host)),
        word(tombstone.map(|tombstone| &tombstone.reason)),
    ]
}

fn deleted_json(point: &DeletedPoint) -> serde_json::Value {
    let mut row = row_json(&point.summary);
    row["dropped"] = json!(dropped_at(point));
    row["host"] = json!(point.tombstone.as_ref().map(|tombstone| &tombstone.host));
    row["reason"] = json!(point.tombstone.as_ref().map(|tombstone| &tombstone.reason));
    row
}

/// A word for the kind of a point.
pub fn kind(kind: PointKind) -> &'static str {
    match kind {
        PointKind::Full => "full",
        PointKind::Incremental => "incremental",
        PointKind::Partial => "partial",
    }
}

fn row(point: &PointSummary) -> Vec<String> {
    vec![
        point.id.to_string(),
        printable(&point.vm_name),
        point.snapshot_time.clone(),
        kind(point.kind).to_owned(),
        format!("{:?}", point.consistency).to_lowercase(),
        point.disks.to_string(),
        bytes(point.capacity_bytes),
        bytes(point.put_bytes),
        bytes(point.stored_bytes),
        join_tags(&point.tags),
        remarks(point),
    ]
}

/// What is not right with a point.
fn remarks(point: &PointSummary) -> String {
    let whole = match (point.complete, point.damaged) {
        (true, _) => None,
        (false, false) => Some("incomplete"),
        (false, true) => Some("damaged"),
    };
    let wrong = point.found_wrong.then_some("found wrong");
    let words: Vec<&str> = whole.into_iter().chain(wrong).collect();
    words.join(", ")
}

fn row_json(point: &PointSummary) -> serde_json::Value {
    json!({
        "point": point.id.to_string(),
        "vm": point.vm_name,
        "vcenter": point.vcenter,
        "time": point.snapshot_time,
        "kind": kind(point.kind),
        "consistency": point.consistency,
        "disks": point.disks,
        "disks_left_out": point.left_out,
        "capacity_bytes": point.capacity_bytes,
        "read_bytes": point.put_bytes,
        "stored_bytes": point.stored_bytes,
        "complete": point.complete,
        "damaged": point.damaged,
        "found_wrong": point.found_wrong,
        "tags": point.tags,
        "origin": point.origin.map(|origin| json!({
            "repository": origin.repository.to_string(), "point": origin.point.to_string(),
        })),
    })
}
