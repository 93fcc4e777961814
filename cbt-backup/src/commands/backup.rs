//! `backup`: a new point of each virtual machine.

mod policy;
mod report;
mod round;

use std::{collections::BTreeSet, path::Path, str::FromStr as _, sync::Arc, time::Duration};

use anyhow::anyhow;
use clap::Args;
use vddk::OpenOptions;

pub use self::policy::{Access, Cbt, OnBadMap, Quiesce, StandingSnapshot};
pub(super) use self::round::{Round, Work};
use super::{Context, site::with_site};
use crate::{
    cli::{
        block_size::BlockSize,
        budget_options::{BudgetOptions, at_once},
        exit_code::{ExitCode, Failure},
        hook_options::{HOOK_ENVIRONMENT, HookOptions},
        options::{RepositoryOptions, ServerOptions, VddkOptions},
        selection::{NamedVms, SELECTORS},
        state_options::StateOptions,
        transport_options::TransportOptions,
    },
    engine::{
        self, AccessOptions, BackupOptions, Budget, DiskChoice, DiskName, Event, Monitor as _,
        Patience, Purpose, SessionMemory, pipeline::Pace,
    },
    repo::{MAX_TAGS, RowInterval, Tag},
};

/// Without a repository there is no run that would undo what dead ones left.
fn tell_of_ledgers(context: &Context, state_dir: &Path) {
    let runs = engine::unfinished_runs(state_dir);
    if runs > 0 {
        let message = format!(
            "{runs} runs that died, or are at work, have changed something in vSphere: `cbt-backup janitor --all` undoes what dead ones left, also without the repository"
        );
        context
            .progress()
            .event(&Event::warning("dead-run", message));
    }
}

const EXAMPLES: &str = "\
Examples:
  cbt-backup backup app01 --repo /backup/vms --passphrase-file /etc/cbt-backup/passphrase \\
      --server vcenter.example --user backup@vsphere.local --password-file /etc/cbt-backup/password \\
      --thumbprint AA:BB:… --vddk /opt/vmware-vix-disklib-distrib
  cbt-backup backup folder:Prod attr:Backup=daily --exclude glob:*-test";

/// Back virtual machines up: in full the first time, then what changed.
///
/// Two at a time, each a point of its own. A VM goes on running. A snapshot is made, its disks are read through VDDK, and the snapshot is
/// removed again, also after a failure or Ctrl-C. What changed since the last point is asked from
/// vSphere (Changed Block Tracking, switched on where that is safe); where the answer cannot be
/// believed, the disk is read in full in the same run.
#[derive(Debug, Args)]
#[command(after_help = format!("{SELECTORS}\n\n{HOOK_ENVIRONMENT}\n\n{EXAMPLES}"))]
pub struct Backup {
    #[command(flatten)]
    wanted: NamedVms,
    /// Only these disks, by label, device key, place (scsi0:1) or file; may be given several times
    #[arg(long, value_name = "DISK", value_parser = DiskName::from_str)]
    disk: Vec<DiskName>,
    /// Leave these disks out; may be given several times
    #[arg(long, value_name = "DISK", value_parser = DiskName::from_str)]
    exclude_disk: Vec<DiskName>,
    #[command(flatten)]
    repository: RepositoryOptions,
    #[command(flatten)]
    server: ServerOptions,
    /// Where VDDK is.
    #[command(flatten)]
    pub vddk: VddkOptions,
    #[command(flatten)]
    transport: TransportOptions,
    /// Read every disk in full although changes are tracked
    #[arg(long)]
    full: bool,
    /// Where a disk is read in full, read also what VMware calls unallocated. Without it that is recorded as zeros where the answer can be trusted
    #[arg(long)]
    read_unallocated: bool,
    /// Whether change tracking may be switched on
    #[arg(long, value_enum, default_value_t = Cbt::Auto, value_name = "POLICY")]
    cbt: Cbt,
    /// What to do when the VM can't be kept from being moved: prefer goes on, and fails a disk that was moved
    #[arg(long, value_enum, default_value_t = Access::Prefer, value_name = "POLICY")]
    access: Access,
    /// Minutes to wait for somebody else who keeps the VM from being moved, such as another backup
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1440), value_name = "MINUTES")]
    access_minutes: u64,
    /// Whether the guest's file systems are brought to rest for the snapshot, by VMware Tools
    #[arg(long, value_enum, default_value_t = Quiesce::Prefer, value_name = "POLICY")]
    quiesce: Quiesce,
    /// What to do when the map of changed or allocated areas cannot be believed
    #[arg(long, value_enum, default_value_t = OnBadMap::Full, value_name = "ACTION")]
    on_bad_map: OnBadMap,
    /// What to do when a snapshot of somebody else stands, or stood at the last point
    #[arg(long, value_enum, default_value_t = StandingSnapshot::Full, value_name = "POLICY")]
    standing_snapshot: StandingSnapshot,
    #[command(flatten)]
    hooks: HookOptions,
    /// Word that the points are called by, such as before-update, for `forget --keep-tag` and `list --tag`; may be given up to 16 times
    #[arg(long, value_name = "TAG")]
    tag: Vec<Tag>,
    /// Virtual machine that is like these, such as one of the same template: what its newest point has, the first full of a disk does not store again; may be given several times
    #[arg(long, value_name = "VM")]
    seed_from: Vec<String>,
    #[command(flatten)]
    state: StateOptions,
    /// Seconds between two signs of life in the repository, by which janitors and prunes on other machines know that this run is not dead
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=60), value_name = "SECONDS")]
    beat_seconds: u64,
    /// Seconds after which a long run keeps what it has read as a partial point, on which the next run builds should this one die
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400), value_name = "SECONDS")]
    checkpoint_seconds: u64,
    /// Size of the blocks that disks are cut into which no point has yet [default: that of the repository]
    #[arg(long, value_enum, value_name = "SIZE")]
    block_size: Option<BlockSize>,
    /// Disks of a virtual machine that are read at once; they share memory and threads
    #[arg(long, env = "CBT_BACKUP_DISKS_AT_ONCE", default_value_t = 4, value_parser = at_once, value_name = "N")]
    disks_at_once: usize,
    /// Virtual machines that are backed up at once; they share memory, and what hosts and datastores may be asked for
    #[arg(long, env = "CBT_BACKUP_VMS_AT_ONCE", default_value_t = 2, value_parser = at_once, value_name = "N")]
    vms_at_once: usize,
    #[command(flatten)]
    budget: BudgetOptions,
    /// Times that connecting, opening and reading are tried without any progress when they fail for a reason that may pass, such as a broken connection; each wait is twice as long as the one before, from a second up to a minute
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000), value_name = "N")]
    vddk_tries: u32,
    /// Compare a sample of what vSphere calls unchanged with the last point, at every Nth point of a disk, and of what it calls unallocated; a disk that is found wrong is read in full. After risky events, such as a move of the VM or its files, this is done in any case. 0: only then. It reads up to some 300 blocks of each disk more
    #[arg(long, default_value_t = 0, value_name = "N")]
    audit_every: u32,
    /// Seconds that a read may take before its disk is given up
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400), value_name = "SECONDS")]
    read_seconds: u64,
}

impl Backup {
    /// Runs the command.
    ///
    /// # Errors
    /// Most codes of the table; the point is made when it is 0, 3 or 5.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        self.with_work(context, |work| work.round()?.result())
    }

    /// Opens what is needed, and closes it after the work.
    ///
    /// # Errors
    /// Those of the options, of the repository, of the login, and of the work.
    pub(super) fn with_work<T>(
        &self,
        context: &Context,
        work: impl FnOnce(&Work<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.server.needs_password()?;
        let options = self.options(context)?;
        let selection = self.wanted.selection()?;
        let opened = context
            .runtime
            .block_on(self.repository.open(&context.config));
        let repository = opened.inspect_err(|_| tell_of_ledgers(context, &options.state_dir))?;
        let limit = self.state.task_time_out();
        let state_dir = &options.state_dir;
        with_site(
            context,
            &self.server,
            &self.vddk,
            state_dir,
            limit,
            |site| {
                work(&Work {
                    context,
                    wanted: &self.wanted,
                    selection: &selection,
                    site,
                    repository: &repository,
                    options: &options,
                    vms_at_once: self.vms_at_once,
                })
            },
        )
    }

    fn tags(&self) -> Result<BTreeSet<Tag>, Failure> {
        let tags: BTreeSet<Tag> = self.tag.iter().cloned().collect();
        if tags.len() > MAX_TAGS {
            let error = anyhow!("a point has at most {MAX_TAGS} tags");
            return Err(Failure::new(ExitCode::Usage, error));
        }
        Ok(tags)
    }

    fn options(&self, context: &Context) -> Result<BackupOptions, Failure> {
        Ok(BackupOptions {
            purpose: Purpose::Backup {
                audit_every: self.audit_every,
            },
            tags: self.tags()?,
            seeds: self.seed_from.iter().cloned().collect(),
            state_dir: self.state.folder(&context.config)?,
            disks: DiskChoice {
                only: self.disk.clone(),
                skip: self.exclude_disk.clone(),
            },
            transports: self.transport.modes(&context.config)?,
            transport_policy: self.transport.policy(&context.config)?,
            tracking: self.cbt.into(),
            access: AccessOptions {
                policy: self.access.into(),
                wait: Duration::from_secs(self.access_minutes * 60),
            },
            quiesce: self.quiesce.into(),
            hooks: self.hooks.hooks(),
            on_bad_map: self.on_bad_map.into(),
            reverts: self.standing_snapshot.into(),
            full: self.full,
            read_unallocated: self.read_unallocated,
            open: OpenOptions {
                time_out: Duration::from_secs(self.read_seconds),
                ..OpenOptions::default()
            },
            patience: Patience {
                tries: self.vddk_tries,
                ..Patience::default()
            },
            pace: Pace::default(),
            disks_at_once: self.disks_at_once,
            session_memory: SessionMemory::default(),
            budget: Arc::new(Budget::new(self.budget.limits())),
            block_shift: self.block_size.map(BlockSize::shift),
            heartbeat: Duration::from_secs(self.beat_seconds),
            look_interval: self.state.look_interval()?,
            checkpoint: RowInterval {
                time: Duration::from_secs(self.checkpoint_seconds),
                ..RowInterval::default()
            },
        })
    }
}
