//! What follows when vSphere was found to say what is not so.

use std::sync::atomic::Ordering;

use super::Held;
use crate::{
    engine::{
        audit::DiskAudit,
        disk_run::DiskReport,
        error::chain,
        host::host_name,
        monitor::{Event, Monitor},
        tracking::TrackingPolicy,
    },
    repo::{PointEvent, PointId, PointMark, SessionOptions},
    vsphere::{SwitchOptions, TrackingError},
};

impl Held<'_> {
    /// Marks the points that the disks were compared with, and the one that this run has made, as made by a tracking
    /// that is not to be believed; then lets tracking begin anew. Each is reason enough for the next backup to read
    /// the disks in full.
    pub(super) fn act_on_mismatch(&self, disks: &[DiskReport], made: Option<PointId>) {
        let wrong = |disk: &&DiskReport| disk.audit.as_ref().is_some_and(DiskAudit::is_wrong);
        let wrong: Vec<&DiskReport> = disks.iter().filter(wrong).collect();
        if wrong.is_empty() {
            return;
        }
        let points = wrong.iter().filter_map(|disk| disk.audit.as_ref()?.point);
        let mut points: Vec<PointId> = points.collect();
        points.sort_unstable();
        points.dedup();
        for point in points {
            let disks = wrong.iter().filter(|disk| {
                disk.audit
                    .as_ref()
                    .is_some_and(|audit| audit.point == Some(point))
            });
            let told = self.around.recorder.events().into_iter();
            let told = told.filter(|event| {
                event.kind == "audit-mismatch" && event.details["point"] == point.to_string()
            });
            let events = told.map(|event| PointEvent {
                code: event.kind,
                text: event.message,
            });
            self.mark(
                point,
                &PointMark {
                    distrusted: distrusted(disks.copied()),
                    events: events.collect(),
                },
            );
        }
        if let Some(made) = made {
            self.mark(
                made,
                &PointMark {
                    distrusted: distrusted(wrong.into_iter()),
                    events: Vec::new(),
                },
            );
        }
        self.begin_tracking_anew();
    }

    fn mark(&self, point: PointId, mark: &PointMark) {
        let around = self.around;
        let options = SessionOptions {
            heartbeat: around.options.heartbeat,
            ..SessionOptions::default()
        };
        let runtime = &around.site.runtime;
        let event = match around
            .repository
            .mark(runtime, &host_name(), point, mark, options)
        {
            Ok(()) => Event::info("point-marked", format!("point {point} says so from now on")),
            Err(error) => Event::warning(
                "point-not-marked",
                format!("point {point} could not be marked: {}", chain(&error)),
            ),
        };
        around.recorder.event(&event);
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

/// The disks with the tracking that was found wrong.
fn distrusted<'a>(disks: impl Iterator<Item = &'a DiskReport>) -> Vec<(i32, String)> {
    let pairs = disks.filter_map(|disk| {
        let tracking = disk.audit.as_ref()?.tracking.clone()?;
        Some((disk.device_key, tracking))
    });
    pairs.collect()
}
