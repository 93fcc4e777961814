//! Disks that grew where growth is tracked wrongly.

use super::plan::BaseDisk;
use crate::vsphere::{Disk, Host, tracking_of};

/// The tracking whose change ids are not believed any more, if there is one; a change id begins with it.
///
/// A disk that grows on a host with a known bug is told of wrongly from then on, not only once, until
/// tracking begins anew with another id ("vSphere API reference", 5.7). So the finding is handed on
/// from point to point.
pub(super) fn distrusted(disk: &Disk, base: Option<&BaseDisk>, host: &Host) -> Option<String> {
    let tracking = tracking_of(disk.backing.change_id.as_deref()?)?;
    let base = base?;
    let found_before = base.distrusted_tracking.as_deref() == Some(tracking);
    let same = base
        .change_id
        .as_deref()
        .and_then(tracking_of)
        // Without an id of the base nobody can tell when this tracking began.
        .is_none_or(|before| before == tracking);
    let grew = base.capacity_bytes != disk.capacity_bytes;
    (found_before || (grew && same && host.may_mistrack_growth())).then(|| tracking.to_owned())
}
