//! Retention, and the way back.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::worker::{Worker, accuse};
use super::writer::session_options;
use crate::repo::tests::killed::tell;
use crate::repo::{Error, RetentionPolicy, plan};

/// Points of each VM that stay.
const LAST: u32 = 2;

impl Worker {
    pub(super) fn keep(&mut self) {
        self.dawdle(700);
        if self.dice.throw(3) == 0 {
            self.take_back();
        } else {
            self.drop_old();
        }
    }

    fn drop_old(&self) {
        let (repo, runtime) = (&self.ground.site.repo, &self.ground.site.runtime);
        let points = runtime.block_on(repo.points(None)).unwrap().points;
        let policy = RetentionPolicy {
            last: LAST,
            ..RetentionPolicy::default()
        };
        let now = Timestamp::now();
        let verdicts = plan(&points, &policy, &TimeZone::UTC, now).unwrap();
        for verdict in verdicts.iter().filter(|verdict| !verdict.is_kept()) {
            let point = verdict.point.id;
            tell(&format!("dropping {point}"));
            let dropped = repo.drop_point(point, "", "", now.as_millisecond());
            match runtime.block_on(dropped) {
                Ok(()) | Err(Error::PointNotFound { .. }) => {}
                Err(error) => accuse("a point was not dropped", &error),
            }
        }
    }

    /// Any one out of the bin, if a sweep leaves it.
    fn take_back(&mut self) {
        let (repo, runtime) = (&self.ground.site.repo, &self.ground.site.runtime);
        let bin = runtime.block_on(repo.deleted_points()).unwrap().points;
        if bin.is_empty() {
            return;
        }
        let chosen = &bin[self.dice.throw(bin.len() as u64) as usize].summary;
        if chosen.kind == crate::repo::PointKind::Partial {
            return;
        }
        let (vm, step) = (&chosen.vm_name, chosen.snapshot_time_ms);
        let fenced = self.fenced();
        match repo.undelete(runtime.handle(), chosen.id, "", session_options()) {
            Ok(made) => {
                tell(&format!("point {} {vm} {step}", made.point));
                tell("count points taken back");
            }
            Err(Error::PointNotFound { .. } | Error::NotWhole { .. }) => {
                tell("count points that could not be taken back");
            }
            Err(Error::Fenced { .. } | Error::FenceUndecided { .. }) => {
                tell("count points fenced when taken back");
            }
            // One that slept through its fence may meet anything; and what a sweep takes before the
            // announcement is there is gone.
            Err(error) if error.is_damage() || self.fenced() != fenced => {
                tell("count points that could not be taken back");
            }
            Err(error) => accuse("a point was not taken back", &error),
        }
    }
}
