//! Which stage of a run the others wait for.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::repo::PutTimes;

/// A stage of the way from the disk to the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// vSphere sends no faster, or is asked for no more.
    Read,
    /// The zero test, and the block's id.
    Hash,
    /// Compressing and sealing.
    Compress,
    /// The store takes no more.
    Store,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Hash => "hash",
            Self::Compress => "compress",
            Self::Store => "store",
        })
    }
}

/// What the threads that read have waited for.
#[derive(Debug, Default)]
pub struct Waits {
    /// For data, in nanoseconds.
    data: AtomicU64,
    /// For a buffer that the workers give back.
    buffer: AtomicU64,
}

impl Waits {
    /// Data was waited for.
    pub fn data(&self, since: Instant) {
        add(&self.data, since);
    }

    /// A buffer was waited for.
    pub fn buffer(&self, since: Instant) {
        add(&self.buffer, since);
    }

    /// What was measured so far.
    pub fn measured(&self, put: PutTimes) -> Measured {
        let of = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        Measured {
            data: of(&self.data),
            buffer: of(&self.buffer),
            put,
        }
    }
}

fn add(nanos: &AtomicU64, since: Instant) {
    let more = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
    nanos.fetch_add(more, Ordering::Relaxed);
}

/// Times from the beginning of a run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    data: Duration,
    buffer: Duration,
    put: PutTimes,
}

impl Measured {
    /// What lies between an earlier moment and this one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        let put = PutTimes {
            hash: self.put.hash.saturating_sub(earlier.put.hash),
            compress: self.put.compress.saturating_sub(earlier.put.compress),
            store: self.put.store.saturating_sub(earlier.put.store),
        };
        Self {
            data: self.data.saturating_sub(earlier.data),
            buffer: self.buffer.saturating_sub(earlier.buffer),
            put,
        }
    }

    /// The stage that the others waited for. None where nothing was waited for.
    ///
    /// Reading binds where its threads waited longer for data than for the workers. Else it is what the workers
    /// spent most time on.
    pub fn binding(self) -> Option<Stage> {
        let Self { data, buffer, put } = self;
        match () {
            () if data + buffer == Duration::ZERO => None,
            () if data >= buffer => Some(Stage::Read),
            () if put.store >= put.hash.max(put.compress) => Some(Stage::Store),
            () if put.compress >= put.hash => Some(Stage::Compress),
            () => Some(Stage::Hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Measured, Stage};
    use crate::repo::PutTimes;

    fn measured(times: [u64; 5]) -> Measured {
        let [data, buffer, hash, compress, store] = times.map(Duration::from_millis);
        let put = PutTimes {
            hash,
            compress,
            store,
        };
        Measured { data, buffer, put }
    }

    #[test]
    fn the_stage_that_is_waited_for_binds() {
        for (times, stage) in [
            ([0, 0, 9, 9, 9], None),
            ([50, 10, 30, 90, 0], Some(Stage::Read)),
            ([10, 50, 30, 90, 0], Some(Stage::Compress)),
            ([10, 50, 30, 90, 200], Some(Stage::Store)),
            ([10, 50, 95, 90, 0], Some(Stage::Hash)),
        ] {
            assert_eq!(measured(times).binding(), stage, "{times:?}");
        }
        let (before, after) = (measured([500, 0, 1, 1, 1]), measured([510, 90, 2, 80, 3]));
        assert_eq!(after.binding(), Some(Stage::Read));
        assert_eq!(after.since(before).binding(), Some(Stage::Compress));
    }
}
