//! Whether a VM was taken back to a snapshot, as far as the server's history of tasks can prove.
//!
//! A revert throws away what was written after the snapshot, and a change id recorded after it
//! belongs to a branch that is dead. No property of the VM tells that it happened; the history of
//! tasks does ("vSphere API reference", 5.5).

use jiff::{SignedDuration, Timestamp};

use super::client::Client;
use super::error::Error;
use super::exchange::{Attempts, Effect};
use super::moref::Moref;
use super::task::{HistoryFilter, PastTask, TaskHistory, TaskState};

/// How much earlier than the time asked about a task may have been asked for, and still be at
/// work.
const LONGEST_TASK: SignedDuration = SignedDuration::from_hours(24);
/// Pages of one history; more are not read.
const MAX_PAGES: usize = 100;

/// What the history of tasks says about reverts of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevertHistory {
    /// The history reaches back far enough, and shows none.
    NoRevert,
    /// It was taken back.
    Reverted {
        /// When the last one ended, by the server's clock.
        when: Timestamp,
    },
    /// Nothing is proved: to be taken as if it had been reverted.
    Unknown {
        /// Why.
        why: RevertDoubt,
    },
}

/// Why the history of tasks proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevertDoubt {
    /// The server has none, as a very plain one.
    #[error("the server keeps no history of tasks")]
    NoHistory,
    /// It can't be read: no right to, not offered, or an answer that makes no sense.
    #[error("the history of tasks can't be read: {why}")]
    Unreadable {
        /// What was said.
        why: String,
    },
    /// It begins later than the time asked about: older tasks have been cleared away.
    #[error("the history of tasks does not reach back to {since}")]
    TooShort {
        /// That time.
        since: Timestamp,
    },
    /// There is more of it than is read.
    #[error("the history has more tasks of the VM than are read")]
    TooLong,
    /// It shows no task of the VM since then, not even the snapshots of the backup.
    #[error("the history shows no task of the VM since {since}")]
    Silent {
        /// That time.
        since: Timestamp,
    },
    /// A revert is waiting or at work.
    #[error("a revert of {queued} has not ended")]
    Unfinished {
        /// When it was asked for.
        queued: Timestamp,
    },
    /// A revert failed, perhaps in the middle.
    #[error("a revert of {queued} failed, and how far it came is not known")]
    Failed {
        /// When it was asked for.
        queued: Timestamp,
    },
    /// A task that may have been anything.
    #[error("a task of {queued} does not say what it did")]
    Nameless {
        /// When it was asked for.
        queued: Timestamp,
    },
    /// The time asked about is in the future.
    #[error("{since} is yet to come by the server's clock")]
    FutureTime {
        /// That time.
        since: Timestamp,
    },
}

impl From<RevertDoubt> for RevertHistory {
    fn from(why: RevertDoubt) -> Self {
        Self::Unknown { why }
    }
}

impl Client {
    /// Whether `vm` was taken back to a snapshot at or after `since`: what
    /// [`current_time`](Self::current_time) told before the snapshot was made whose change ids are
    /// to be believed. Another clock, such as that of a host, won't do. To be asked after the
    /// snapshot those ids are compared with has been made, as a revert in between would go unseen.
    ///
    /// The proof holds for this object at this server. A VM that was registered anew is another
    /// object; what was done at the host itself, past the vCenter, and what a vCenter forgot
    /// because it was itself restored from a backup, is not in its history.
    ///
    /// # Errors
    ///
    /// A failure of the transport or the session. A refusal, or an answer that makes no sense, is
    /// [`RevertHistory::Unknown`].
    #[doc(alias = "CreateCollectorForTasks")]
    pub async fn reverts_since(
        &self,
        vm: &Moref,
        since: Timestamp,
    ) -> Result<RevertHistory, Error> {
        let Some(manager) = &self.inner.content.task_manager else {
            return Ok(RevertDoubt::NoHistory.into());
        };
        if self.current_time().await? < since {
            return Ok(RevertDoubt::FutureTime { since }.into());
        }
        let mut attempts = Attempts::new(self, Effect::Read);
        loop {
            attempts.begin()?;
            // A collector lives in one session: repetition is from the start.
            let error = match self.look_for_reverts(manager, vm, since).await {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            if let Err(error) = attempts.after(error).await {
                return unreadable(error);
            }
        }
    }

    async fn look_for_reverts(
        &self,
        manager: &Moref,
        vm: &Moref,
        since: Timestamp,
    ) -> Result<RevertHistory, Error> {
        let mut findings = Findings::new(vm, since);
        let of_vm = HistoryFilter::Of {
            entity: vm.clone(),
            from: since.checked_sub(LONGEST_TASK).unwrap_or(Timestamp::MIN),
        };
        let history = TaskHistory::open(self, manager, &of_vm).await?;
        for page in 0.. {
            let tasks = history.next().await?;
            if tasks.is_empty() {
                break;
            }
            if page == MAX_PAGES {
                findings.doubt.get_or_insert(RevertDoubt::TooLong);
                break;
            }
            for task in &tasks {
                findings.take(task);
            }
        }
        history.close().await;
        if findings.needs_older() {
            let ended = HistoryFilter::EndedBy(since);
            let older = TaskHistory::open(self, manager, &ended).await?;
            let tasks = older.next().await?;
            older.close().await;
            findings.reaches_back = tasks.iter().any(|task| findings.is_older(task));
        }
        Ok(findings.verdict())
    }
}

/// A refusal or a senseless answer proves nothing; what may pass is an error.
fn unreadable(error: Error) -> Result<RevertHistory, Error> {
    let is_answer = match &error {
        Error::Fault { .. } => !error.is_not_authenticated(),
        Error::Xml { .. }
        | Error::NotXml { .. }
        | Error::BadAnswer { .. }
        | Error::TooLarge { .. } => true,
        _ => false,
    };
    if !is_answer {
        return Err(error);
    }
    let mut why = error.to_string();
    if let Some(source) = std::error::Error::source(&error) {
        why = format!("{why}: {source}");
    }
    Ok(RevertDoubt::Unreadable { why }.into())
}

/// What was seen in the history so far.
#[derive(Debug)]
struct Findings<'f> {
    vm: &'f Moref,
    /// What ended before this is of no concern.
    since: Timestamp,
    last_revert: Option<Timestamp>,
    doubt: Option<RevertDoubt>,
    /// Tasks of the VM from then on.
    seen: usize,
    /// A task that was over before is still known. Tasks are cleared away by age, so all later
    /// ones are known too.
    reaches_back: bool,
}

impl<'f> Findings<'f> {
    fn new(vm: &'f Moref, since: Timestamp) -> Self {
        Self {
            vm,
            since,
            last_revert: None,
            doubt: None,
            seen: 0,
            reaches_back: false,
        }
    }

    /// True for a task that was over before the time asked about.
    fn is_older(&self, task: &PastTask) -> bool {
        let is_over = matches!(task.state, TaskState::Success | TaskState::Error);
        is_over && task.completed.is_some_and(|ended| ended <= self.since)
    }

    /// Takes a task into account, whatever was asked for: the filter is the server's business.
    fn take(&mut self, task: &PastTask) {
        if self.is_older(task) {
            self.reaches_back = true;
            return;
        }
        if task.entity.as_ref().is_some_and(|entity| entity != self.vm) {
            return;
        }
        self.seen += 1;
        let queued = task.queued;
        if task.name.is_empty() && task.description_id.is_empty() {
            self.doubt.get_or_insert(RevertDoubt::Nameless { queued });
        }
        if !is_revert(task) {
            return;
        }
        match task.state {
            TaskState::Success => {
                let ended = task.completed.unwrap_or(queued);
                self.last_revert = self.last_revert.max(Some(ended));
            }
            TaskState::Error => {
                self.doubt.get_or_insert(RevertDoubt::Failed { queued });
            }
            _ => {
                self.doubt.get_or_insert(RevertDoubt::Unfinished { queued });
            }
        }
    }

    /// True if nothing was found, and only how far the history reaches is not known.
    fn needs_older(&self) -> bool {
        !self.reaches_back && self.last_revert.is_none() && self.doubt.is_none() && self.seen > 0
    }

    fn verdict(self) -> RevertHistory {
        let since = self.since;
        match (self.last_revert, self.doubt) {
            (Some(when), _) => RevertHistory::Reverted { when },
            (None, Some(why)) => why.into(),
            (None, None) if self.seen == 0 => RevertDoubt::Silent { since }.into(),
            (None, None) if !self.reaches_back => RevertDoubt::TooShort { since }.into(),
            (None, None) => RevertHistory::NoRevert,
        }
    }
}

/// `RevertToSnapshot_Task` and `RevertToCurrentSnapshot_Task`, whose descriptions are
/// `vm.Snapshot.revert` and `VirtualMachine.revertToCurrentSnapshot`; and whatever else has the
/// word in its name.
fn is_revert(task: &PastTask) -> bool {
    [&task.name, &task.description_id]
        .iter()
        .any(|text| text.to_ascii_lowercase().contains("revert"))
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::{Findings, RevertDoubt, RevertHistory};
    use crate::vsphere::moref::Moref;
    use crate::vsphere::task::{PastTask, TaskState};

    fn since() -> Timestamp {
        "2026-01-15T09:00:00Z".parse().unwrap()
    }

    /// A task of the VM that ended so many seconds after the time asked about.
    fn task(name: &str, state: TaskState, ended_s: i64) -> PastTask {
        let completed = since() + SignedDuration::from_secs(ended_s);
        PastTask {
            name: name.to_owned(),
            description_id: String::new(),
            entity: Some(Moref::vm("vm-1")),
            queued: completed - SignedDuration::from_secs(1),
            completed: Some(completed),
            state,
        }
    }

    fn old() -> PastTask {
        task("PowerOnVM_Task", TaskState::Success, -3600)
    }

    fn snapshot() -> PastTask {
        task("CreateSnapshot_Task", TaskState::Success, 10)
    }

    fn verdict(tasks: &[PastTask]) -> RevertHistory {
        let vm = Moref::vm("vm-1");
        let mut findings = Findings::new(&vm, since());
        for task in tasks {
            findings.take(task);
        }
        findings.verdict()
    }

    #[test]
    fn only_a_history_that_reaches_back_proves_that_there_was_none() {
        assert_eq!(verdict(&[old(), snapshot()]), RevertHistory::NoRevert);
        let short = RevertDoubt::TooShort { since: since() }.into();
        assert_eq!(verdict(&[snapshot()]), short);
        let silent: RevertHistory = RevertDoubt::Silent { since: since() }.into();
        assert_eq!(verdict(&[old()]), silent);
        assert_eq!(verdict(&[]), silent);
        // Not over: no proof.
        let running = PastTask {
            completed: None,
            state: TaskState::Running,
            ..old()
        };
        assert_eq!(verdict(&[running, snapshot()]), short);
    }

    #[test]
    fn reverts_are_known_by_either_name_and_the_last_one_is_told() {
        let revert = |ended_s| task("RevertToSnapshot_Task", TaskState::Success, ended_s);
        let described = |id: &str| PastTask {
            description_id: id.to_owned(),
            name: String::new(),
            ..revert(100)
        };
        let at = |ended_s| RevertHistory::Reverted {
            when: since() + SignedDuration::from_secs(ended_s),
        };
        assert_eq!(verdict(&[revert(200), revert(100)]), at(200));
        for id in [
            "vm.Snapshot.revert",
            "VirtualMachine.revertToCurrentSnapshot",
            "VirtualMachine.revertToSnapshot",
        ] {
            assert_eq!(verdict(&[old(), described(id), snapshot()]), at(100));
        }
        // Before the time asked about it is of no concern.
        assert_eq!(
            verdict(&[revert(-3600), snapshot()]),
            RevertHistory::NoRevert
        );
        let other = PastTask {
            entity: Some(Moref::vm("vm-2")),
            ..revert(100)
        };
        assert_eq!(
            verdict(&[old(), other, snapshot()]),
            RevertHistory::NoRevert
        );
    }

    #[test]
    fn in_doubt_nothing_is_proved() {
        let revert = |state| task("RevertToSnapshot_Task", state, 100);
        let queued = since() + SignedDuration::from_secs(99);
        let failed = revert(TaskState::Error);
        assert_eq!(
            verdict(&[old(), failed]),
            RevertDoubt::Failed { queued }.into()
        );
        for state in [
            TaskState::Queued,
            TaskState::Running,
            TaskState::Other("paused".to_owned()),
        ] {
            let unfinished = PastTask {
                completed: None,
                ..revert(state)
            };
            assert_eq!(
                verdict(&[old(), unfinished]),
                RevertDoubt::Unfinished { queued }.into()
            );
        }
        let nameless = task("", TaskState::Success, 100);
        assert_eq!(
            verdict(&[old(), nameless]),
            RevertDoubt::Nameless { queued }.into()
        );
    }
}
