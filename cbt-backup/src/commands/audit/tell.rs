//! What is told of an audit, and the exit code it earns.

use serde_json::json;

use crate::{
    cli::{
        exit_code::ExitCode,
        output::{Output, count, printable, table},
    },
    engine::{AuditReport, ClaimAudit, DiskAudit, DiskReport},
};

/// Most ranges that are told of one claim.
const MOST_TOLD: usize = 1000;

/// The code of one VM.
pub(super) fn code(report: &AuditReport) -> ExitCode {
    match () {
        () if report.is_wrong() => ExitCode::Mismatch,
        () if report.incomplete => ExitCode::Incomplete,
        () if report.left_behind => ExitCode::LeftBehind,
        () => ExitCode::Done,
    }
}

/// The code of several.
pub(super) fn worst(codes: &[ExitCode]) -> ExitCode {
    let order = [
        ExitCode::Mismatch,
        ExitCode::Incomplete,
        ExitCode::LeftBehind,
    ];
    let found = order.into_iter().find(|code| codes.contains(code));
    found.unwrap_or(ExitCode::Done)
}

/// Prints what was found. `fraction` is the share of the blocks whose damage was looked for.
pub(super) fn tell(output: Output, report: &AuditReport, fraction: f64) {
    if output.json {
        let disks: Vec<_> = report
            .disks
            .iter()
            .map(|disk| disk_json(disk, fraction))
            .collect();
        output.json_line(&json!({
            "version": 1, "type": "result", "vm": report.vm, "disks": disks, "events": report.events,
            "mismatch": report.is_wrong(), "incomplete": report.incomplete, "left_behind": report.left_behind,
        }));
        return;
    }
    output.line(&format!("audit of {}", printable(&report.vm)));
    let heads = ["DISK", "CLAIM", "BLOCKS", "COMPARED", "WRONG AREAS"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    for disk in &report.disks {
        let Some(audit) = &disk.audit else { continue };
        rows.extend(audit.claims.iter().map(|claim| row(disk, claim)));
    }
    output.line(&table(&rows));
    for disk in &report.disks {
        let label = printable(&disk.label);
        if let Some(failure) = &disk.failure {
            output.line(&format!("{label}: not read: {}", printable(failure)));
        }
        let Some(audit) = &disk.audit else { continue };
        for line in lines(audit, fraction) {
            output.line(&format!("{label}: {line}"));
        }
    }
}

/// What can be said of a disk.
fn lines(audit: &DiskAudit, fraction: f64) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(why) = &audit.not_asked {
        lines.push(format!("nothing is called unchanged: {}", printable(why)));
    }
    if let Some(why) = &audit.not_allocated {
        lines.push(format!("nothing is called unallocated: {}", printable(why)));
    }
    for claim in &audit.claims {
        if claim.blocks == Some(0) {
            continue;
        }
        lines.push(format!("{}: {}", claim.claim, verdict(claim, fraction)));
    }
    lines
}

fn verdict(claim: &ClaimAudit, fraction: f64) -> String {
    if !claim.wrong.is_empty() {
        let bytes: u64 = claim.wrong.iter().map(|area| area.end - area.start).sum();
        return format!(
            "WRONG in {}, {bytes} bytes in blocks that differ",
            count(claim.wrong.len() as u64, "area")
        );
    }
    if claim.blocks == Some(claim.compared) {
        return "every block was compared, and none differs".to_owned();
    }
    format!(
        "none differs; if {} % of the blocks were wrong, this would have been noticed with {:.1} % certainty",
        fraction * 100.0,
        // Rounding up would promise too much.
        (claim.certainty(fraction) * 1000.0).floor() / 10.0
    )
}

fn row(disk: &DiskReport, claim: &ClaimAudit) -> Vec<String> {
    vec![
        printable(&disk.label),
        claim.claim.to_string(),
        claim
            .blocks
            .map_or_else(|| "-".to_owned(), |blocks| blocks.to_string()),
        claim.compared.to_string(),
        claim.wrong.len().to_string(),
    ]
}

fn disk_json(disk: &DiskReport, fraction: f64) -> serde_json::Value {
    let audit = disk.audit.as_ref();
    let claims = audit.iter().flat_map(|audit| &audit.claims).map(|claim| {
        let areas = claim.wrong.iter().take(MOST_TOLD);
        let areas: Vec<_> = areas.map(|area| [area.start, area.end]).collect();
        json!({
            "claim": claim.claim.id(), "blocks": claim.blocks, "compared_blocks": claim.compared,
            "wrong": areas, "wrong_areas": claim.wrong.len(),
            "fraction": fraction, "certainty": claim.certainty(fraction),
        })
    });
    json!({
        "label": disk.label, "device_key": disk.device_key,
        "point": audit.and_then(|audit| audit.point).map(|point| point.to_string()),
        "read_bytes": disk.read_bytes, "claims": claims.collect::<Vec<_>>(),
        "nothing_unchanged": audit.and_then(|audit| audit.not_asked.as_deref()),
        "nothing_unallocated": audit.and_then(|audit| audit.not_allocated.as_deref()),
        "transport": disk.transport, "failure": disk.failure,
    })
}
