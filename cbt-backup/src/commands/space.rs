//! `space`: who needs how much of a repository.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
        output::{bytes, note, printable, table},
    },
    repo::{SpaceReport, VmSpace},
};

/// Show how much of a repository each virtual machine needs.
///
/// SIZE is the size of the disks in the newest point; STORED is what all points of the VM need, and UNIQUE what would
/// come free with a prune if they were dropped and had left the bin. Counted are whole packs, so a VM may be told up to a pack more
/// for each backup than its data take. A repository is told about as it is at one moment; sessions may run.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cbt-backup space --repo /backup/vms\n  cbt-backup space --json --repo /backup/vms"
)]
pub struct Space {
    #[command(flatten)]
    repository: RepositoryOptions,
}

impl Space {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of opening and reading the repository. Points that cannot be counted are told and make the exit code 4.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let report = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            Ok::<_, Failure>(repository.space().await?)
        })?;
        if context.output.json {
            context.output.document(&document(&report));
        } else {
            let head = ["VM", "POINTS", "SIZE", "STORED", "UNIQUE"];
            let mut rows = vec![head.map(str::to_owned).to_vec()];
            rows.extend(report.vms.iter().map(row));
            context.output.line(&table(&rows));
            context.output.line(&totals(&report));
            for finding in &report.findings {
                note(&format!("warning: {}", printable(&finding.to_string())));
            }
            if report.missing_packs > 0 {
                note(&format!(
                    "warning: {} packs are missing or not whole; hint: cbt-backup verify",
                    report.missing_packs
                ));
            }
        }
        Ok(if report.findings.is_empty() && report.missing_packs == 0 {
            ExitCode::Done
        } else {
            ExitCode::Damage
        })
    }
}

fn row(vm: &VmSpace) -> Vec<String> {
    vec![
        printable(&vm.vm_name),
        vm.points.to_string(),
        bytes(vm.logical_bytes),
        bytes(vm.stored_bytes),
        bytes(vm.unique_bytes),
    ]
}

fn totals(report: &SpaceReport) -> String {
    format!(
        "{} in all, {} for dropped points only, {} for none",
        bytes(report.total_bytes),
        bytes(report.bin_bytes),
        bytes(report.unneeded_bytes)
    )
}

fn document(report: &SpaceReport) -> serde_json::Value {
    let vms = report.vms.iter().map(|vm| {
        json!({
            "vm": vm.vm.to_string(),
            "name": vm.vm_name,
            "points": vm.points,
            "logical_bytes": vm.logical_bytes,
            "stored_bytes": vm.stored_bytes,
            "unique_bytes": vm.unique_bytes,
        })
    });
    let findings: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    json!({
        "version": 1,
        "vms": vms.collect::<Vec<_>>(),
        "total_bytes": report.total_bytes,
        "bin_bytes": report.bin_bytes,
        "unneeded_bytes": report.unneeded_bytes,
        "missing_packs": report.missing_packs,
        "findings": findings,
    })
}
