//! One backup of each VM that is selected.

use std::time::Duration;

use super::report::{code, tell, worst};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::{note, printable},
        selection::NamedVms,
    },
    commands::{Context, failures::Failures},
    engine::{self, BackupOptions, Site},
    repo::Repository,
    vsphere::VmSelection,
};

/// What rounds work with.
pub(in crate::commands) struct Work<'a> {
    pub(super) context: &'a Context,
    pub(super) wanted: &'a NamedVms,
    pub(super) selection: &'a VmSelection,
    pub(super) site: &'a Site,
    pub(super) repository: &'a Repository,
    pub(super) options: &'a BackupOptions,
}

/// What came of a round.
#[derive(Debug)]
pub(in crate::commands) struct Round {
    result: Result<ExitCode, Failure>,
    /// What the slowest removal of a snapshot took.
    pub(in crate::commands) removal: Duration,
}

impl Round {
    /// The worst code of its points, or the first failure.
    pub(in crate::commands) fn result(self) -> Result<ExitCode, Failure> {
        self.result
    }
}

impl Work<'_> {
    /// Backs up what is selected now. After a failure the next VM has its turn.
    ///
    /// # Errors
    /// When nothing is selected, or the server cannot tell.
    pub(in crate::commands) fn round(&self) -> Result<Round, Failure> {
        let context = self.context;
        let vms = context
            .runtime
            .block_on(self.site.client.select_vms(self.selection))?;
        let vms = self.wanted.without_templates(vms)?;
        let mut codes = Vec::new();
        let mut removal = Duration::ZERO;
        let mut failures = Failures::of(vms.len());
        for vm in &vms {
            let progress = context.progress();
            if vms.len() > 1 && !context.output.json {
                note(&format!("{}:", printable(&vm.path)));
            }
            let made = engine::backup(
                self.site,
                self.repository,
                &vm.moref,
                self.options,
                &progress,
                &context.cancel,
            );
            match made {
                Ok(report) => {
                    tell(context, &report);
                    codes.push(code(&report));
                    removal = removal.max(report.removal);
                }
                Err(error) => {
                    if failures.add(error.into(), vm) {
                        break;
                    }
                }
            }
        }
        Ok(Round {
            result: failures.or(worst(&codes)),
            removal,
        })
    }
}
