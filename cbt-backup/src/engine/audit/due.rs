//! When a disk is audited on the way for no other reason than that it was not for long.

use super::AUDITED;
use crate::{
    engine::{backup::Purpose, base::is_of, disk_run::DiskRun, error::Error},
    repo::{DiskRecord, DiskState, Point},
    vsphere::Disk,
};

impl DiskRun<'_> {
    /// Why the disk is audited on the way: so many points were made of it since one in which it was.
    pub(in crate::engine) fn audit_due(&self, disk: &Disk) -> Result<Option<String>, Error> {
        let Purpose::Backup { audit_every } = self.options.purpose else {
            return Ok(None);
        };
        if audit_every == 0 {
            return Ok(None);
        }
        let since = self
            .row
            .with(|session| points_since(session.parents(), disk))?;
        let is_due = since as u64 + 1 >= u64::from(audit_every);
        Ok(is_due.then(|| format!("every {audit_every} points")))
    }
}

/// How many points with new data of the disk were made since the last in which it was audited. `points` are
/// newest first.
fn points_since(points: &[Point], disk: &Disk) -> usize {
    let same = |record: &&DiskRecord| is_of(disk, record) && record.state == DiskState::Complete;
    let with_it = points.iter().filter_map(|point| {
        let record = point.root.disks.iter().find(same)?;
        Some((point, record))
    });
    with_it
        .take_while(|(point, record)| !was_audited(point, record))
        .count()
}

/// The event of an audit begins with the disk's label.
fn was_audited(point: &Point, record: &DiskRecord) -> bool {
    let mut events = point.root.events.iter();
    events.any(|event| {
        let rest = event.text.strip_prefix(&record.identity.label);
        event.code == AUDITED && rest.is_some_and(|rest| rest.starts_with(": "))
    })
}
