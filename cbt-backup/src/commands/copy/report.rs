//! What a copy did, for people and as JSON.

use serde_json::{Value, json};

use crate::{
    cli::output::{bytes, count, printable, table},
    commands::{Context, list::kind, verify::finding_json},
    repo::{CopiedPoint, CopyReport, PointId},
};

pub(super) fn tell(context: &Context, report: &CopyReport, dry_run: bool) {
    let read_bytes: u64 = report.copied.iter().map(|copied| copied.read_bytes).sum();
    let stored = report.copied.iter().map(|copied| copied.stats.stored_bytes);
    let stored_bytes: u64 = stored.sum();
    if context.output.json {
        let names = |points: &[PointId]| points.iter().map(ToString::to_string).collect::<Vec<_>>();
        context.output.json_line(&json!({
            "version": 1, "type": "result", "dry_run": dry_run, "clean": report.is_clean(),
            "copied": report.copied.iter().map(row_json).collect::<Vec<_>>(),
            "there": names(&report.there), "unfinished": names(&report.unfinished),
            "read_bytes": read_bytes, "stored_bytes": stored_bytes,
            "findings": report.findings.iter().map(finding_json).collect::<Vec<_>>(),
        }));
        return;
    }
    if !report.copied.is_empty() {
        let head = ["POINT", "VM", "TIME", "KIND", "READ", "STORED", "COPY", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(report.copied.iter().map(row));
        context.output.line(&table(&rows));
    }
    for finding in &report.findings {
        context.output.line(&printable(&finding.to_string()));
    }
    context.output.line(&format!(
        "{} {}, {} there already, {} unfinished and left out: {} read, {} stored",
        count(report.copied.len() as u64, "point"),
        if dry_run { "would be copied" } else { "copied" },
        report.there.len(),
        report.unfinished.len(),
        bytes(read_bytes),
        bytes(stored_bytes),
    ));
}

fn row(copied: &CopiedPoint) -> Vec<String> {
    vec![
        copied.from.id.to_string(),
        printable(&copied.from.vm_name),
        copied.from.snapshot_time.clone(),
        kind(copied.from.kind).to_owned(),
        bytes(copied.read_bytes),
        bytes(copied.stats.stored_bytes),
        copied.to.map(|to| to.to_string()).unwrap_or_default(),
        if copied.unreadable_bytes > 0 {
            format!("{} unreadable", bytes(copied.unreadable_bytes))
        } else {
            String::new()
        },
    ]
}

fn row_json(copied: &CopiedPoint) -> Value {
    json!({
        "point": copied.from.id.to_string(),
        "copy": copied.to.map(|to| to.to_string()),
        "vm": copied.from.vm_name,
        "time": copied.from.snapshot_time,
        "kind": kind(copied.from.kind),
        "base": copied.base.map(|base| base.to_string()),
        "read_blocks": copied.read_blocks,
        "read_bytes": copied.read_bytes,
        "stored_bytes": copied.stats.stored_bytes,
        "unreadable_bytes": copied.unreadable_bytes,
    })
}
