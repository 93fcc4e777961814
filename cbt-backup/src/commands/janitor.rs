//! `janitor`: what dead runs left in vSphere is found and undone.

mod tell;

use std::sync::atomic::Ordering;

use clap::Args;

use self::tell::{Tally, tell, tell_stray};
use super::{Context, failures::Failures, site::with_site};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::{RepositoryOptions, ServerOptions, VddkOptions},
        selection::{NamedVms, SELECTORS},
        state_options::StateOptions,
    },
    engine::{self, Event, JanitorMode, JanitorOptions, Monitor as _, Site},
    repo::Repository,
    vsphere::VmSummary,
};

const EXAMPLES: &str = "\
Examples:
  cbt-backup janitor app01 --repo /backup/vms --server vcenter.example --user backup@vsphere.local
  cbt-backup janitor --all --report
  cbt-backup janitor folder:Prod --json
  cbt-backup janitor app01 --adopt";

/// Find and undo what dead runs left in vSphere.
///
/// Snapshots are removed, VMs may be moved again, and disks are consolidated where our snapshot was the cause.
/// Every backup does the same for its VM before it begins. Only what is proven to be a dead run's is
/// touched: by the ledger in the state folder, or by a snapshot's description that names this repository
/// while no backup of the VM shows life there. So it works from any machine that has the repository. Where that
/// cannot be opened, what the ledgers name is undone all the same, and the exit code says why it could not.
///
/// With --all it also tells what ledgers name of VMs that were not visited, such as one that is gone.
///
/// Exit code 0 when nothing is left, 5 when something is: with --report also what would be undone.
#[derive(Debug, Args)]
#[command(after_help = format!("{SELECTORS}\n\n{EXAMPLES}"))]
#[command(mut_arg("vms", |vms| vms.required(false).required_unless_present("all")))]
pub struct Janitor {
    #[command(flatten)]
    wanted: NamedVms,
    /// All VMs that this account can see
    #[arg(long, conflicts_with = "vms")]
    all: bool,
    /// Look only, and change nothing
    #[arg(long)]
    report: bool,
    /// Also remove snapshots that have our name and no proof; never one of another repository or of a run that lives. Only when no backup of the VM runs anywhere
    #[arg(long, conflicts_with = "report")]
    adopt: bool,
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

impl Janitor {
    /// Runs the command.
    ///
    /// # Errors
    /// Those of the repository, of VDDK, of the login, and of VMs that could not be looked at.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        self.server.needs_password()?;
        let options = JanitorOptions {
            state_dir: self.state.folder(&context.config)?,
            look_interval: self.state.look_interval()?,
            mode: match () {
                () if self.report => JanitorMode::Report,
                () if self.adopt => JanitorMode::Adopt,
                () => JanitorMode::Clean,
            },
        };
        let selection = self.wanted.selection()?;
        let opened = context
            .runtime
            .block_on(self.repository.open(&context.config));
        let (repository, failure) = match opened {
            Ok(repository) => (Some(repository), None),
            Err(failure) if failure.code == ExitCode::Usage => return Err(failure),
            // A run that died with it still holds its VM in place, and its snapshot grows.
            Err(failure) => {
                let message = format!(
                    "the repository cannot be opened, so only what the ledgers of this state folder name is undone: {failure}"
                );
                let event = Event::warning("repository-not-opened", message);
                context.progress().event(&event);
                (None, Some(failure))
            }
        };
        let limit = self.state.task_time_out();
        let state_dir = &options.state_dir;
        let visited = with_site(
            context,
            &self.server,
            &self.vddk,
            state_dir,
            limit,
            |site| {
                let selecting = site.client.select_vms(&selection);
                let mut vms = context
                    .runtime
                    .block_on(context.unless_stopped(selecting))?;
                if !self.all {
                    vms = self.wanted.without_templates(vms)?;
                }
                // A template has no snapshot, and a VM that is not connected shows none.
                vms.retain(|vm| {
                    !self.all || (!vm.is_template && vm.connection_state == "connected")
                });
                visit_all(context, site, repository.as_ref(), &vms, &options, self.all)
            },
        );
        match (visited, failure) {
            (visited, None) => visited,
            (Ok(_), Some(failure)) => Err(failure),
            (Err(more), Some(failure)) => {
                let message = format!("not all VMs could be looked after: {more}");
                let event = Event::warning("not-tidied", message);
                context.progress().event(&event);
                Err(failure)
            }
        }
    }
}

/// Visits each VM. After a failure the next one has its turn; the code is that of the first failure.
fn visit_all(
    context: &Context,
    site: &Site,
    repository: Option<&Repository>,
    vms: &[VmSummary],
    options: &JanitorOptions,
    all: bool,
) -> Result<ExitCode, Failure> {
    let mut visited = Vec::new();
    let mut tally = Tally::default();
    let mut failures = Failures::of(vms.len(), context.output);
    for vm in vms {
        let progress = context.progress();
        let cancel = &context.cancel;
        match engine::tidy(site, repository, &vm.moref, options, &progress, cancel) {
            Ok(report) => {
                tell(context.output, vm, &report);
                tally.add(&report);
                visited.push(report.subject);
            }
            Err(error) => {
                if failures.add(error.into(), vm) {
                    break;
                }
            }
        }
    }
    if all && !context.cancel.load(Ordering::Relaxed) {
        for stray in engine::strays(site, options, &visited)? {
            tell_stray(context.output, &stray);
            tally.left += stray.findings.len();
        }
    }
    tally.tell(context.output);
    failures.or(if tally.left > 0 {
        ExitCode::LeftBehind
    } else {
        ExitCode::Done
    })
}
