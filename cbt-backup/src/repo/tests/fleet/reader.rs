//! Restores beside prunes.

use std::time::Duration;

use super::ground::{Content, HEARTBEAT};
use super::worker::{Worker, accuse};
use crate::repo::tests::killed::tell;
use crate::repo::{Error, Point};

/// Longest time between the look at a point and the reading of it.
const DAWDLE_MS: u64 = 6_000;

impl Worker {
    /// As a restore does it: from the announcement on nothing of the point may go.
    pub(super) fn read_pinned(&mut self) {
        let Some(point) = self.choose() else { return };
        let (repo, runtime) = (&self.ground.site.repo, &self.ground.site.runtime);
        let points = [point.id()];
        let pin = repo.pin(&points, "reader", HEARTBEAT, runtime.handle());
        let pin = match runtime.block_on(pin) {
            Ok(pin) => pin.expect("the store takes announcements"),
            Err(Error::PointNotFound { .. }) => return tell("count points gone before a read"),
            Err(error) => accuse("a reader could not announce itself", &error),
        };
        // Long enough for retention and a sweep to come by.
        self.dawdle(DAWDLE_MS);
        match self.walk(&point) {
            Ok(()) => tell("count reads with a pin"),
            Err(error) => accuse("a pinned point was not read", &error),
        }
        let closed = self.ground.site.runtime.block_on(pin.close());
        closed.unwrap();
    }

    /// Nothing holds the point; it is lost to the reader only when somebody dropped it.
    pub(super) fn read_unpinned(&mut self) {
        let Some(point) = self.choose() else { return };
        // Long enough for retention and a sweep to come by.
        self.dawdle(DAWDLE_MS);
        match self.walk(&point) {
            Ok(()) => tell("count reads without a pin"),
            Err(error) if error.is_damage() && !self.lives(point.id()) => {
                tell("count points gone while they were read");
            }
            Err(error) => accuse("a living point was not read", &error),
        }
    }

    /// One of the points that will go first. They are in the order of their steps.
    fn choose(&mut self) -> Option<Point> {
        self.dawdle(100);
        let mut points = self.ground.points();
        if points.is_empty() {
            return None;
        }
        let chosen = self.dice.throw(points.len().div_ceil(3) as u64) as usize;
        Some(points.swap_remove(chosen))
    }

    /// Reads all of a disk, slowly, and compares it.
    fn walk(&mut self, point: &Point) -> Result<(), Error> {
        let repo = self.ground.afresh();
        let slow_ms = 1 + self.dice.throw(100);
        let dice = &mut self.dice;
        let slowly = || std::thread::sleep(Duration::from_millis(dice.throw(slow_ms)));
        let read = self.ground.read(&repo, point, slowly)?;
        let wanted = Content::of(point);
        assert!(read == wanted.image(), "{} is not {wanted:?}", point.id());
        Ok(())
    }
}
