//! The disks of a VM, several of them in work at once.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{RecvTimeoutError, unbounded};
use vddk::Connection;

use super::{DiskReport, DiskRun, DiskTask};
use crate::{
    engine::{binding::Measured, error::Error, pause::SIGNAL_POLL, pipeline::Workers},
    repo::{Error as RepoError, Session},
};

/// How often is told which stage binds.
const TELL_EVERY: Duration = Duration::from_secs(2);

impl DiskRun<'_> {
    /// Reads disks and stores them; the reports come in the order of the tasks. A disk that cannot be read
    /// keeps no other from being read.
    ///
    /// All open disks share the connection: VixDiskLib wants one thread at a time for opening and closing, which
    /// `vddk` sees to, and one for each handle (VDDK API reference, 7.1).
    ///
    /// # Errors
    /// What concerns more than one disk, such as one of the repository; then all threads have ended.
    pub fn copy_all(
        &self,
        connection: &Connection,
        tasks: Vec<DiskTask>,
    ) -> Result<Vec<DiskReport>, Error> {
        let count = tasks.len();
        let at_once = self.options.disks_at_once.clamp(1, count.max(1));
        let pace = self.options.pace.shared_by(at_once);
        let (queue, next) = unbounded();
        for task in tasks.into_iter().enumerate() {
            let _ = queue.send(task);
        }
        drop(queue);
        let (tell, told) = unbounded();
        // Set by a signal, and by the first disk that ends all.
        let halt = AtomicBool::new(false);
        let halt = &halt;
        let mut done: Vec<Option<Result<DiskReport, Error>>> = Vec::new();
        done.resize_with(count, || None);
        thread::scope(|scope| {
            let workers = Workers::start(scope, pace.workers);
            for _ in 0..at_once {
                let (next, tell, workers) = (next.clone(), tell.clone(), workers.clone());
                scope.spawn(move || {
                    for (index, task) in next {
                        if halt.load(Ordering::Relaxed) {
                            return;
                        }
                        let copied = catch_unwind(AssertUnwindSafe(|| {
                            self.copy(connection, task, pace, &workers, halt)
                        }));
                        let copied =
                            copied.unwrap_or_else(|payload| Err(Error::panicked(payload.as_ref())));
                        if copied.is_err() {
                            halt.store(true, Ordering::Relaxed);
                        }
                        let _ = tell.send((index, copied));
                    }
                });
            }
            drop((tell, workers));
            let (mut told_at, mut last) = (Instant::now(), Measured::default());
            loop {
                match told.recv_timeout(SIGNAL_POLL) {
                    Ok((index, copied)) => done[index] = Some(copied),
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) => {
                        if self.cancel.load(Ordering::Relaxed) {
                            halt.store(true, Ordering::Relaxed);
                        }
                        if told_at.elapsed() >= TELL_EVERY {
                            told_at = Instant::now();
                            last = self.tell_binding(last);
                        }
                    }
                }
            }
        });
        in_order(done)
    }
}

impl DiskRun<'_> {
    /// Tells which stage the others wait for since the last time.
    fn tell_binding(&self, last: Measured) -> Measured {
        let Some(put) = self.row.try_with(Session::times) else {
            return last;
        };
        let now = self.waits.measured(put);
        if let Some(stage) = now.since(last).binding() {
            self.monitor.bound_by(stage);
        }
        now
    }
}

/// All reports; or the first error that is more than the end of a disk because of another's.
fn in_order(done: Vec<Option<Result<DiskReport, Error>>>) -> Result<Vec<DiskReport>, Error> {
    let count = done.len();
    let mut reports = Vec::with_capacity(count);
    let (mut interrupted, mut over) = (false, None);
    for copied in done.into_iter().flatten() {
        match copied {
            Ok(report) => reports.push(report),
            Err(Error::Interrupted) => interrupted = true,
            // Why is told by the disk at which it was noticed.
            Err(error @ Error::Repository(RepoError::RunOver)) => over = Some(error),
            Err(error) => return Err(error),
        }
    }
    if let Some(error) = over {
        return Err(error);
    }
    if interrupted || reports.len() < count {
        return Err(Error::Interrupted);
    }
    Ok(reports)
}
