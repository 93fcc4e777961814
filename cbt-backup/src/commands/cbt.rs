//! `cbt`: how virtual machines are tracked, and switching that.

mod show;
mod switch;
mod upgrade;

use clap::{Args, Subcommand};

use super::Context;
use crate::cli::{
    exit_code::{ExitCode, Failure},
    options::ServerOptions,
};
use crate::vsphere::MANUAL_WAY;
use show::Row;

/// Show and switch changed block tracking.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cbt-backup cbt status web01 db01\n  cbt-backup cbt enable web01 --cycle\n  cbt-backup cbt --explain"
)]
pub struct Cbt {
    /// Print how the same is done by hand, and do nothing
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
    Reset(Reset),
}

/// Which virtual machines, at which server.
#[derive(Debug, Args)]
struct Target {
    /// Virtual machines, each by name, path, id or instance UUID
    #[arg(value_name = "VM", required = true)]
    vms: Vec<String>,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Args)]
struct Status {
    #[command(flatten)]
    target: Target,
    /// Print where the server's object browser shows each disk's changeId
    #[arg(long)]
    mob: bool,
}

#[derive(Debug, Args)]
struct Enable {
    #[command(flatten)]
    target: Target,
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
}

#[derive(Debug, Args)]
struct Disable {
    #[command(flatten)]
    target: Target,
    /// Make a stun cycle by a short snapshot, so that it takes effect now
    #[arg(long)]
    cycle: bool,
    #[command(flatten)]
    limit: Limit,
}

#[derive(Debug, Args)]
struct Reset {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    limit: Limit,
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
        if self.explain {
            context.output.bytes(MANUAL_WAY.as_bytes());
            return Ok(ExitCode::Done);
        }
        let Some(action) = &self.action else {
            let error = anyhow::anyhow!("status, enable, disable, reset or --explain is expected");
            return Err(Failure::new(ExitCode::Usage, error));
        };
        context.runtime.block_on(async {
            let target = action.target();
            let client = target.server.connect(&context.config).await?.client;
            let mut rows = Vec::with_capacity(target.vms.len());
            for vm in &target.vms {
                rows.push(action.one(&client, vm, context).await);
            }
            let _ = client.logout().await;
            Ok(action.show(&client, &rows, context))
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

    /// Prints what was found, and gives the code of the first VM that failed.
    fn show(&self, client: &crate::vsphere::Client, rows: &[Row], context: &Context) -> ExitCode {
        let mob = matches!(self, Self::Status(Status { mob: true, .. }));
        let wants_on = matches!(self, Self::Enable(_) | Self::Reset(_));
        show::print(client.server(), rows, mob, context.output);
        let mut codes = rows.iter().map(|row| row.code(wants_on));
        codes
            .find(|code| *code != ExitCode::Done)
            .unwrap_or(ExitCode::Done)
    }
}
