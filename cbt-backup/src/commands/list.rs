//! `list`: the points of a repository.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
        output::{bytes, note, printable, table},
    },
    repo::{PointKind, PointSummary},
};

/// List the points of a repository, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cbt-backup list --repo /backup/vms --vm app01")]
pub struct List {
    #[command(flatten)]
    repository: RepositoryOptions,
    /// Only points of this virtual machine
    #[arg(long, value_name = "NAME")]
    vm: Option<String>,
}

impl List {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of opening and reading the repository. A root that cannot be read is told and makes
    /// the exit code 4; the others are listed.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let listed = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            Ok::<_, Failure>(repository.points(None).await?)
        })?;
        let wanted = |point: &&PointSummary| self.vm.as_ref().is_none_or(|vm| point.vm_name == *vm);
        let points: Vec<&PointSummary> = listed.points.iter().filter(wanted).collect();
        if context.output.json {
            let rows: Vec<_> = points.iter().map(|point| row_json(point)).collect();
            let findings: Vec<_> = listed.findings.iter().map(ToString::to_string).collect();
            context
                .output
                .document(&json!({"version": 1, "points": rows, "findings": findings}));
        } else {
            let mut rows = vec![
                [
                    "POINT", "VM", "TIME", "KIND", "DISKS", "SIZE", "READ", "STORED", "",
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

/// A word for the kind of a point.
pub fn kind(kind: PointKind) -> &'static str {
    match kind {
        PointKind::Full => "full",
        PointKind::Incremental => "incremental",
    }
}

fn row(point: &PointSummary) -> Vec<String> {
    vec![
        point.id.to_string(),
        printable(&point.vm_name),
        point.snapshot_time.clone(),
        kind(point.kind).to_owned(),
        point.disks.to_string(),
        bytes(point.capacity_bytes),
        bytes(point.put_bytes),
        bytes(point.stored_bytes),
        if point.complete {
            String::new()
        } else {
            "incomplete".to_owned()
        },
    ]
}

fn row_json(point: &PointSummary) -> serde_json::Value {
    json!({
        "point": point.id.to_string(),
        "vm": point.vm_name,
        "vcenter": point.vcenter,
        "time": point.snapshot_time,
        "kind": kind(point.kind),
        "disks": point.disks,
        "capacity_bytes": point.capacity_bytes,
        "read_bytes": point.put_bytes,
        "stored_bytes": point.stored_bytes,
        "complete": point.complete,
    })
}
