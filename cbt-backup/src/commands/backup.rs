//! `backup`: a new point of each virtual machine.

use std::{path::PathBuf, time::Duration};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::json;
use vddk::{Library, OpenOptions, TransportModes, TransportPolicy};

use super::{Context, list::kind};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::{RepositoryOptions, ServerOptions, VddkOptions},
        output::{bytes, note, printable, table},
        selection::{NamedVms, SELECTORS},
    },
    engine::{self, BackupOptions, BackupReport, DiskReport, Site, pipeline::Pace},
    repo::Repository,
    vsphere::{Client, VmSelection, VmSummary},
};

const EXAMPLES: &str = "\
Examples:
  cbt-backup backup app01 --repo /backup/vms --passphrase-file /etc/cbt-backup/passphrase \\
      --server vcenter.example --user backup@vsphere.local --password-file /etc/cbt-backup/password \\
      --thumbprint AA:BB:… --vddk /opt/vmware-vix-disklib-distrib
  cbt-backup backup folder:Prod attr:Backup=daily --exclude glob:*-test";

/// Back virtual machines up: in full the first time, then what changed.
///
/// One after the other, each a point of its own. A VM goes on running. A snapshot is made, its disks are read through VDDK, and the snapshot is
/// removed again, also after a failure or Ctrl-C. What changed since the last point is asked from
/// vSphere (Changed Block Tracking, switched on where that is safe); where the answer cannot be
/// believed, the disk is read in full in the same run.
#[derive(Debug, Args)]
#[command(after_help = format!("{SELECTORS}\n\n{EXAMPLES}"))]
pub struct Backup {
    #[command(flatten)]
    wanted: NamedVms,
    #[command(flatten)]
    repository: RepositoryOptions,
    #[command(flatten)]
    server: ServerOptions,
    /// Where VDDK is.
    #[command(flatten)]
    pub vddk: VddkOptions,
    /// Ways to reach the disks, most wanted first: nbdssl, hotadd, san [default: nbdssl]
    #[arg(long, env = "CBT_BACKUP_TRANSPORT", value_name = "MODE[:MODE]")]
    transport: Option<String>,
    /// What to do when a disk does not come by the transport wanted most [default: prefer]
    #[arg(
        long,
        env = "CBT_BACKUP_TRANSPORT_POLICY",
        value_enum,
        value_name = "POLICY"
    )]
    transport_policy: Option<Policy>,
    /// Read every disk in full although changes are tracked
    #[arg(long)]
    full: bool,
    /// Whether change tracking may be switched on
    #[arg(long, value_enum, default_value_t = Cbt::Auto, value_name = "POLICY")]
    cbt: Cbt,
    /// What to do when the map of changed areas cannot be believed
    #[arg(long, value_enum, default_value_t = OnBadMap::Full, value_name = "ACTION")]
    on_bad_map: OnBadMap,
    /// Where locks and the list of things to undo are kept [default: /var/lib/cbt-backup as root, else ~/.local/state/cbt-backup]
    #[arg(long, env = "CBT_BACKUP_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Minutes that a vSphere task, such as removing the snapshot, may take
    #[arg(long, default_value_t = 240, value_parser = clap::value_parser!(u64).range(1..=10_080), value_name = "MINUTES")]
    task_minutes: u64,
    /// Seconds that a read may take before its disk is given up
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400), value_name = "SECONDS")]
    read_seconds: u64,
}

/// Sessions of vSphere end after about 30 idle minutes.
const KEEP_ALIVE_EVERY: Duration = Duration::from_mins(10);

/// Whether change tracking may be switched on.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Cbt {
    /// Where it is off and no snapshot is in the way
    Auto,
    /// Leave it as it is
    Never,
}

/// What is acceptable besides the wanted transports.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Policy {
    /// Nothing else: a disk that comes otherwise is not read
    Require,
    /// nbdssl as a last resort; whatever is not the first of the list is told
    Prefer,
    /// Any of the list, without a word
    Allow,
}

/// What to do about a bad map.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum OnBadMap {
    /// Read the disk in full, in the same run
    Full,
    /// Fail the run with exit code 13
    Fail,
}

impl Backup {
    /// Runs the command.
    ///
    /// # Errors
    /// Most codes of the table; the point is made when it is 0, 3 or 5.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let options = self.options(context)?;
        let selection = self.wanted.selection()?;
        let repository = context
            .runtime
            .block_on(self.repository.open(&context.config))?;
        // Before anything is touched in vSphere: is there a library at all?
        let library = Library::load(self.vddk.library(&context.config))?;
        let login = context
            .runtime
            .block_on(self.server.connect(&context.config))?;
        let site = Site {
            client: login.client,
            library,
            runtime: context.runtime.clone(),
            user: login.user,
            password: login.password,
            task_time_out: Duration::from_secs(self.task_minutes * 60),
        };
        let alive = context.runtime.spawn(keep_alive(site.client.clone()));
        let done = self.all(context, &site, &repository, &selection, &options);
        alive.abort();
        if let Err(error) = context.runtime.block_on(site.client.logout()) {
            tracing::warn!(%error, "logging out failed");
        }
        done
    }

    /// Backs up what is selected. After a failure the next VM has its turn; the code is that of
    /// the first failure.
    fn all(
        &self,
        context: &Context,
        site: &Site,
        repository: &Repository,
        selection: &VmSelection,
        options: &BackupOptions,
    ) -> Result<ExitCode, Failure> {
        let vms = context
            .runtime
            .block_on(site.client.select_vms(selection))?;
        let vms = self.wanted.without_templates(vms)?;
        let mut codes = Vec::new();
        let mut failed: Option<Failure> = None;
        for vm in &vms {
            let progress = context.progress();
            if vms.len() > 1 && !context.output.json {
                note(&format!("{}:", printable(&vm.path)));
            }
            let cancel = &context.cancel;
            match engine::backup(site, repository, &vm.moref, options, &progress, cancel) {
                Ok(report) => {
                    tell(context, &report);
                    codes.push(code(&report));
                }
                Err(error) => {
                    let failure = Failure::from(error);
                    let stops = failure.code == ExitCode::Interrupted;
                    // The first one is told at the end, as that of the whole run.
                    if failed.is_some() {
                        let text = failure.to_string();
                        note(&format!(
                            "error: {}: {}",
                            printable(&vm.path),
                            printable(&text)
                        ));
                    }
                    failed = failed.or_else(|| Some(of_vm(failure, vm, vms.len())));
                    if stops {
                        break;
                    }
                }
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(worst(&codes)),
        }
    }

    fn options(&self, context: &Context) -> Result<BackupOptions, Failure> {
        let usage = |error: vddk::Error| Failure::new(ExitCode::Usage, error);
        let transport = self
            .transport
            .clone()
            .or_else(|| context.config.transport.clone());
        let transports: TransportModes = transport
            .as_deref()
            .unwrap_or("nbdssl")
            .parse()
            .map_err(usage)?;
        let state_dir = self
            .state_dir
            .clone()
            .or_else(|| context.config.state_dir.clone());
        Ok(BackupOptions {
            state_dir: state_dir.or_else(default_state_dir).ok_or_else(|| {
                Failure::new(ExitCode::Usage, anyhow!("no state folder is named"))
                    .with_hint("use --state-dir")
            })?,
            transports,
            transport_policy: match self.policy(context)? {
                Policy::Require => TransportPolicy::Require,
                Policy::Prefer => TransportPolicy::Prefer,
                Policy::Allow => TransportPolicy::Allow,
            },
            tracking: match self.cbt {
                Cbt::Auto => engine::TrackingPolicy::Auto,
                Cbt::Never => engine::TrackingPolicy::Never,
            },
            on_bad_map: match self.on_bad_map {
                OnBadMap::Full => engine::OnBadMap::Full,
                OnBadMap::Fail => engine::OnBadMap::Fail,
            },
            full: self.full,
            open: OpenOptions {
                time_out: Duration::from_secs(self.read_seconds),
                ..OpenOptions::default()
            },
            pace: Pace::default(),
        })
    }
}

impl Backup {
    /// The policy, from option, environment or configuration.
    fn policy(&self, context: &Context) -> Result<Policy, Failure> {
        let word = context.config.transport_policy.as_deref();
        match (self.transport_policy, word) {
            (Some(policy), _) => Ok(policy),
            (None, None) => Ok(Policy::Prefer),
            (None, Some(word)) => Policy::from_str(word, false).map_err(|_| {
                let error = anyhow!("transport-policy {word:?} in the configuration");
                Failure::new(ExitCode::Usage, error).with_hint("require, prefer or allow")
            }),
        }
    }
}

/// The customary place: for the whole machine as root, else the user's own. What decides is who the
/// process is, not what its environment says: all runs of one machine must find each other's locks.
fn default_state_dir() -> Option<PathBuf> {
    if is_root() {
        return Some(PathBuf::from("/var/lib/cbt-backup"));
    }
    let folder = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let user = folder("XDG_STATE_HOME").or_else(|| Some(folder("HOME")?.join(".local/state")));
    user.map(|user| user.join("cbt-backup"))
}

/// The kernel gives a process's folder to the user that it acts as.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|folder| folder.uid() == 0)
}

fn code(report: &BackupReport) -> ExitCode {
    match () {
        () if report.incomplete => ExitCode::Incomplete,
        () if report.left_behind => ExitCode::LeftBehind,
        () => ExitCode::Done,
    }
}

/// What is told of several points: an incomplete one counts more than something left behind.
fn worst(codes: &[ExitCode]) -> ExitCode {
    let order = [ExitCode::Incomplete, ExitCode::LeftBehind];
    let found = order.into_iter().find(|code| codes.contains(code));
    found.unwrap_or(ExitCode::Done)
}

/// Where there are several, the VM that failed is named.
fn of_vm(failure: Failure, vm: &VmSummary, count: usize) -> Failure {
    if count < 2 {
        return failure;
    }
    Failure {
        error: failure.error.context(vm.path.clone()),
        ..failure
    }
}

/// Keeps the session from running out while disks are read: traffic of the data path does not.
async fn keep_alive(client: Client) {
    loop {
        tokio::time::sleep(KEEP_ALIVE_EVERY).await;
        if let Err(error) = client.current_time().await {
            tracing::warn!(%error, "the session could not be kept alive");
        }
    }
}

fn tell(context: &Context, report: &BackupReport) {
    let output = context.output;
    if output.json {
        let disks: Vec<_> = report.disks.iter().map(disk_json).collect();
        output.json_line(&json!({
            "version": 1, "type": "result", "point": report.point.to_string(), "vm": report.vm,
            "kind": kind(report.kind), "disks": disks, "events": report.events,
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
