//! VixDiskLib's clean-up is never made beside disks that are open by HotAdd ("VDDK API reference", 1.5).
//!
//! It takes away what it finds attached to the proxy, whichever VM it is made for, and whichever process has it open. So
//! disks that may come by HotAdd share the proxy with each other from before they are opened until they are closed,
//! and a clean-up has it for itself: in this process by what it counts, among all that use one state folder by a
//! lock file.
//!
//! There is no deadlock. A disk that is open waits here for nothing; one that waits here before it is opened may hold
//! a share of the [`super::budget`], which no open disk waits for. A clean-up is made when all disks of its own VM
//! are closed, and waits no longer than it is told. While it waits for another process, it holds nothing.

use std::{
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use super::{error::Error, file_lock::FileLock, pause::SIGNAL_POLL};

/// What HotAdd and the clean-up share on this machine.
#[derive(Debug)]
pub struct HotAdd {
    lock_file: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Disks that are open, or being opened.
    open: u32,
    /// Clean-ups that wait. While there are any, no further disk is opened: else they might wait for ever.
    waiting: u32,
    is_cleaning: bool,
}

/// A disk is open by HotAdd, or may come to be, until this is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(super) struct Attached<'a> {
    hot_add: &'a HotAdd,
    lock: Option<FileLock>,
}

/// No disk is open by HotAdd until this is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(super) struct Alone<'a> {
    hot_add: &'a HotAdd,
    lock: Option<FileLock>,
}

impl HotAdd {
    /// Shared with all processes that have the same state folder.
    #[must_use]
    pub fn new(state_dir: &Path) -> Self {
        Self {
            lock_file: state_dir.join("lock").join("hotadd"),
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let woken = self.changed.wait_timeout(state, SIGNAL_POLL);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Before a disk is opened: waits for a clean-up that is under way or has its turn first. `waits` is called
    /// before the first wait.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when `halt` is set before; [`Error::State`] when the lock file cannot be used.
    pub(super) fn attach(
        &self,
        halt: &AtomicBool,
        waits: impl FnOnce(),
    ) -> Result<Attached<'_>, Error> {
        let mut waits = Some(waits);
        let mut state = self.state();
        while state.is_cleaning || state.waiting > 0 {
            if halt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if let Some(waits) = waits.take() {
                drop(state);
                waits();
                state = self.state();
            } else {
                state = self.wait(state);
            }
        }
        state.open += 1;
        drop(state);
        let mut attached = Attached {
            hot_add: self,
            lock: None,
        };
        loop {
            attached.lock = self.locked(FileLock::shared)?;
            if attached.lock.is_some() {
                return Ok(attached);
            }
            if halt.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            match waits.take() {
                Some(waits) => waits(),
                None => thread::sleep(SIGNAL_POLL),
            }
        }
    }

    /// Before a clean-up: waits until no disk is open. `None` when one still is after `limit`. `waits` is called
    /// before the first wait, with the number of disks that are open, or `None` where those of another process are.
    ///
    /// # Errors
    /// [`Error::State`] when the lock file cannot be used.
    pub(super) fn alone(
        &self,
        limit: Duration,
        waits: impl FnOnce(Option<u32>),
    ) -> Result<Option<Alone<'_>>, Error> {
        let until = Instant::now() + limit;
        let mut waits = Some(waits);
        loop {
            let Some(mut alone) = self.alone_here(until, &mut waits) else {
                return Ok(None);
            };
            alone.lock = self.locked(FileLock::alone)?;
            if alone.lock.is_some() {
                return Ok(Some(alone));
            }
            // Disks of this process need not wait for those of another.
            drop(alone);
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if let Some(waits) = waits.take() {
                waits(None);
            }
            thread::sleep(left.min(SIGNAL_POLL));
        }
    }

    /// As [`HotAdd::alone`], in this process.
    fn alone_here(
        &self,
        until: Instant,
        waits: &mut Option<impl FnOnce(Option<u32>)>,
    ) -> Option<Alone<'_>> {
        let mut state = self.state();
        state.waiting += 1;
        while state.is_cleaning || state.open > 0 {
            let open = state.open;
            if Instant::now() >= until {
                state.waiting -= 1;
                drop(state);
                self.changed.notify_all();
                return None;
            }
            if open > 0
                && let Some(waits) = waits.take()
            {
                drop(state);
                waits(Some(open));
                state = self.state();
            } else {
                state = self.wait(state);
            }
        }
        state.waiting -= 1;
        state.is_cleaning = true;
        Some(Alone {
            hot_add: self,
            lock: None,
        })
    }

    fn locked(
        &self,
        take: impl FnOnce(&Path) -> std::io::Result<Option<FileLock>>,
    ) -> Result<Option<FileLock>, Error> {
        take(&self.lock_file).map_err(|source| Error::State {
            path: self.lock_file.clone(),
            source,
        })
    }
}

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        self.lock = None;
        self.hot_add.state().open -= 1;
        self.hot_add.changed.notify_all();
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.lock = None;
        self.hot_add.state().is_cleaning = false;
        self.hot_add.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, AtomicU32, Ordering},
        thread,
        time::{Duration, Instant},
    };

    use super::HotAdd;
    use crate::engine::error::Error;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_clean_up_is_never_beside_a_disk_and_all_get_their_turn() {
        let folder = tempfile::tempdir().unwrap();
        let (hot_add, go) = (HotAdd::new(folder.path()), AtomicBool::new(false));
        let (open, cleaning, done) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        thread::scope(|scope| {
            for number in 0..8 {
                let (hot_add, go) = (&hot_add, &go);
                let (open, cleaning, done) = (&open, &cleaning, &done);
                scope.spawn(move || {
                    for _ in 0..50 {
                        if number < 5 {
                            let attached = hot_add.attach(go, || {}).unwrap();
                            open.fetch_add(1, Ordering::SeqCst);
                            assert_eq!(cleaning.load(Ordering::SeqCst), 0);
                            thread::sleep(Duration::from_micros(300));
                            open.fetch_sub(1, Ordering::SeqCst);
                            drop(attached);
                        } else {
                            let alone = hot_add.alone(LONG, |open| assert!(open > Some(0)));
                            let alone = alone.unwrap().unwrap();
                            assert_eq!(cleaning.fetch_add(1, Ordering::SeqCst), 0);
                            assert_eq!(open.load(Ordering::SeqCst), 0);
                            cleaning.fetch_sub(1, Ordering::SeqCst);
                            drop(alone);
                        }
                        done.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert_eq!(done.into_inner(), 400);
    }

    #[test]
    fn a_clean_up_gives_up_and_lets_others_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let (hot_add, go) = (HotAdd::new(folder.path()), AtomicBool::new(false));
        let first = hot_add.attach(&go, || panic!("waits")).unwrap();
        let mut told = Vec::new();
        let alone = hot_add.alone(Duration::from_millis(80), |open| told.push(open));
        assert!(alone.unwrap().is_none());
        assert_eq!(told, [Some(1)]);
        let second = hot_add.attach(&go, || panic!("waits")).unwrap();
        drop((first, second));
        let alone = hot_add.alone(LONG, |_| panic!("waits"));
        assert!(alone.unwrap().is_some());
    }

    #[test]
    fn while_a_clean_up_waits_no_disk_is_opened_and_a_signal_ends_that() {
        let folder = tempfile::tempdir().unwrap();
        let (hot_add, go) = (HotAdd::new(folder.path()), AtomicBool::new(false));
        let first = hot_add.attach(&go, || panic!("waits")).unwrap();
        thread::scope(|scope| {
            let cleaned = scope.spawn(|| hot_add.alone(LONG, |_| {}).unwrap().is_some());
            while hot_add.state().waiting == 0 {
                thread::sleep(Duration::from_millis(1));
            }
            let begun = Instant::now();
            let mut told = 0;
            let halt = AtomicBool::new(true);
            let stopped = hot_add.attach(&halt, || told += 1);
            assert!(matches!(stopped, Err(Error::Interrupted)));
            assert!(begun.elapsed() < LONG);
            let later = scope.spawn(|| hot_add.attach(&go, || {}).map(drop).is_ok());
            thread::sleep(Duration::from_millis(30));
            assert!(!later.is_finished() && !cleaned.is_finished());
            drop(first);
            assert!(cleaned.join().unwrap() && later.join().unwrap());
        });
    }

    /// Two that share a folder are as two processes: the system knows locks by the open file.
    #[test]
    fn a_clean_up_waits_for_another_process_and_keeps_its_disks_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (HotAdd::new(folder.path()), HotAdd::new(folder.path()));
        let go = AtomicBool::new(false);
        let open = other.attach(&go, || panic!("waits")).unwrap();
        let mut told = Vec::new();
        let alone = one.alone(Duration::from_millis(80), |open| told.push(open));
        assert!(alone.unwrap().is_none());
        assert_eq!(told, [None]);
        thread::scope(|scope| {
            let cleaned = scope.spawn(|| one.alone(LONG, |_| {}).unwrap().is_some());
            // It holds up nobody of its own process meanwhile.
            thread::sleep(Duration::from_millis(30));
            drop(one.attach(&go, || {}).unwrap());
            assert!(!cleaned.is_finished());
            drop(open);
            assert!(cleaned.join().unwrap());
        });
        let alone = one.alone(LONG, |_| panic!("waits")).unwrap().unwrap();
        let halt = AtomicBool::new(true);
        let stopped = other.attach(&halt, || {});
        assert!(matches!(stopped, Err(Error::Interrupted)));
        assert_eq!(other.state().open, 0);
        thread::scope(|scope| {
            let attached = scope.spawn(|| other.attach(&go, || {}).map(drop).is_ok());
            thread::sleep(Duration::from_millis(30));
            assert!(!attached.is_finished());
            drop(alone);
            assert!(attached.join().unwrap());
        });
    }
}
