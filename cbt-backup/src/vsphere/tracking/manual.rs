//! The manual way, for people who would rather do it themselves.

/// How tracking is switched on, looked at and begun anew without this program
/// ("vSphere API reference, 5.2 and 5.8").
pub const MANUAL_WAY: &str = "\
Change tracking by hand

Switch it on
  1. Look for snapshots. Remove them first: switched on beside one, the map is
     wrong, and since 6.5 nobody says so.
  2. Look at the hardware version. Older than vmx-07: power the VM off and
     upgrade its hardware. That can't be undone.
  3. Power the VM off. In its advanced settings, add or change
       ctkEnabled = TRUE
       scsi0:0.ctkEnabled = TRUE    for each disk; sata0:0 or nvme0:0 by its bus
     A disk whose setting is FALSE has no change id, whatever the VM says.
  4. Power it on: that is the stun cycle which makes the change take effect.
     Resuming, moving, and making or removing a snapshot are such cycles too.
  A running VM: set config.changeTrackingEnabled by ReconfigVM_Task, for
  instance with govc vm.change -vm NAME -e ctkEnabled=true, then make and
  remove a snapshot.

See that it is on
  Beside each disk lies NAME-ctk.vmdk. A snapshot made now has a changeId in the
  backing of each tracked disk: `cbt-backup cbt status --mob` prints where.
  A disk without one is not tracked.

Begin anew, after a query that fails time and again
  1. No snapshot may exist.
  2. Switch it off. Running: make and remove a snapshot. Powered off: remove
     what is left of NAME-ctk.vmdk.
  3. Switch it on. Running: make and remove a snapshot. Powered off: power on.
  4. The next backup reads everything. Do this once: if it does not help, it
     does not help twice.
";
