//! Tables and documents about tracking.

use serde_json::{Value, json};

use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::{Output, note, printable, table},
    },
    vsphere::{
        DiskReport, DiskTracking, Moref, ServerAddress, TrackingReport, TrackingState, Vm,
        browser_path,
    },
};

/// What came of one VM.
pub(super) struct Row {
    name: String,
    result: Result<(Box<Vm>, TrackingReport), Failure>,
}

impl Row {
    pub(super) fn found(vm: Vm, report: TrackingReport) -> Self {
        Self {
            name: vm.name.clone(),
            result: Ok((Box::new(vm), report)),
        }
    }

    pub(super) fn failed(selector: &str, failure: Failure) -> Self {
        Self {
            name: selector.to_owned(),
            result: Err(failure),
        }
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
            lines.extend(table_rows(&row.name, report));
        }
    }
    if lines.len() > 1 {
        output.line(&table(&lines));
    }
    for row in rows {
        match &row.result {
            Ok((vm, report)) => {
                for cause in &report.causes {
                    let name = printable(&row.name);
                    let cause_text = printable(&cause.to_string());
                    output.line(&format!("{name}: {cause_text}; {}", cause.remedy()));
                }
                if mob {
                    for disk in &report.disks {
                        let path = path(server, vm, report, disk);
                        output.line(&format!("{}: {path}", printable(&disk.label)));
                    }
                }
            }
            Err(failure) => {
                let text = printable(&failure.to_string());
                note(&format!("error: {}: {text}", printable(&row.name)));
                if let Some(hint) = &failure.hint {
                    note(&format!("hint: {}", printable(hint)));
                }
            }
        }
    }
}

/// The snapshot's page, or the VM's where there is no snapshot.
fn path(server: &ServerAddress, vm: &Vm, report: &TrackingReport, disk: &DiskReport) -> String {
    let object: Moref = report.snapshot.clone().unwrap_or_else(|| vm.moref());
    browser_path(server, &object, disk.device_key)
}

fn table_rows(name: &str, report: &TrackingReport) -> Vec<Vec<String>> {
    let none = || "-".to_owned();
    let head = |text: &str| printable(text);
    if report.disks.is_empty() {
        let state = report.state.to_string();
        return vec![vec![head(name), state, none(), none(), none(), none()]];
    }
    let disks = report.disks.iter().enumerate();
    let rows = disks.map(|(index, disk)| {
        let (name, state) = match index {
            0 => (head(name), report.state.to_string()),
            _ => (String::new(), String::new()),
        };
        vec![
            name,
            state,
            head(&disk.label),
            disk.address.clone().unwrap_or_else(none),
            head(&disk.tracking.to_string()),
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
                "vm": row.name,
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
            value["mob"] = path(server, vm, report, disk).into();
        }
        value
    });
    let causes = report.causes.iter().map(
        |cause| json!({"id": cause.id(), "message": cause.to_string(), "remedy": cause.remedy()}),
    );
    json!({
        "vm": row.name,
        "moref": vm.id,
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
