//! Disks that grew where growth is tracked wrongly.

use super::plan::BaseDisk;
use crate::vsphere::{Disk, Host, tracking_of};

/// True when the disk grew since the last point, within one tracking, on a host with a known bug: such a
/// disk is told of wrongly from then on, not only once, until tracking begins anew with another id
/// ("vSphere API reference", 5.7).
pub(super) fn is_mistracked(disk: &Disk, base: Option<&BaseDisk>, host: &Host) -> bool {
    let Some(base) = base else {
        return false;
    };
    let (old, new) = (&base.change_id, &disk.backing.change_id);
    let same = old
        .as_deref()
        .and_then(tracking_of)
        // Without an id of the base nobody can tell when this tracking began.
        .is_none_or(|old| new.as_deref().and_then(tracking_of) == Some(old));
    base.capacity_bytes != disk.capacity_bytes && same && host.may_mistrack_growth()
}
