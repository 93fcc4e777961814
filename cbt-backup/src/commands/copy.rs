//! `copy`: points to another repository.

mod report;
mod wanted;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use clap::Args;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::RepositoryOptions,
        output::{bytes, printable},
        progress::Progress,
        target_options::TargetOptions,
    },
    engine::{Event, Monitor, host::host_name},
    repo::{CopiedPoint, CopyMonitor, CopyOptions, Error, PackId, PointSummary, Repository},
};

/// Copy points to another repository.
///
/// The target has keys of its own. Only what it lacks is read and written: points whose copy is there are
/// passed over, and an increment costs what it has changed. Stopped or killed, it goes on from what is
/// stored when it is started again. What cannot be read in the source is unreadable in the copy as well, never
/// zeros, and makes the exit code 4.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cbt-backup copy --repo /backup/vms --to s3://vms/site-b --to-passphrase-file /etc/cbt-backup/site-b
  cbt-backup copy --latest --repo /backup/vms --to /mnt/usb/vms
  cbt-backup copy --vm app01 --newer --repo /backup/vms --to /mnt/usb/vms
  cbt-backup copy 01JD --dry-run --repo /backup/vms --to /mnt/usb/vms")]
pub struct Copy {
    /// The points: ids, or as many characters of them as are needed [default: all]
    #[arg(conflicts_with_all = ["vm", "latest", "newer"])]
    point: Vec<String>,
    /// Only points of this virtual machine; may be given several times
    #[arg(long, value_name = "NAME")]
    vm: Vec<String>,
    /// Only the newest complete point of each virtual machine
    #[arg(long)]
    latest: bool,
    /// Only points newer than the newest that the target has of their virtual machine: what was dropped there stays away
    #[arg(long)]
    newer: bool,
    /// Tell what would be copied and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: TargetOptions,
    #[command(flatten)]
    repository: RepositoryOptions,
}

impl Copy {
    /// Runs the command.
    ///
    /// # Errors
    /// 2 when source and target are one, 10 and 12 for either, 16 when the target takes no data, 18 for an unknown
    /// point or VM, 130 when it was stopped. Damage in the source is no error: it is exit code 4.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let (source, target) = context.runtime.block_on(self.open(context))?;
        let (wanted, findings) = context.runtime.block_on(self.wanted(&source, &target))?;
        let options = CopyOptions {
            dry_run: self.dry_run,
            host: host_name(),
            program: concat!("cbt-backup ", env!("CARGO_PKG_VERSION")).to_owned(),
            ..CopyOptions::default()
        };
        let watch = Watch {
            progress: context.progress(),
            cancel: Arc::clone(&context.cancel),
            dry_run: self.dry_run,
        };
        let mut report = source.copy(&target, &context.runtime, &wanted, &options, &watch)?;
        for finding in findings {
            if !report.findings.contains(&finding) {
                report.findings.push(finding);
            }
        }
        report::tell(context, &report, self.dry_run);
        Ok(if report.is_clean() {
            ExitCode::Done
        } else {
            ExitCode::Damage
        })
    }

    async fn open(&self, context: &Context) -> Result<(Repository, Repository), Failure> {
        let source = self.repository.open(&context.config).await?;
        let target = self.target.open(&self.repository, &context.config).await?;
        Ok((source, target))
    }
}

/// Hands a copy's progress to the display.
struct Watch {
    progress: Progress,
    cancel: Arc<AtomicBool>,
    dry_run: bool,
}

impl CopyMonitor for Watch {
    fn point_begins(&self, point: &PointSummary) {
        let step = format!(
            "{} {} of {}",
            if self.dry_run { "measure" } else { "copy" },
            point.id,
            printable(&point.vm_name)
        );
        self.progress.step(&step);
    }

    fn disk_begins(&self, label: &str, total_bytes: u64) {
        self.progress.disk_begins(0, label, total_bytes);
    }

    fn advance_bytes(&self, more_bytes: u64) {
        self.progress.advance(0, more_bytes);
    }

    fn disk_ends(&self) {
        self.progress.disk_ends(0);
    }

    fn pack_damaged(&self, pack: PackId, error: &Error) {
        let text = format!(
            "{error}: {pack} is in quarantine in the target now, and the point begins again; cbt-backup verify of the target tells which points are hit"
        );
        self.progress.event(&Event::warning("pack-damaged", text));
    }

    fn point_ends(&self, point: &CopiedPoint) {
        let id = point.from.id;
        if point.unreadable_bytes > 0 {
            let lost = bytes(point.unreadable_bytes);
            let text =
                format!("{lost} of point {id} cannot be read; its copy has them as unreadable");
            self.progress.event(&Event::warning("unreadable", text));
        }
        if let Some(copy) = point.to {
            let text = format!("point {id} is copied: {copy}");
            self.progress.event(&Event::info("copied", text));
        }
    }

    fn should_stop(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }
}
