//! Failures of a command that works on several VMs.

use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::{note, printable},
    },
    vsphere::VmSummary,
};

/// The first failure is that of the whole command, told at its end. Those that follow are told at once.
#[derive(Debug)]
pub(super) struct Failures {
    /// How many VMs there are.
    vms: usize,
    first: Option<Failure>,
}

impl Failures {
    /// None yet, of so many VMs.
    pub(super) fn of(vms: usize) -> Self {
        Self { vms, first: None }
    }

    /// Adds one; tells whether it ends the command.
    pub(super) fn add(&mut self, failure: Failure, vm: &VmSummary) -> bool {
        let stops = failure.code == ExitCode::Interrupted;
        if self.first.is_some() {
            let text = failure.to_string();
            note(&format!(
                "error: {}: {}",
                printable(&vm.path),
                printable(&text)
            ));
        } else {
            self.first = Some(self.named(failure, vm));
        }
        stops
    }

    /// Where there are several, the VM that failed is named.
    fn named(&self, failure: Failure, vm: &VmSummary) -> Failure {
        if self.vms < 2 {
            return failure;
        }
        Failure {
            error: failure.error.context(vm.path.clone()),
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
