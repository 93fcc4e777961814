//! One backup of each VM that is selected.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use super::report::{code, tell, worst};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        selection::NamedVms,
    },
    commands::{Context, failures::Failures},
    engine::{self, BackupOptions, SessionMemory, Site},
    repo::Repository,
    vsphere::{VmSelection, VmSummary},
};

/// What rounds work with.
pub(in crate::commands) struct Work<'a> {
    pub(super) context: &'a Context,
    pub(super) wanted: &'a NamedVms,
    pub(super) selection: &'a VmSelection,
    pub(super) site: &'a Site,
    pub(super) repository: &'a Repository,
    pub(super) options: &'a BackupOptions,
    /// Most VMs that are in work at once.
    pub(super) vms_at_once: usize,
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
    /// Backs up what is selected now, several VMs at once. The failure of one keeps no other from its backup.
    ///
    /// # Errors
    /// When nothing is selected, or the server cannot tell.
    pub(in crate::commands) fn round(&self) -> Result<Round, Failure> {
        let context = self.context;
        let vms = context
            .runtime
            .block_on(self.site.client.select_vms(self.selection))?;
        let vms = self.wanted.without_templates(vms)?;
        let at_once = self.vms_at_once.clamp(1, vms.len().max(1));
        let options = BackupOptions {
            pace: self.options.pace.shared_by(at_once),
            session_memory: SessionMemory::default().shared_by(at_once),
            ..self.options.clone()
        };
        let all = context.progress();
        let failures = Mutex::new(Failures::of(vms.len(), context.output));
        let done = Mutex::new(Vec::new());
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some(vm) = next_of(&vms, &next) {
                let progress = if vms.len() > 1 {
                    all.of_vm(vm)
                } else {
                    context.progress()
                };
                // A fault of ours with one VM keeps no other from its backup.
                let made = catch_unwind(AssertUnwindSafe(|| {
                    engine::backup(
                        self.site,
                        self.repository,
                        &vm.moref,
                        &options,
                        &progress,
                        &context.cancel,
                    )
                }));
                let made =
                    made.unwrap_or_else(|payload| Err(engine::Error::panicked(payload.as_ref())));
                // What is told of one VM stands together.
                let mut done = lock(&done);
                match made {
                    Ok(report) => {
                        all.beside(|| tell(context, &report));
                        done.push((code(&report), report.removal));
                    }
                    Err(error) => {
                        all.beside(|| {
                            if lock(&failures).add(error.into(), vm) {
                                next.store(vms.len(), Ordering::Relaxed);
                            }
                        });
                    }
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..at_once {
                scope.spawn(work);
            }
            work();
        });
        let done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        let codes: Vec<ExitCode> = done.iter().map(|(code, _)| *code).collect();
        let removal = done.iter().map(|(_, removal)| *removal).max();
        let failures = failures
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Round {
            result: failures.or(worst(&codes)),
            removal: removal.unwrap_or_default(),
        })
    }
}

/// The next VM, for each thread another one.
fn next_of<'a>(vms: &'a [VmSummary], next: &AtomicUsize) -> Option<&'a VmSummary> {
    vms.get(next.fetch_add(1, Ordering::Relaxed))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
