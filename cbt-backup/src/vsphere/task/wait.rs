//! Waiting until a task has ended.

use std::time::{Duration, Instant};

use super::{TaskInfo, TaskRef, TaskState, TaskWatch};
use crate::vsphere::client::Client;
use crate::vsphere::error::Error;

/// The pause between two looks at `cancelled`.
const CANCEL_STEP: Duration = Duration::from_millis(100);
/// Waiting outlives a restart of the server, but not its end: failed looks in a row.
const MAX_FAILED_LOOKS: u32 = 10;
/// Failed waits in a row, each with its repetitions, until the server is only asked: something
/// between may not bear long waits.
const MAX_FAILED_WAITS: u32 = 3;
/// A server that was to tell of changes and told of none is asked after so many of the longest
/// pauses between two looks: news may get lost.
const SILENT_PAUSES: u32 = 15;

impl Client {
    /// Waits until a task has ended well. The server tells of its changes; one that can't is
    /// asked again and again. `on_progress` gets the percentage when it changes; `cancelled` is
    /// asked several times a second. Neither a time-out nor a cancellation stops the task at the
    /// server.
    ///
    /// # Errors
    ///
    /// [`Error::TaskFailed`] with the task's fault, `RequestCanceled` if somebody stopped it;
    /// [`Error::TaskTimedOut`], which tells since when its progress stands still;
    /// [`Error::TaskVanished`] if it ended unseen: then the object it worked on tells how;
    /// [`Error::Cancelled`]; a failure of looking that lasts.
    pub async fn wait_task(
        &self,
        task: &TaskRef,
        timeout: Duration,
        on_progress: &mut dyn FnMut(u8),
        cancelled: &dyn Fn() -> bool,
    ) -> Result<TaskInfo, Error> {
        let start = Instant::now();
        let mut wait = Wait {
            client: self,
            task,
            watch: Some(self.watch_task(task)),
            start,
            timeout,
            pause: Duration::ZERO,
            last: TaskInfo::default(),
            moved: start,
            failed_waits: 0,
            failed_looks: 0,
        };
        let ended = loop {
            if cancelled() {
                break Err(wait.cancelled());
            }
            let look = tokio::select! {
                look = wait.look() => look,
                () = until(cancelled) => Err(wait.cancelled()),
            };
            match wait.take(look, on_progress) {
                Ok(false) => {}
                Ok(true) => break Ok(wait.last),
                Err(error) => break Err(error),
            }
        };
        if let Some(watch) = wait.watch {
            watch.close().await;
        }
        ended
    }
}

/// A task while it is waited for.
struct Wait<'w> {
    client: &'w Client,
    task: &'w TaskRef,
    /// While the server tells of changes; nothing where it has to be asked.
    watch: Option<TaskWatch>,
    start: Instant,
    timeout: Duration,
    /// Before the next look.
    pause: Duration,
    last: TaskInfo,
    /// When something was seen to change.
    moved: Instant,
    failed_waits: u32,
    failed_looks: u32,
}

impl Wait<'_> {
    /// The task at its next change, or after a while.
    async fn look(&mut self) -> Result<Option<TaskInfo>, Error> {
        tokio::time::sleep(self.pause.min(self.left())).await;
        self.lengthen_pause();
        let silence = self.client.inner.poll.longest * SILENT_PAUSES;
        let left = self.left().min(silence);
        if let Some(watch) = &mut self.watch {
            match watch.next(left).await {
                Ok(Some(info)) => {
                    self.pause = Duration::ZERO;
                    self.failed_waits = 0;
                    return Ok(Some(info));
                }
                Ok(None) => self.pause = Duration::ZERO,
                // Whatever is wrong with waiting: asking has its own answer.
                Err(error) => self.cannot_wait(&error).await,
            }
        }
        self.client.task(self.task).await.map(Some)
    }

    /// Waiting failed: for good where the server does not offer it, or not to this account.
    async fn cannot_wait(&mut self, error: &Error) {
        tracing::debug!(task = %self.task.0, %error, "waiting failed, the task is asked for");
        self.failed_waits += 1;
        if error.is_retryable() && self.failed_waits < MAX_FAILED_WAITS {
            return;
        }
        if let Some(watch) = self.watch.take() {
            watch.close().await;
        }
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.start.elapsed())
    }

    fn lengthen_pause(&mut self) {
        let delays = self.client.inner.poll;
        self.pause = (self.pause * 3 / 2).clamp(delays.first, delays.longest.max(delays.first));
    }

    /// Takes what was seen; true at a good end.
    fn take(
        &mut self,
        look: Result<Option<TaskInfo>, Error>,
        on_progress: &mut dyn FnMut(u8),
    ) -> Result<bool, Error> {
        match look {
            Ok(None) => {}
            Ok(Some(info)) => {
                self.failed_looks = 0;
                if info.progress != self.last.progress || info.state != self.last.state {
                    self.moved = Instant::now();
                }
                let progress = info
                    .progress
                    .filter(|_| info.progress != self.last.progress);
                self.last = info;
                if let Some(progress) = progress {
                    on_progress(progress);
                }
            }
            // Servers forget finished tasks after a while.
            Err(error) if error.fault_type() == Some("ManagedObjectNotFound") => {
                return Err(Error::TaskVanished {
                    task: self.task.0.clone(),
                    name: std::mem::take(&mut self.last.name),
                });
            }
            Err(error) if error.is_retryable() && self.failed_looks < MAX_FAILED_LOOKS => {
                self.failed_looks += 1;
                tracing::warn!(task = %self.task.0, %error, "failed to look at a task");
            }
            Err(error) => return Err(error),
        }
        match self.last.state {
            TaskState::Success => Ok(true),
            TaskState::Error => Err(self.failed()),
            _ if self.left().is_zero() => Err(self.timed_out()),
            _ => Ok(false),
        }
    }

    fn failed(&mut self) -> Error {
        let info = std::mem::take(&mut self.last);
        let task = self.task.0.clone();
        match info.error {
            Some(fault) => Error::TaskFailed {
                task,
                name: info.name,
                fault: Box::new(fault),
            },
            None => Error::BadAnswer {
                method: "RetrievePropertiesEx",
                what: format!("{task} failed without a fault"),
            },
        }
    }

    fn timed_out(&mut self) -> Error {
        Error::TaskTimedOut {
            task: self.task.0.clone(),
            name: std::mem::take(&mut self.last.name),
            waited_ms: millis(self.start.elapsed()),
            still_ms: millis(self.moved.elapsed()),
            progress: self.last.progress.unwrap_or(0),
        }
    }

    fn cancelled(&self) -> Error {
        Error::Cancelled {
            task: self.task.0.clone(),
        }
    }
}

async fn until(cancelled: &dyn Fn() -> bool) {
    while !cancelled() {
        tokio::time::sleep(CANCEL_STEP).await;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
