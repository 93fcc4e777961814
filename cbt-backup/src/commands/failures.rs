//! Failures of a command that works on several VMs.

use crate::{
    cli::{
        exit_code::{ExitCode, FailedVm, Failure},
        output::Output,
    },
    vsphere::VmSummary,
};

/// The first failure is that of the whole command, told at its end. Those that follow are told at once.
#[derive(Debug)]
pub(super) struct Failures {
    /// How many VMs there are.
    vms: usize,
    output: Output,
    first: Option<Failure>,
}

impl Failures {
    /// None yet, of so many VMs.
    pub(super) fn of(vms: usize, output: Output) -> Self {
        Self {
            vms,
            output,
            first: None,
        }
    }

    /// Adds one; tells whether it ends the command.
    pub(super) fn add(&mut self, failure: Failure, vm: &VmSummary) -> bool {
        let stops = failure.code == ExitCode::Interrupted;
        let failure = self.named(failure, vm);
        if self.first.is_some() {
            failure.tell(self.output);
        } else {
            self.first = Some(failure);
        }
        stops
    }

    /// Where there are several, also the words name the VM that failed.
    fn named(&self, failure: Failure, vm: &VmSummary) -> Failure {
        Failure {
            error: if self.vms < 2 {
                failure.error
            } else {
                failure.error.context(vm.path.clone())
            },
            vm: Some(FailedVm {
                name: vm.name.clone(),
                path: vm.path.clone(),
            }),
            ..failure
        }
    }

    /// The first failure, or what came of the rest.
    pub(super) fn or<T>(self, done: T) -> Result<T, Failure> {
        match self.first {
            Some(failure) => Err(failure),
            None => Ok(done),
        }
    }
}
