//! The map of a disk's changed areas, asked for page by page.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use super::{
    coverage::{self, BadMap, Page, Uncovered},
    disk_run::{ASKED_SHIFT, DiskRun},
    error::{Error, chain},
};
use crate::vsphere::{self, Disk, DiskChangeInfo, QueryRefusal};

impl DiskRun<'_> {
    /// What has changed on a disk since `base_change_id`, with the proof that nothing is missing. `halt` ends it.
    pub(super) fn changed(
        &self,
        disk: &Disk,
        base_change_id: &str,
        halt: &AtomicBool,
    ) -> Result<coverage::Coverage, Uncovered<Error>> {
        let (begun, mut pages) = (Instant::now(), 0);
        coverage::cover(disk.capacity_bytes, ASKED_SHIFT, |start_bytes| {
            if halt.load(Ordering::Relaxed) {
                return Err(Uncovered::Query(Error::Interrupted));
            }
            if begun.elapsed() > MAP_LIMIT {
                let limit_seconds = MAP_LIMIT.as_secs();
                return Err(Uncovered::Bad(BadMap::TooSlow {
                    pages,
                    limit_seconds,
                }));
            }
            let ask = || self.ask_page(disk.device_key, start_bytes, base_change_id);
            let answer = match ask() {
                Err(error) if may_pass(&error) => ask(),
                answer => answer,
            };
            pages += 1;
            answer
                .map(|info| page(&info))
                .map_err(unreadable_or_refused)
        })
    }

    fn ask_page(
        &self,
        device_key: i32,
        start_bytes: u64,
        base_change_id: &str,
    ) -> Result<DiskChangeInfo, Error> {
        let asked = self.site.client.query_changed_disk_areas(
            self.vm,
            self.snapshot,
            device_key,
            start_bytes,
            base_change_id,
        );
        self.site.ask(asked)
    }
}

/// How long the whole map of one disk may take. Honest servers need seconds.
const MAP_LIMIT: Duration = Duration::from_hours(1);

/// True for trouble of host or storage, which gets a second try ("vSphere API reference", 5.6).
fn may_pass(error: &Error) -> bool {
    let Error::Vsphere(error) = error else {
        return false;
    };
    matches!(error, vsphere::Error::TimedOut { .. })
        || matches!(
            QueryRefusal::of_error(error),
            Some(QueryRefusal::Host | QueryRefusal::NotSupported)
        )
}

/// An answer that can't be read is a bad map; all else is a question that failed.
fn unreadable_or_refused(error: Error) -> Uncovered<Error> {
    match &error {
        Error::Vsphere(
            vsphere::Error::Xml { .. }
            | vsphere::Error::BadAnswer { .. }
            | vsphere::Error::TooLarge { .. },
        ) => Uncovered::Bad(BadMap::Unreadable { why: chain(&error) }),
        _ => Uncovered::Query(error),
    }
}

/// The refusal of a question that failed, if the server gave one.
pub(super) fn refusal_of(uncovered: &Uncovered<Error>) -> Option<QueryRefusal> {
    match uncovered {
        Uncovered::Query(Error::Vsphere(error)) => QueryRefusal::of_error(error),
        _ => None,
    }
}

fn page(info: &DiskChangeInfo) -> Page {
    Page {
        start_bytes: info.start_offset_bytes,
        length_bytes: info.length_bytes,
        areas: info
            .areas
            .iter()
            .map(|area| (area.start_bytes, area.length_bytes))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: &str = "QueryChangedDiskAreas";

    #[test]
    fn answers_that_cannot_be_read_are_bad_maps_and_failures_are_not() {
        let senseless = vsphere::Error::BadAnswer {
            method: METHOD,
            what: "no areas".to_owned(),
        };
        let huge = vsphere::Error::TooLarge {
            method: METHOD,
            limit_bytes: 1,
        };
        for error in [senseless, huge] {
            let judged = unreadable_or_refused(error.into());
            let Uncovered::Bad(BadMap::Unreadable { why }) = judged else {
                panic!("{judged:?}");
            };
            assert!(why.contains(METHOD), "{why}");
        }
        let slow = || vsphere::Error::TimedOut {
            method: METHOD,
            limit_ms: 1,
        };
        let judged = unreadable_or_refused(slow().into());
        assert!(matches!(judged, Uncovered::Query(_)), "{judged:?}");
        assert!(refusal_of(&judged).is_none());
        assert!(may_pass(&slow().into()));
        assert!(!may_pass(&Error::Interrupted));
    }
}
