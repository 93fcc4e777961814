//! The threads that hash, compress and seal: as many as there are cores, for all disks in work together.

use std::{sync::Arc, thread::Scope};

use crossbeam_channel::{Receiver, Sender, bounded};
use vddk::SectorBuf;

use super::stage::Stage;
use crate::engine::source::ReadDone;

/// What was read, on its way to the repository.
#[derive(Debug)]
pub struct Job<'env> {
    stage: Arc<Stage<'env>>,
    /// Taken out when the buffer goes back.
    done: Option<ReadDone>,
    back: Sender<SectorBuf>,
}

impl<'env> Job<'env> {
    pub(super) fn new(stage: &Arc<Stage<'env>>, done: ReadDone, back: Sender<SectorBuf>) -> Self {
        Self {
            stage: Arc::clone(stage),
            done: Some(done),
            back,
        }
    }
}

/// The buffer goes back in any case: the disk's own thread waits for it.
impl Drop for Job<'_> {
    fn drop(&mut self) {
        if let Some(done) = self.done.take() {
            // The channel has room for all buffers of the disk.
            let _ = self.back.try_send(done.buffer);
        }
    }
}

/// The way to the workers. They end when the last of these is gone and all is done.
#[derive(Clone, Debug)]
pub struct Workers<'env> {
    jobs: Sender<Job<'env>>,
}

impl<'env> Workers<'env> {
    /// Starts them.
    pub fn start<'scope>(scope: &'scope Scope<'scope, '_>, threads: usize) -> Self
    where
        'env: 'scope,
    {
        let threads = threads.max(1);
        let (jobs, queue) = bounded::<Job<'env>>(threads);
        for _ in 0..threads {
            let queue: Receiver<Job<'env>> = queue.clone();
            scope.spawn(move || {
                for job in queue {
                    if let Some(done) = &job.done {
                        job.stage.take(done);
                    }
                }
            });
        }
        Self { jobs }
    }

    /// Waits while all are busy.
    pub(super) fn take(&self, job: Job<'env>) {
        // Without workers the job is dropped, and its buffer goes back.
        let _ = self.jobs.send(job);
    }
}
