//! Sweeps and compactions.

use std::time::Duration;

use jiff::Timestamp;

use super::worker::{Worker, accuse};
use super::writer::session_options;
use crate::repo::tests::compaction::all_that_is_not_full;
use crate::repo::tests::killed::tell;
use crate::repo::{CompactOptions, Error, SweepOptions};

/// Far more than a heart-beat, so that nobody who lives is taken for dead by a busy machine.
const LOOK: Duration = Duration::from_millis(1_200);
/// How long a dropped point can be taken back.
const BIN_MS: i64 = 500;
/// A sweep that waits for the living gives up so late, now and then.
const IMPATIENT: u32 = 3;

impl Worker {
    pub(super) fn tidy(&mut self) {
        if self.dice.throw(4) == 0 {
            self.compact();
        } else {
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        let options = SweepOptions {
            now_ms: Timestamp::now().as_millisecond(),
            bin_ms: BIN_MS,
            look_interval: LOOK,
            max_looks: (self.dice.throw(4) == 0).then_some(IMPATIENT),
            max_percent: 100,
            ..SweepOptions::default()
        };
        let swept = self.ground.site.repo.sweep(options, &());
        match self.ground.site.runtime.block_on(swept) {
            Ok(report) => tell(&format!(
                "swept {} {} {}",
                report.packs_deleted,
                report.roots_removed,
                report.fenced.len()
            )),
            Err(error) => accuse("a sweep failed", &error),
        }
    }

    fn compact(&mut self) {
        let options = CompactOptions {
            session: session_options(),
            ..all_that_is_not_full()
        };
        let fenced = self.fenced();
        let handle = self.ground.site.runtime.handle();
        match self.ground.site.repo.compact(handle, "", &options, &()) {
            Ok(report) => tell(&format!(
                "compacted {} {}",
                report.rewritten.len(),
                report.copied_blobs
            )),
            Err(Error::Fenced { .. } | Error::FenceUndecided { .. }) => {
                tell("count compactions fenced");
            }
            // One that slept through its fence may meet anything.
            Err(_) if self.fenced() != fenced => tell("count compactions fenced"),
            Err(error) => accuse("a compaction failed", &error),
        }
    }
}
