//! `audit`: whether what vSphere says of disks is true.

mod tell;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use clap::Args;
use vddk::OpenOptions;

use self::tell::{code, tell, worst};
use super::{Context, backup::Cbt, failures::Failures, site::with_site};
use crate::{
    cli::{
        budget_options::BudgetOptions,
        exit_code::{ExitCode, Failure},
        options::{RepositoryOptions, ServerOptions, VddkOptions},
        output::{note, printable},
        percent::Percent,
        selection::{NamedVms, SELECTORS},
        state_options::StateOptions,
        transport_options::TransportOptions,
    },
    engine::{
        self, AccessOptions, BackupOptions, Budget, DiskChoice, DiskName, Hooks, OnBadMap,
        Patience, Precision, Purpose, QuiescePolicy, RevertPolicy, Scope, SessionMemory, Site,
        pipeline::Pace,
    },
    repo::{Repository, RowInterval},
    vsphere::VmSummary,
};

/// Most disks of a VM that are read at once, as in a backup.
const DISKS_AT_ONCE: usize = 4;

const EXAMPLES: &str = "\
Examples:
  cbt-backup audit app01 --repo /backup/vms --server vcenter.example --user backup@vsphere.local
  cbt-backup audit folder:Prod --confidence 99.9 --fraction 0.01
  cbt-backup audit db01 --disk 'Hard disk 2' --full --json";

/// Check whether what vSphere says of disks is true.
///
/// A backup believes three things without reading: that a block did not change since the last point, that a block
/// which is zeros there still is, and that a block which is not allocated reads as zeros. An audit makes a snapshot as a
/// backup does, reads blocks drawn at random of each kind, and compares them with the last point. It stores
/// nothing. For each disk and kind it tells how many were compared and what can be said then.
///
/// When something is wrong, the exit code is 6. The areas are named, the point is marked, so that `show` names
/// them too, and tracking begins anew: the next backup reads the disks in full and is right. Earlier points may be
/// wrong in the same places.
#[derive(Debug, Args)]
#[command(after_help = format!("{SELECTORS}\n\n{EXAMPLES}"))]
pub struct Audit {
    #[command(flatten)]
    wanted: NamedVms,
    /// Compare every block, not a sample
    #[arg(long, conflicts_with_all = ["confidence", "fraction"])]
    full: bool,
    /// How sure one wants to be that damage is found, in percent
    #[arg(long, default_value = "99", value_name = "PERCENT")]
    confidence: Percent,
    /// The smallest share of the blocks, in percent, whose damage is to be found
    #[arg(long, default_value = "0.1", value_name = "PERCENT")]
    fraction: Percent,
    /// Only these disks, by label, device key, place (scsi0:1) or file; may be given several times
    #[arg(long, value_name = "DISK")]
    disk: Vec<DiskName>,
    /// Leave these disks out; may be given several times
    #[arg(long, value_name = "DISK")]
    exclude_disk: Vec<DiskName>,
    /// Whether tracking may begin anew when something is wrong
    #[arg(long, value_enum, default_value_t = Cbt::Auto, value_name = "POLICY")]
    cbt: Cbt,
    #[command(flatten)]
    transport: TransportOptions,
    #[command(flatten)]
    budget: BudgetOptions,
    #[command(flatten)]
    state: StateOptions,
    #[command(flatten)]
    repository: RepositoryOptions,
    #[command(flatten)]
    server: ServerOptions,
    /// Where VDDK is.
    #[command(flatten)]
    pub vddk: VddkOptions,
}

impl Audit {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of the repository, of VDDK, of the login, and of VMs that could not be read.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        self.server.needs_password()?;
        let options = self.options(context)?;
        let selection = self.wanted.selection()?;
        let repository = context
            .runtime
            .block_on(self.repository.open(&context.config))?;
        let limit = self.state.task_time_out();
        let state_dir = &options.state_dir;
        with_site(
            context,
            &self.server,
            &self.vddk,
            state_dir,
            limit,
            |site| {
                let selecting = site.client.select_vms(&selection);
                let vms = context
                    .runtime
                    .block_on(context.unless_stopped(selecting))?;
                let vms = self.wanted.without_templates(vms)?;
                self.audit_all(context, site, &repository, &vms, &options)
            },
        )
    }

    /// Audits each VM. After a failure the next one has its turn; the code is that of the first failure,
    /// unless something was found wrong.
    fn audit_all(
        &self,
        context: &Context,
        site: &Site,
        repository: &Repository,
        vms: &[VmSummary],
        options: &BackupOptions,
    ) -> Result<ExitCode, Failure> {
        let mut failures = Failures::of(vms.len(), context.output);
        let mut codes = Vec::new();
        for vm in vms {
            let progress = context.progress();
            if vms.len() > 1 && !context.output.json {
                note(&format!("{}:", printable(&vm.path)));
            }
            let cancel = &context.cancel;
            match engine::audit(site, repository, &vm.moref, options, &progress, cancel) {
                Ok(report) => {
                    tell(context.output, &report, self.fraction.share());
                    codes.push(code(&report));
                }
                Err(error) => {
                    if failures.add(error.into(), vm) {
                        break;
                    }
                }
            }
        }
        let done = worst(&codes);
        failures.or(done).map_err(|failure| Failure {
            // What is wrong must not be hidden by what could not be looked at.
            code: match done {
                ExitCode::Mismatch => done,
                _ => failure.code,
            },
            ..failure
        })
    }

    fn options(&self, context: &Context) -> Result<BackupOptions, Failure> {
        let scope = if self.full {
            Scope::Full
        } else {
            Scope::Sample(Precision {
                certainty: self.confidence.share(),
                fraction: self.fraction.share(),
            })
        };
        Ok(BackupOptions {
            purpose: Purpose::Audit(scope),
            // It makes no point.
            tags: BTreeSet::new(),
            seeds: BTreeSet::new(),
            state_dir: self.state.folder(&context.config)?,
            disks: DiskChoice {
                only: self.disk.clone(),
                skip: self.exclude_disk.clone(),
            },
            transports: self.transport.modes(&context.config)?,
            transport_policy: self.transport.policy(&context.config)?,
            tracking: self.cbt.into(),
            access: AccessOptions::default(),
            // Nobody restores from it.
            quiesce: QuiescePolicy::No,
            hooks: Hooks::none(),
            on_bad_map: OnBadMap::Full,
            reverts: RevertPolicy::default(),
            full: false,
            read_unallocated: false,
            open: OpenOptions::default(),
            patience: Patience::default(),
            pace: Pace::default(),
            disks_at_once: DISKS_AT_ONCE,
            session_memory: SessionMemory::default(),
            budget: Arc::new(Budget::new(self.budget.limits())),
            heartbeat: Duration::from_mins(1),
            look_interval: self.state.look_interval()?,
            block_shift: None,
            checkpoint: RowInterval::default(),
        })
    }
}
