//! What is done to one virtual machine.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Action, Limit, show::Row, upgrade};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::{note, printable},
    },
    commands::Context,
    vsphere::{Client, SwitchOptions, TrackingCause, TrackingError, TrackingReport, Vm, VmSummary},
};

impl Action {
    /// Does it to one VM. A failure is a row too: the others still get their turn.
    pub(super) async fn one(&self, client: &Client, vm: VmSummary, context: &Context) -> Row {
        let done = self.attempt(client, &vm, context).await;
        Row::new(vm, done)
    }

    async fn attempt(
        &self,
        client: &Client,
        vm: &VmSummary,
        context: &Context,
    ) -> Result<(Vm, TrackingReport), Failure> {
        let name = printable(&vm.name);
        let vm = &vm.moref;
        let on_step = |step: &str| {
            if !context.quiet && !context.output.json {
                note(&format!("{name}: {step}"));
            }
        };
        let cancelled = || context.cancel.load(Ordering::SeqCst);
        let options = |cycle: bool, limit: Limit| SwitchOptions {
            cycle,
            task_limit: Duration::from_secs(limit.task_seconds),
            cancelled: &cancelled,
            on_step: &on_step,
        };
        Ok(match self {
            Self::Status(_) => context.unless_stopped(client.tracking(vm)).await?,
            Self::Enable(enable) => {
                let options = options(enable.cycle, enable.limit);
                if enable.upgrade_hardware {
                    upgrade::offer(client, vm, &name, enable.yes, &options).await?;
                }
                client.enable_tracking(vm, &options).await?
            }
            Self::Disable(disable) => {
                let options = options(disable.cycle, disable.limit);
                client.disable_tracking(vm, &options).await?
            }
            Self::Reset(reset) => {
                let options = options(true, reset.limit);
                client.reset_tracking(vm, &options).await?
            }
        })
    }
}

impl From<TrackingError> for Failure {
    fn from(error: TrackingError) -> Self {
        match error {
            TrackingError::Client(error) => (*error).into(),
            TrackingError::Interrupted { .. } => Self::new(ExitCode::Interrupted, error),
            TrackingError::CycleLeft { .. } => Self::new(ExitCode::LeftBehind, error)
                .with_hint("remove that snapshot by hand; its description is no other's"),
            TrackingError::LeftOff { .. } => Self::new(ExitCode::LeftBehind, error).with_hint(
                "remove the snapshot of ours that may be left, then switch it on: cbt-backup cbt enable --cycle",
            ),
            TrackingError::Refused { ref causes } => {
                let hint = causes.first().map(TrackingCause::remedy);
                let failure = Self::new(ExitCode::Vsphere, error);
                match hint {
                    Some(hint) => failure.with_hint(hint),
                    None => failure,
                }
            }
        }
    }
}
