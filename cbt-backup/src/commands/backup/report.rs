//! What is told of a point that was made, and the exit code it earns.

use serde_json::json;

use crate::{
    cli::{
        exit_code::ExitCode,
        output::{bytes, printable, table},
    },
    commands::{Context, list::kind},
    engine::{BackupReport, DiskReport},
};

/// The code of one point.
pub(super) fn code(report: &BackupReport) -> ExitCode {
    match () {
        () if report.incomplete => ExitCode::Incomplete,
        () if report.left_behind => ExitCode::LeftBehind,
        () => ExitCode::Done,
    }
}

/// What is told of several points: an incomplete one counts more than something left behind.
pub(super) fn worst(codes: &[ExitCode]) -> ExitCode {
    let order = [ExitCode::Incomplete, ExitCode::LeftBehind];
    let found = order.into_iter().find(|code| codes.contains(code));
    found.unwrap_or(ExitCode::Done)
}

/// Prints what was done.
pub(super) fn tell(context: &Context, report: &BackupReport) {
    let output = context.output;
    if output.json {
        let disks: Vec<_> = report.disks.iter().map(disk_json).collect();
        output.json_line(&json!({
            "version": 1, "type": "result", "point": report.point.to_string(), "vm": report.vm,
            "kind": kind(report.kind), "disks": disks, "events": report.events,
            "binding_stage": report.binding,
            "incomplete": report.incomplete, "left_behind": report.left_behind,
        }));
        return;
    }
    output.line(&format!(
        "point {} of {} ({})",
        report.point,
        printable(&report.vm),
        kind(report.kind)
    ));
    let mut rows = vec![
        ["DISK", "", "SIZE", "CHANGED", "READ", "NEW", "STORED", "BY"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(report.disks.iter().map(row));
    output.line(&table(&rows));
    if let Some(stage) = report.binding {
        output.line(&format!("the stage that the others waited for: {stage}"));
    }
    for disk in report.disks.iter().filter(|disk| disk.reason.is_some()) {
        let reason = disk.reason.as_deref().unwrap_or_default();
        output.line(&format!(
            "{}: {} because {}",
            printable(&disk.label),
            disk.action,
            printable(reason)
        ));
    }
    for disk in report.disks.iter().filter(|disk| disk.failure.is_some()) {
        let failure = disk.failure.as_deref().unwrap_or_default();
        output.line(&format!(
            "{}: not read: {}",
            printable(&disk.label),
            printable(failure)
        ));
    }
}

fn row(disk: &DiskReport) -> Vec<String> {
    vec![
        printable(&disk.label),
        if disk.failure.is_some() {
            "failed"
        } else {
            disk.action
        }
        .to_owned(),
        bytes(disk.capacity_bytes),
        disk.changed_bytes.map_or_else(|| "-".to_owned(), bytes),
        bytes(disk.read_bytes),
        bytes(disk.new_bytes),
        bytes(disk.stored_bytes),
        disk.transport.clone().unwrap_or_default(),
    ]
}

fn disk_json(disk: &DiskReport) -> serde_json::Value {
    json!({
        "label": disk.label, "device_key": disk.device_key, "action": disk.action, "reason": disk.reason,
        "capacity_bytes": disk.capacity_bytes, "changed_bytes": disk.changed_bytes,
        "read_bytes": disk.read_bytes, "new_bytes": disk.new_bytes, "stored_bytes": disk.stored_bytes,
        "transport": disk.transport, "failure": disk.failure,
    })
}
