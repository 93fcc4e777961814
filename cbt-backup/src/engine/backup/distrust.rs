//! What follows when vSphere was found to say what is not so.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use super::Held;
use crate::{
    engine::{
        audit::{DiskAudit, MISMATCH},
        error::chain,
        host::host_name,
        monitor::{Event, Monitor},
        recorder::Recorder,
        site::Site,
        tracking::TrackingPolicy,
    },
    repo::{FOUND_WRONG, PointEvent, PointId, PointMark, Repository, SessionOptions},
    vsphere::{Disk, SwitchOptions, TrackingError},
};

/// What points are marked with.
pub(super) struct Marks<'a> {
    pub(super) site: &'a Site,
    pub(super) repository: &'a Repository,
    pub(super) recorder: &'a Recorder<'a>,
    pub(super) heartbeat: Duration,
    /// A point that two disks were compared with is marked for one after the other.
    pub(super) turn: Mutex<()>,
}

impl Marks<'_> {
    /// Marks the points that a disk was compared with, and the newest that has it, with what is not to be believed.
    pub(super) fn mark(&self, disk: &Disk, audit: &DiskAudit) {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let told = self.recorder.events().into_iter();
        let told =
            told.filter(|event| event.kind == MISMATCH && event.details["disk"] == disk.label);
        let events = told.map(|event| PointEvent {
            code: FOUND_WRONG.to_owned(),
            text: event.message,
        });
        let mark = PointMark {
            distrust: vec![(disk.device_key, audit.distrust())],
            events: events.collect(),
        };
        // What a run that died has covered builds on the last whole point.
        let points = [audit.newest, audit.point, audit.whole];
        let points: BTreeSet<PointId> = points.into_iter().flatten().collect();
        for point in &points {
            self.mark_point(*point, &mark);
        }
    }

    fn mark_point(&self, point: PointId, mark: &PointMark) {
        let options = SessionOptions {
            heartbeat: self.heartbeat,
            ..SessionOptions::default()
        };
        let runtime = &self.site.runtime;
        let event = match self
            .repository
            .mark(runtime, &host_name(), point, mark, options)
        {
            Ok(()) => Event::info("point-marked", format!("point {point} says so from now on")),
            Err(error) => Event::warning(
                "point-not-marked",
                format!("point {point} could not be marked: {}", chain(&error)),
            ),
        };
        self.recorder.event(&event);
    }
}

impl Held<'_> {
    /// Lets tracking begin anew after something was found wrong, however the run has ended. So do the marks of the
    /// points: each is reason enough for the next backup to read the disks in full.
    pub(super) fn act_on_mismatch(&self) {
        let events = self.around.recorder.events();
        if events.iter().any(|event| event.kind == MISMATCH) {
            self.begin_tracking_anew();
        }
    }

    fn begin_tracking_anew(&self) {
        let around = self.around;
        let not = |why: &str| {
            Event::warning(
                "tracking-not-reset",
                format!(
                    "tracking does not begin anew by itself: {why}; disks are read in full until it does: cbt-backup cbt reset"
                ),
            )
        };
        let is_on = self.vm.change_tracking_enabled != Some(false);
        let event = if around.options.tracking == TrackingPolicy::Never {
            not("this run was told not to switch it")
        } else if around.cancel.load(Ordering::Relaxed) {
            not("the run was stopped")
        } else if is_on {
            let options = SwitchOptions {
                cycle: true,
                task_limit: around.site.task_time_out,
                cancelled: &|| around.cancel.load(Ordering::Relaxed),
                on_step: &|step| around.recorder.step(step),
            };
            let reset = around.site.client.reset_tracking(around.moref, &options);
            match around.site.runtime.block_on(reset) {
                Ok(_) => Event::warning(
                    "tracking-reset",
                    "tracking has begun anew: the next backup reads all disks in full, and change ids of other products are void",
                ),
                Err(error @ TrackingError::LeftOff { .. }) => Event::warning(
                    "tracking-left-off",
                    format!(
                        "{}: switch tracking on: cbt-backup cbt enable --cycle",
                        chain(&error)
                    ),
                ),
                Err(error) => not(&chain(&error)),
            }
        } else {
            return;
        };
        around.recorder.event(&event);
    }
}
