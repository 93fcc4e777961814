//! A run that makes no point: what vSphere says of a VM's disks is compared with the last one.

use std::sync::atomic::AtomicBool;

use super::{Around, BackupOptions};
use crate::{
    engine::{
        audit::DiskAudit,
        disk_run::DiskReport,
        error::Error,
        monitor::{Event, Monitor},
        recorder::Recorder,
        site::Site,
    },
    repo::Repository,
    vsphere::Moref,
};

/// What an audit found.
#[derive(Clone, Debug)]
pub struct AuditReport {
    /// The VM's name.
    pub vm: String,
    /// What was found of each disk.
    pub disks: Vec<DiskReport>,
    /// What happened.
    pub events: Vec<Event>,
    /// Something is left in vSphere.
    pub left_behind: bool,
    /// Some disks could not be read.
    pub incomplete: bool,
}

impl AuditReport {
    /// True when something that vSphere says is not so.
    pub fn is_wrong(&self) -> bool {
        let mut audits = self.disks.iter().filter_map(|disk| disk.audit.as_ref());
        audits.any(DiskAudit::is_wrong)
    }
}

/// Audits one VM: the way there and back is that of a backup. When something is wrong, the point that was compared
/// is marked and tracking begins anew, so that the next backup is a full.
///
/// # Errors
/// As [`super::backup()`]; what was changed in vSphere is undone all the same.
pub fn audit(
    site: &Site,
    repository: &Repository,
    moref: &Moref,
    options: &BackupOptions,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<AuditReport, Error> {
    let recorder = Recorder::new(monitor);
    let around = Around {
        site,
        repository,
        moref,
        options,
        recorder: &recorder,
        cancel,
    };
    around.hold(|held, session, ledger| {
        let run = held.run(session, ledger, |session, vm, read, _| {
            session.abandon();
            Ok((vm, read.disks))
        });
        held.act_on_mismatch();
        let ((vm, disks), unwound) = run?;
        Ok(AuditReport {
            vm,
            incomplete: disks.iter().any(|disk| disk.failure.is_some()),
            disks,
            events: recorder.events(),
            left_behind: held.left_before || !unwound.is_clean,
        })
    })
}
