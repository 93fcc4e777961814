//! Tables and documents about tracking.

use serde_json::{Value, json};

use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::{Output, note, printable, table},
    },
    vsphere::{
        DiskReport, DiskTracking, Moref, ServerAddress, TrackingReport, TrackingState, Vm,
        VmSummary, browser_path,
    },
};

/// More names than this in one line help nobody; `--json` has them all.
const MAX_NAMES: usize = 10;

/// What came of one VM.
pub(super) struct Row {
    vm: VmSummary,
    result: Result<(Box<Vm>, TrackingReport), Failure>,
}

impl Row {
    pub(super) fn new(vm: VmSummary, result: Result<(Vm, TrackingReport), Failure>) -> Self {
        let result = result.map(|(read, report)| (Box::new(read), report));
        Self { vm, result }
    }

    /// The exit code. Off is a failure only where on was wanted.
    pub(super) fn code(&self, wants_on: bool) -> ExitCode {
        match &self.result {
            Err(failure) => failure.code,
            Ok((_, report)) if wants_on && report.state == TrackingState::Off => ExitCode::Vsphere,
            Ok(_) => ExitCode::Done,
        }
    }
}

/// Prints all rows.
pub(super) fn print(server: &ServerAddress, rows: &[Row], mob: bool, output: Output) {
    if output.json {
        let vms: Vec<Value> = rows.iter().map(|row| document(server, row, mob)).collect();
        output.document(&json!({"version": 1, "vms": vms}));
        return;
    }
    let mut lines = vec![
        ["VM", "STATE", "DISK", "ADDRESS", "TRACKING", "CHANGE ID"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for row in rows {
        if let Ok((_, report)) = &row.result {
            lines.extend(table_rows(&name(row, rows), report));
        }
    }
    if lines.len() > 1 {
        output.line(&table(&lines));
    }
    for line in causes(rows) {
        output.line(&line);
    }
    for row in rows {
        match &row.result {
            Ok((vm, report)) if mob => {
                for line in pages(server, &name(row, rows), vm, report) {
                    output.line(&line);
                }
            }
            Ok(_) => {}
            Err(failure) => {
                let text = printable(&failure.to_string());
                note(&format!("error: {}: {text}", name(row, rows)));
                if let Some(hint) = &failure.hint {
                    note(&format!("hint: {}", printable(hint)));
                }
            }
        }
    }
}

/// The name to show: the path where several have the name.
fn name(row: &Row, rows: &[Row]) -> String {
    let same = rows.iter().filter(|other| other.vm.name == row.vm.name);
    printable(if same.count() > 1 {
        &row.vm.path
    } else {
        &row.vm.name
    })
}

/// Each cause once, with the VMs it holds for and what helps.
fn causes(rows: &[Row]) -> Vec<String> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for row in rows {
        let Ok((_, report)) = &row.result else {
            continue;
        };
        for cause in &report.causes {
            let text = format!("{}; {}", printable(&cause.to_string()), cause.remedy());
            match found.iter_mut().find(|(known, _)| *known == text) {
                Some((_, names)) => names.push(name(row, rows)),
                None => found.push((text, vec![name(row, rows)])),
            }
        }
    }
    let lines = found.into_iter().map(|(text, mut names)| {
        let left = names.len().saturating_sub(MAX_NAMES);
        names.truncate(MAX_NAMES);
        let more = if left > 0 {
            format!(" and {left} more")
        } else {
            String::new()
        };
        format!("{}{more}: {text}", names.join(", "))
    });
    lines.collect()
}

/// Where the object browser shows each disk's change id.
fn pages(server: &ServerAddress, name: &str, vm: &Vm, report: &TrackingReport) -> Vec<String> {
    let disks = report.disks.iter().map(|disk| {
        let page = page(server, vm, report, disk);
        format!("{name}, {}: {page}", printable(&disk.label))
    });
    let mut lines: Vec<String> = disks.collect();
    if report.snapshot.is_none() && !lines.is_empty() {
        lines.push(format!(
            "{name}: it has no snapshot, and only the pages of one are sure to show a changeId"
        ));
    }
    lines
}

/// The snapshot's page, or the VM's where there is no snapshot.
fn page(server: &ServerAddress, vm: &Vm, report: &TrackingReport, disk: &DiskReport) -> String {
    let object: Moref = report.snapshot.clone().unwrap_or_else(|| vm.moref());
    browser_path(server, &object, disk.device_key)
}

fn table_rows(name: &str, report: &TrackingReport) -> Vec<Vec<String>> {
    let none = || "-".to_owned();
    if report.disks.is_empty() {
        let state = report.state.to_string();
        return vec![vec![name.to_owned(), state, none(), none(), none(), none()]];
    }
    let disks = report.disks.iter().enumerate();
    let rows = disks.map(|(index, disk)| {
        let (name, state) = match index {
            0 => (name.to_owned(), report.state.to_string()),
            _ => (String::new(), String::new()),
        };
        vec![
            name,
            state,
            printable(&disk.label),
            disk.address.clone().unwrap_or_else(none),
            printable(&disk.tracking.to_string()),
            disk.change_id.as_deref().map_or_else(none, printable),
        ]
    });
    rows.collect()
}

fn tracking_id(tracking: &DiskTracking) -> &'static str {
    match tracking {
        DiskTracking::On => "on",
        DiskTracking::Pending => "pending",
        DiskTracking::SwitchedOff { .. } => "switched-off",
        DiskTracking::Off => "off",
        DiskTracking::Impossible(_) => "impossible",
    }
}

fn document(server: &ServerAddress, row: &Row, mob: bool) -> Value {
    let (vm, report) = match &row.result {
        Ok((vm, report)) => (vm, report),
        Err(failure) => {
            return json!({
                "vm": row.vm.name,
                "moref": row.vm.moref.id,
                "path": row.vm.path,
                "error": {"message": failure.to_string(), "hint": failure.hint, "exit_code": failure.code as u8},
            });
        }
    };
    let disks = report.disks.iter().map(|disk| {
        let mut value = json!({
            "device_key": disk.device_key,
            "label": disk.label,
            "address": disk.address,
            "tracking": tracking_id(&disk.tracking),
            "detail": disk.tracking.to_string(),
            "change_id": disk.change_id,
        });
        if mob {
            value["mob"] = page(server, vm, report, disk).into();
        }
        value
    });
    let causes = report.causes.iter().map(
        |cause| json!({"id": cause.id(), "message": cause.to_string(), "remedy": cause.remedy()}),
    );
    json!({
        "vm": row.vm.name,
        "moref": row.vm.moref.id,
        "path": row.vm.path,
        "state": report.state.as_str(),
        "enabled": vm.change_tracking_enabled,
        "supported": vm.change_tracking_supported,
        "hardware_version": vm.hardware_version,
        "snapshots": vm.snapshots.iter().count(),
        "disabled_methods": vm.disabled_methods,
        "causes": causes.collect::<Vec<_>>(),
        "disks": disks.collect::<Vec<_>>(),
    })
}
