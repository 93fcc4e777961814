//! What a janitor tells of each VM, and of all.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    cli::output::{Output, printable},
    engine::{
        JanitorReport,
        janitor::{Finding, Outcome, Stray},
    },
    vsphere::VmSummary,
};

/// What was done over all VMs.
#[derive(Debug, Default)]
pub(super) struct Tally {
    vms: usize,
    busy: usize,
    undone: usize,
    /// What is there and should not be.
    pub(super) left: usize,
}

impl Tally {
    pub(super) fn add(&mut self, report: &JanitorReport) {
        self.vms += 1;
        self.busy += usize::from(report.is_busy);
        let findings = &report.findings;
        self.left += findings.iter().filter(|finding| finding.is_left()).count();
        let undone = findings.iter().filter(|one| one.outcome == Outcome::Undone);
        self.undone += undone.count();
    }

    /// The last line; JSON has all of it in its lines.
    pub(super) fn tell(&self, output: Output) {
        if output.json {
            return;
        }
        let busy = match self.busy {
            0 => String::new(),
            count => format!(" ({count} left to the runs that work on them)"),
        };
        let vms = if self.vms == 1 { "VM" } else { "VMs" };
        output.line(&format!(
            "{} {vms}{busy}: {} undone, {} left",
            self.vms, self.undone, self.left
        ));
    }
}

/// Prints what was found at one VM.
pub(super) fn tell(output: Output, vm: &VmSummary, report: &JanitorReport) {
    if output.json {
        let findings: Vec<Value> = report.findings.iter().map(finding_json).collect();
        output.json_line(&json!({
            "version": 1, "type": "result", "vm": report.vm, "path": vm.path, "id": vm.moref.id,
            "busy": report.is_busy, "left": report.is_something_left(), "findings": findings,
        }));
        return;
    }
    let path = printable(&vm.path);
    if report.is_busy {
        output.line(&format!("{path}: a run of this machine works on it"));
    }
    tell_findings(output, &path, &report.findings);
}

/// Prints what runs left at a VM that was not visited.
pub(super) fn tell_stray(output: Output, stray: &Stray) {
    if output.json {
        let findings: Vec<Value> = stray.findings.iter().map(finding_json).collect();
        output.json_line(&json!({
            "version": 1, "type": "result", "vm": null, "path": null, "id": null, "uuid": stray.uuid,
            "busy": false, "left": true, "findings": findings,
        }));
        return;
    }
    let who = format!("VM with UUID {}", printable(&stray.uuid));
    tell_findings(output, &who, &stray.findings);
}

fn tell_findings(output: Output, path: &str, findings: &[Finding]) {
    for finding in findings {
        let age = finding.age.map(|age| format!(", {}", old(age)));
        output.line(&format!(
            "{path}: {}{} {}: {}",
            finding.kind.word(),
            age.unwrap_or_default(),
            finding.outcome.word(),
            printable(&finding.reason)
        ));
        if let Some(description) = &finding.description {
            output.line(&format!("    description: {}", printable(description)));
        }
    }
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "kind": finding.kind.word(), "outcome": finding.outcome.word(), "reason": finding.reason,
        "session": finding.session, "description": finding.description,
        "created": finding.created.map(|created| created.to_string()),
        "age_seconds": finding.age.map(|age| age.as_secs()),
    })
}

/// An age in its largest unit.
fn old(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    let (count, unit) = match seconds {
        0..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    format!("{count} {unit} old")
}

#[cfg(test)]
mod tests {
    use super::old;
    use jiff::SignedDuration;

    #[test]
    fn an_age_has_one_unit() {
        let told = [-5, 59, 60, 7200, 200_000].map(|age| old(SignedDuration::from_secs(age)));
        assert_eq!(
            told,
            ["0 s old", "59 s old", "1 min old", "2 h old", "2 days old"]
        );
    }
}
