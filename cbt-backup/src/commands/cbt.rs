//! `cbt`: how virtual machines are tracked, and switching that.

mod show;
mod switch;
mod upgrade;

use std::sync::atomic::Ordering;

use clap::{Args, Subcommand};

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::ServerOptions,
        selection::{NamedVms, SELECTORS},
    },
    vsphere::{Client, ManualWay, VmSelection},
};

const EXAMPLES: &str = "\
Examples:
  cbt-backup cbt status web01 db01
  cbt-backup cbt status folder:Prod --json
  cbt-backup cbt enable folder:Prod --exclude glob:*-test --cycle
  cbt-backup cbt reset --explain
";

/// Show and switch changed block tracking.
///
/// The words are looked up before anything is done: one that means no VM, or several, ends the
/// command. After a VM that fails the next one has its turn.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Cbt {
    /// Print how all of this is done by hand, and do nothing
    #[arg(long)]
    explain: bool,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show whether the changes of each disk are tracked, and why not
    Status(Status),
    /// Switch tracking on, and look whether that took effect
    Enable(Enable),
    /// Switch tracking off
    Disable(Disable),
    /// Begin tracking anew: off, cycle, on, cycle. All change ids of before are void
    ///
    /// After a failure in the middle it is switched on again. A reset that is killed in the middle
    /// leaves the VM untracked: look with `cbt status`.
    Reset(Reset),
}

/// Which virtual machines, at which server.
#[derive(Debug, Args)]
#[command(mut_arg("vms", |vms| vms.required(false).required_unless_present("explain")))]
struct Target {
    #[command(flatten)]
    wanted: NamedVms,
    /// Print how the same is done by hand, and do nothing
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Args)]
#[command(after_help = SELECTORS)]
struct Status {
    /// Print where the server's object browser shows each disk's changeId
    #[arg(long)]
    mob: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[command(after_help = SELECTORS)]
struct Enable {
    /// Make a stun cycle by a short snapshot, so that it takes effect now
    #[arg(long)]
    cycle: bool,
    /// Upgrade hardware older than vmx-07; asks first, and can't be undone
    #[arg(long)]
    upgrade_hardware: bool,
    /// Do not ask before hardware is upgraded
    #[arg(long, requires = "upgrade_hardware")]
    yes: bool,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[command(after_help = SELECTORS)]
struct Disable {
    /// Make a stun cycle by a short snapshot, so that it takes effect now
    #[arg(long)]
    cycle: bool,
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Args)]
#[command(after_help = SELECTORS)]
struct Reset {
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    target: Target,
}

/// How long is waited.
#[derive(Debug, Clone, Copy, Args)]
struct Limit {
    /// The longest that one task of the server may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    task_seconds: u64,
}

impl Cbt {
    /// Runs the command.
    ///
    /// # Errors
    /// 2 for a wrong command line, 12 when certificate or login is refused, 13 for a fault, or
    /// where tracking is off that should be on, 18 for a VM that is not found.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let Some(action) = &self.action else {
            if self.explain {
                let ways = ManualWay::ALL.map(ManualWay::text);
                context.output.bytes(ways.join("\n").as_bytes());
                return Ok(ExitCode::Done);
            }
            let error = anyhow::anyhow!("status, enable, disable, reset or --explain is expected");
            return Err(Failure::new(ExitCode::Usage, error));
        };
        let target = action.target();
        if self.explain || target.explain {
            let text = action.by_hand().text();
            context.output.bytes(text.as_bytes());
            return Ok(ExitCode::Done);
        }
        let selection = target.wanted.selection()?;
        context.with_client(&target.server, async |client| {
            action.all(client, &selection, context).await
        })
    }
}

impl Action {
    fn target(&self) -> &Target {
        match self {
            Self::Status(status) => &status.target,
            Self::Enable(enable) => &enable.target,
            Self::Disable(disable) => &disable.target,
            Self::Reset(reset) => &reset.target,
        }
    }

    fn by_hand(&self) -> ManualWay {
        match self {
            Self::Status(_) => ManualWay::Status,
            Self::Enable(_) => ManualWay::Enable,
            Self::Disable(_) => ManualWay::Disable,
            Self::Reset(_) => ManualWay::Reset,
        }
    }

    /// Does it to each VM that is meant and prints what was found; the code is that of the first
    /// VM that failed. A signal ends it before the next VM.
    async fn all(
        &self,
        client: &Client,
        selection: &VmSelection,
        context: &Context,
    ) -> Result<ExitCode, Failure> {
        let mut vms = context.unless_stopped(client.select_vms(selection)).await?;
        if !matches!(self, Self::Status(_)) {
            vms = self.target().wanted.without_templates(vms)?;
        }
        let mut rows = Vec::with_capacity(vms.len());
        for vm in vms {
            rows.push(self.one(client, vm, context).await);
            if context.cancel.load(Ordering::SeqCst) {
                break;
            }
        }
        let mob = matches!(self, Self::Status(Status { mob: true, .. }));
        show::print(client.server(), &rows, mob, context.output);
        if context.cancel.load(Ordering::SeqCst) {
            return Ok(ExitCode::Interrupted);
        }
        let wants_on = matches!(self, Self::Enable(_) | Self::Reset(_));
        let mut codes = rows.iter().map(|row| row.code(wants_on));
        let failed = codes.find(|code| *code != ExitCode::Done);
        Ok(failed.unwrap_or(ExitCode::Done))
    }
}
