//! A long run as a row of sessions, seen as one.

use std::sync::{Mutex, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use super::begin::Session;
use super::put::lock;
use super::spec::{Committed, DiskSlot, PutOutcome, RootInfo};
use crate::repo::error::Error;

/// When a run commits a partial point: as soon as one of the two is reached and something was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowInterval {
    /// Bytes that were put since the last root.
    pub put_bytes: u64,
    /// Time since the last root.
    pub time: Duration,
}

impl Default for RowInterval {
    /// 15 minutes, or 256 GiB.
    fn default() -> Self {
        Self {
            put_bytes: 256 << 30,
            time: Duration::from_mins(15),
        }
    }
}

/// A run that commits partial points on its way. Blocks may be put from many threads; they wait while a
/// partial point is committed.
#[derive(Debug)]
pub struct SessionRow {
    /// None after a change of sessions that failed.
    session: RwLock<Option<Session>>,
    interval: RowInterval,
    since: Mutex<Since>,
    /// Held by the thread that looks whether it is time, and commits.
    turn: Mutex<()>,
}

/// Where the run was when it committed last.
#[derive(Debug)]
struct Since {
    time: Instant,
    put_bytes: u64,
}

/// How long may be asked while everybody waits.
pub const SETTLED_LIMIT: Duration = Duration::from_secs(10);

/// When it is asked what a partial point says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// Others go on.
    Early,
    /// Everybody waits.
    Settled,
}

impl SessionRow {
    /// A row that begins with this session.
    pub fn new(session: Session, interval: RowInterval) -> Self {
        let put_bytes = session.put_bytes();
        Self {
            session: RwLock::new(Some(session)),
            interval,
            since: Mutex::new(Since {
                time: Instant::now(),
                put_bytes,
            }),
            turn: Mutex::default(),
        }
    }

    /// Does something with the session of now: adds disks, asks for their shape, says what became of
    /// them. Slots stay the same over the whole row.
    ///
    /// # Errors
    /// `RunOver` when a partial point could not be committed before: the run is over.
    pub fn with<T>(&self, ask: impl FnOnce(&Session) -> T) -> Result<T, Error> {
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner);
        session.as_ref().map(ask).ok_or_else(over)
    }

    /// As [`SessionRow::with`], unless a partial point is being committed.
    pub fn try_with<T>(&self, ask: impl FnOnce(&Session) -> T) -> Option<T> {
        let session = match self.session.try_read() {
            Ok(session) => session,
            Err(TryLockError::Poisoned(session)) => session.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        session.as_ref().map(ask)
    }

    /// As [`Session::put`].
    ///
    /// # Errors
    /// As there, and of [`SessionRow::with`].
    pub fn put(&self, slot: DiskSlot, block: u64, data: &[u8]) -> Result<PutOutcome, Error> {
        self.with(|session| session.put(slot, block, data))?
    }

    /// As [`Session::patch`].
    ///
    /// # Errors
    /// As there, and of [`SessionRow::with`].
    pub fn patch(
        &self,
        slot: DiskSlot,
        block: u64,
        from_bytes: usize,
        part: &[u8],
    ) -> Result<Option<PutOutcome>, Error> {
        self.with(|session| session.patch(slot, block, from_bytes, part))?
    }

    /// As [`Session::put_hole`].
    ///
    /// # Errors
    /// As there, and of [`SessionRow::with`].
    pub fn put_hole(&self, slot: DiskSlot, first: u64, blocks: u64) -> Result<(), Error> {
        self.with(|session| session.put_hole(slot, first, blocks))?
    }

    /// Commits a partial point and changes sessions, when it is time to. To be called now and then, by any
    /// thread: while one is at it, the others go on. Blocking.
    ///
    /// `info` is asked twice: while others go on, and then, within [`SETTLED_LIMIT`], when nobody can put anything any
    /// more, so that what it finds out holds for all that was put. With `None` there will be no point until the
    /// interval has passed again. It must not ask the row.
    ///
    /// # Errors
    /// Those of [`Session::checkpoint`]: the run is over.
    pub fn checkpoint_if_due(
        &self,
        info: impl Fn(Asked) -> Option<RootInfo>,
    ) -> Result<Option<Committed>, Error> {
        let _turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(None),
        };
        let put_bytes = self.with(Session::put_bytes)?;
        let due = {
            let since = lock(&self.since);
            let new_bytes = put_bytes.saturating_sub(since.put_bytes);
            let late = since.time.elapsed() >= self.interval.time;
            new_bytes > 0 && (late || new_bytes >= self.interval.put_bytes)
        };
        if !due {
            return Ok(None);
        }
        if info(Asked::Early).is_some() {
            let mut session = self.session.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(info) = info(Asked::Settled) {
                return self.change(&mut session, info).map(Some);
            }
        }
        *lock(&self.since) = Since {
            time: Instant::now(),
            put_bytes,
        };
        Ok(None)
    }

    /// Commits a partial point and changes sessions now. Blocking.
    ///
    /// # Errors
    /// As [`SessionRow::checkpoint_if_due`].
    pub fn checkpoint(&self, info: RootInfo) -> Result<Committed, Error> {
        let mut session = self.session.write().unwrap_or_else(PoisonError::into_inner);
        self.change(&mut session, info)
    }

    fn change(&self, session: &mut Option<Session>, info: RootInfo) -> Result<Committed, Error> {
        let (next, committed) = session.take().ok_or_else(over)?.checkpoint(info)?;
        *lock(&self.since) = Since {
            time: Instant::now(),
            put_bytes: next.put_bytes(),
        };
        *session = Some(next);
        Ok(committed)
    }

    /// The last session, to be committed or abandoned.
    ///
    /// # Errors
    /// As [`SessionRow::with`].
    pub fn into_session(self) -> Result<Session, Error> {
        let session = self.session.into_inner();
        session
            .unwrap_or_else(PoisonError::into_inner)
            .ok_or_else(over)
    }
}

fn over() -> Error {
    Error::RunOver
}
