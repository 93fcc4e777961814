//! `restore`: disks of a point to raw files.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
        output::{bytes, printable, table},
    },
    engine::{self, Event, Monitor, RestoreOptions},
    repo::FOUND_WRONG,
};

/// Restore disks of a point to raw files.
///
/// Each disk becomes a sparse file `<vm>-disk-<device key>.raw`, as large as the disk. A file has
/// its name only when it is complete; every block is checked against its hash on the way.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cbt-backup restore 01JD --to /restore --repo /backup/vms
  cbt-backup restore 01JD --to /restore --disk 2000 --repo /backup/vms

To use a file: qemu-img convert -O vmdk app01-disk-2000.raw app01.vmdk")]
pub struct Restore {
    /// The point: its id, or as many characters of it as are needed
    point: String,
    /// The folder for the files
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Only this disk, by label or device key; may be given several times
    #[arg(long, value_name = "DISK")]
    disk: Vec<String>,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Restore a disk although its data are an older state than the point
    #[arg(long)]
    allow_carried: bool,
    /// Restore a disk although part of it cannot be read: zeros stand in its place, and each lost range is told (exit code 4)
    #[arg(long)]
    allow_unreadable: bool,
    #[command(flatten)]
    repository: RepositoryOptions,
}

impl Restore {
    /// Runs the command.
    ///
    /// # Errors
    /// 3 for a carried or absent disk, 4 for damage, also where it was allowed, 15 when a file cannot be written, 17 when one exists,
    /// 18 for an unknown point or disk.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let (repository, point) = context.runtime.block_on(async {
            let repository = self.repository.open(&context.config).await?;
            let id = repository.resolve(&self.point).await?;
            let point = repository.point(&id).await?;
            Ok::<_, Failure>((repository, point))
        })?;
        let options = RestoreOptions {
            folder: self.to.clone(),
            disks: self.disk.clone(),
            replace: self.force,
            allow_carried: self.allow_carried,
            allow_unreadable: self.allow_unreadable,
        };
        let progress = context.progress();
        for what in point.root.found_wrong() {
            let message = format!(
                "this point was found wrong: {what}; another point is better where there is one (cbt-backup list)"
            );
            progress.event(&Event::warning(FOUND_WRONG, message));
        }
        for what in point.root.left_out() {
            progress.event(&Event::warning(
                "disk-left-out",
                format!("in this point, {what}"),
            ));
        }
        let report = engine::restore(
            &repository,
            &context.runtime,
            &point,
            &options,
            &progress,
            &context.cancel,
        )?;
        for (label, reason) in &report.absent {
            let message = format!("{label} is not in this point: {reason}");
            progress.event(&Event::warning("disk-absent", message));
        }
        if context.output.json {
            let disks: Vec<_> = report.restored.iter()
                .map(|disk| {
                    json!({
                        "label": disk.label, "device_key": disk.device_key, "path": disk.path.display().to_string(),
                        "capacity_bytes": disk.capacity_bytes, "written_bytes": disk.written_bytes,
                        "carried": disk.carried, "lost_bytes": disk.lost_bytes, "lost_ranges": disk.lost_ranges,
                    })
                })
                .collect();
            context.output.json_line(&json!({
                "version": 1, "type": "result", "point": point.id().to_string(), "disks": disks,
                "found_wrong": point.root.found_wrong().collect::<Vec<_>>(),
                "absent": report.absent.iter().map(|(label, _)| label).collect::<Vec<_>>(),
            }));
        } else {
            let mut rows = vec![
                ["DISK", "SIZE", "WRITTEN", "LOST", "FILE"]
                    .map(str::to_owned)
                    .to_vec(),
            ];
            rows.extend(report.restored.iter().map(|disk| {
                vec![
                    printable(&disk.label),
                    bytes(disk.capacity_bytes),
                    bytes(disk.written_bytes),
                    bytes(disk.lost_bytes),
                    printable(&disk.path.display().to_string()),
                ]
            }));
            context.output.line(&table(&rows));
        }
        Ok(if !report.is_whole() {
            ExitCode::Damage
        } else if report.absent.is_empty() {
            ExitCode::Done
        } else {
            ExitCode::Incomplete
        })
    }
}
