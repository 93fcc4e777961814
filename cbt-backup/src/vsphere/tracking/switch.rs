//! Switching tracking on, off, and anew, each in the documented order.

use std::fmt;
use std::time::Duration;

use super::{TrackingCause, TrackingError, TrackingFacts, TrackingReport, TrackingState};
use crate::vsphere::client::Client;
use crate::vsphere::error::Error;
use crate::vsphere::moref::Moref;
use crate::vsphere::task::TaskState;
use crate::vsphere::vm::{PowerState, Vm};

/// How tracking is switched.
pub struct SwitchOptions<'a> {
    /// Make a stun cycle by a short snapshot where one is needed.
    pub cycle: bool,
    /// The longest that one task may take.
    pub task_limit: Duration,
    /// Asked between the steps; a step itself is never cut short.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Told of each step.
    pub on_step: &'a (dyn Fn(&str) + Sync),
}

impl fmt::Debug for SwitchOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwitchOptions")
            .field("cycle", &self.cycle)
            .field("task_limit", &self.task_limit)
            .finish_non_exhaustive()
    }
}

impl SwitchOptions<'_> {
    fn go_on(&self, wanted: &'static str) -> Result<(), TrackingError> {
        if (self.cancelled)() {
            return Err(TrackingError::Interrupted { wanted });
        }
        Ok(())
    }
}

impl Client {
    /// Looks at a VM and judges how it is tracked. Where it has a snapshot, the current one's
    /// change ids are the proof.
    ///
    /// # Errors
    ///
    /// Any failure of the calls.
    pub async fn tracking(&self, vm: &Moref) -> Result<(Vm, TrackingReport), Error> {
        let vm = self.vm(vm).await?;
        let mut facts = self.tracking_facts(&vm).await?;
        if let Some(snapshot) = vm.snapshots.current.clone() {
            facts.change_ids = self.change_ids(&snapshot).await?;
            facts.snapshot = Some(snapshot);
        }
        let report = TrackingReport::judge(&vm, facts);
        Ok((vm, report))
    }

    /// Switches tracking on, in the order of "vSphere API reference, 5.2": look, reconfigure,
    /// cycle if wanted, look again. A VM that is on is left alone, unless a cycle is wanted and no
    /// snapshot's change ids prove it yet.
    ///
    /// # Errors
    ///
    /// [`TrackingError::Refused`] where it can't or must not be tried, as with snapshots;
    /// [`TrackingError::CycleLeft`]; any failure of the calls.
    pub async fn enable_tracking(
        &self,
        vm: &Moref,
        options: &SwitchOptions<'_>,
    ) -> Result<(Vm, TrackingReport), TrackingError> {
        let (before, report) = if options.cycle {
            self.tracking_without_left_cycles(vm, options).await?
        } else {
            self.tracking(vm).await?
        };
        let is_proved = report.disks.iter().any(|disk| disk.change_id.is_some());
        if report.state == TrackingState::On && (is_proved || !options.cycle) {
            return Ok((before, report));
        }
        let mut obstacles = report.obstacles();
        if options.cycle {
            obstacles = with_snapshots(obstacles, &before);
        }
        refuse(obstacles)?;
        let mut facts = TrackingFacts::default();
        if before.change_tracking_enabled != Some(true) {
            self.switch_tracking(&before, true, options).await?;
            facts.just_switched = Some(true);
        }
        if options.cycle {
            options.go_on("cycled")?;
            (options.on_step)("make a stun cycle");
            facts.change_ids = self.stun_cycle(vm, options.task_limit).await?;
            facts.just_cycled = true;
        }
        self.look_again(vm, facts).await
    }

    /// Switches tracking off. It takes effect with the next stun cycle.
    ///
    /// # Errors
    ///
    /// [`TrackingError::CycleLeft`]; any failure of the calls.
    pub async fn disable_tracking(
        &self,
        vm: &Moref,
        options: &SwitchOptions<'_>,
    ) -> Result<(Vm, TrackingReport), TrackingError> {
        let before = self.vm(vm).await?;
        if before.change_tracking_enabled != Some(false) {
            self.switch_tracking(&before, false, options).await?;
        }
        if options.cycle {
            options.go_on("cycled")?;
            (options.on_step)("make a stun cycle");
            self.stun_cycle(vm, options.task_limit).await?;
        }
        let facts = TrackingFacts {
            just_switched: Some(false),
            just_cycled: options.cycle,
            ..TrackingFacts::default()
        };
        self.look_again(vm, facts).await
    }

    /// Begins tracking anew, by "vSphere API reference, 5.8": off, cycle, on, cycle; a VM that is
    /// off needs no cycle in between. Done once: if it does not help, it does not help twice. All
    /// change ids of before are void afterwards, also those of other products.
    ///
    /// # Errors
    ///
    /// [`TrackingError::Refused`] while snapshots exist, or where the VM can't be tracked;
    /// [`TrackingError::CycleLeft`]; any failure of the calls. After a failure in the middle it is
    /// switched on again; [`TrackingError::LeftOff`] if that fails too.
    pub async fn reset_tracking(
        &self,
        vm: &Moref,
        options: &SwitchOptions<'_>,
    ) -> Result<(Vm, TrackingReport), TrackingError> {
        let (before, report) = self.tracking_without_left_cycles(vm, options).await?;
        refuse(with_snapshots(report.obstacles(), &before))?;
        options.go_on("switched off")?;
        let is_off = before.power_state == PowerState::Off;
        // From here on it goes through: stopping would leave the VM untracked.
        if let Err(error) = self.reconfigure_tracking(&before, false, options).await {
            // What was refused changed nothing; after anything else, nobody knows.
            let is_refusal =
                matches!(&error, TrackingError::Client(error) if error.fault().is_some());
            if is_refusal {
                return Err(error);
            }
            return Err(self.back_on(&before, error, options).await);
        }
        if !is_off {
            (options.on_step)("make a stun cycle");
            if let Err(error) = self.stun_cycle(vm, options.task_limit).await {
                return Err(self.back_on(&before, error, options).await);
            }
        }
        if let Err(error) = self.reconfigure_tracking(&before, true, options).await {
            return Err(TrackingError::LeftOff {
                source: Box::new(error),
            });
        }
        let mut facts = TrackingFacts {
            just_switched: Some(true),
            ..TrackingFacts::default()
        };
        if !is_off {
            (options.on_step)("make a stun cycle");
            facts.change_ids = self.stun_cycle(vm, options.task_limit).await?;
            facts.just_cycled = true;
        }
        self.look_again(vm, facts).await
    }

    /// Undoes the switch-off of a reset that failed with `error`, and gives what is to be told.
    async fn back_on(
        &self,
        vm: &Vm,
        error: TrackingError,
        options: &SwitchOptions<'_>,
    ) -> TrackingError {
        // Beside a snapshot it must not be switched on.
        if matches!(error, TrackingError::CycleLeft { .. }) {
            return TrackingError::LeftOff {
                source: Box::new(error),
            };
        }
        match self.reconfigure_tracking(vm, true, options).await {
            Ok(()) => error,
            Err(source) => {
                tracing::error!(%error, vm = %vm.id, "a reset of tracking failed");
                TrackingError::LeftOff {
                    source: Box::new(source),
                }
            }
        }
    }

    /// As [`tracking`](Self::tracking), once the snapshots of cycles that died are gone: they would
    /// stand in the way.
    async fn tracking_without_left_cycles(
        &self,
        vm: &Moref,
        options: &SwitchOptions<'_>,
    ) -> Result<(Vm, TrackingReport), TrackingError> {
        let (before, report) = self.tracking(vm).await?;
        let removed = self.remove_left_cycles(&before, options.task_limit).await?;
        if removed == 0 {
            return Ok((before, report));
        }
        (options.on_step)("remove what a stun cycle has left");
        Ok(self.tracking(vm).await?)
    }

    async fn switch_tracking(
        &self,
        vm: &Vm,
        on: bool,
        options: &SwitchOptions<'_>,
    ) -> Result<(), TrackingError> {
        options.go_on(if on { "switched on" } else { "switched off" })?;
        self.reconfigure_tracking(vm, on, options).await
    }

    /// Setting the same switch twice does no harm: after a lost answer it is set again.
    async fn reconfigure_tracking(
        &self,
        vm: &Vm,
        on: bool,
        options: &SwitchOptions<'_>,
    ) -> Result<(), TrackingError> {
        (options.on_step)(if on {
            "switch change tracking on"
        } else {
            "switch change tracking off"
        });
        let mut wait = self.inner.retry.first_wait;
        let mut left = self.inner.retry.attempts.max(1);
        loop {
            let switched = match self.set_change_tracking(&vm.moref(), on).await {
                Ok(task) => self.finish(&task, options.task_limit).await.map(|_| ()),
                Err(error) => Err(error),
            };
            left -= 1;
            match switched {
                Err(error) if left > 0 && error.is_retryable() => {
                    tracing::warn!(%error, vm = %vm.id, "switching tracking failed, trying again");
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
                switched => return Ok(switched?),
            }
        }
    }

    async fn look_again(
        &self,
        vm: &Moref,
        mut facts: TrackingFacts,
    ) -> Result<(Vm, TrackingReport), TrackingError> {
        let vm = self.vm(vm).await?;
        let seen = self.tracking_facts(&vm).await?;
        facts.reconfiguring = seen.reconfiguring;
        facts.host_version = seen.host_version;
        let report = TrackingReport::judge(&vm, facts);
        Ok((vm, report))
    }

    /// Whether the VM is being reconfigured, and how old its host is.
    async fn tracking_facts(&self, vm: &Vm) -> Result<TrackingFacts, Error> {
        let mut facts = TrackingFacts::default();
        for task in &vm.recent_tasks {
            match self.task(task).await {
                Ok(info) => {
                    let runs = matches!(info.state, TaskState::Queued | TaskState::Running);
                    facts.reconfiguring |= runs && info.name == "ReconfigVM_Task";
                }
                // One that is gone, or is not for our eyes, does not reconfigure the VM.
                Err(error) if error.fault().is_some() => {}
                Err(error) => return Err(error),
            }
        }
        facts.host_version = self.host_release(vm).await?;
        Ok(facts)
    }

    /// The release of the VM's host, such as `8.0.2`, where the account may look.
    async fn host_release(&self, vm: &Vm) -> Result<Option<String>, Error> {
        let host = self.host_of(vm).await?;
        Ok(host.version.map(|version| version.to_string()))
    }
}

/// The causes, with the VM's snapshots as one of them.
fn with_snapshots(mut causes: Vec<TrackingCause>, vm: &Vm) -> Vec<TrackingCause> {
    causes.retain(|cause| !matches!(cause, TrackingCause::SnapshotsExist { .. }));
    let count = vm.snapshots.iter().count();
    if count > 0 {
        causes.push(TrackingCause::SnapshotsExist { count });
    }
    causes
}

fn refuse(causes: Vec<TrackingCause>) -> Result<(), TrackingError> {
    if causes.is_empty() {
        return Ok(());
    }
    Err(TrackingError::Refused { causes })
}
