//! The manual way, for people who would rather do it themselves.

/// How something about tracking is done without this program ("vSphere API reference, 5.1 to 5.3
/// and 5.8").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManualWay {
    /// See whether it is on.
    Status,
    /// Switch it on.
    Enable,
    /// Switch it off.
    Disable,
    /// Begin anew.
    Reset,
}

impl ManualWay {
    /// All of them, in the order in which they are needed.
    pub const ALL: [Self; 4] = [Self::Enable, Self::Status, Self::Disable, Self::Reset];

    /// The steps, as lines to print.
    pub fn text(self) -> &'static str {
        match self {
            Self::Status => STATUS,
            Self::Enable => ENABLE,
            Self::Disable => DISABLE,
            Self::Reset => RESET,
        }
    }
}

const ENABLE: &str = "\
Switch change tracking on by hand
  1. Look for snapshots. Remove them first: switched on beside one, the map of
     changes is wrong, and since 6.5 nobody says so.
  2. Look at the hardware version. Older than vmx-07: power the VM off and
     upgrade its hardware. That can't be undone.
  3. Power the VM off. In its advanced settings, add or change
       ctkEnabled = TRUE
       scsi0:0.ctkEnabled = TRUE    for each disk; sata0:0 or nvme0:0 by its bus
     A disk whose setting is FALSE has no change id, whatever the VM says.
  4. Power it on: that is the stun cycle which makes the change take effect.
     Resuming, moving, and making or removing a snapshot are such cycles too.
  A VM that runs: set its changeTrackingEnabled, then make and remove a
  snapshot. In PowerCLI:
       $spec = New-Object VMware.Vim.VirtualMachineConfigSpec
       $spec.ChangeTrackingEnabled = $true
       (Get-VM NAME).ExtensionData.ReconfigVM($spec)
       New-Snapshot -VM NAME -Name cycle | Remove-Snapshot -Confirm:$false
  With pyVmomi the first three lines are one; govc has no option for it.
       vm.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True))
";

const STATUS: &str = "\
See by hand whether changes are tracked
  1. The VM's config.changeTrackingEnabled is true, and no setting of the form
     scsi0:0.ctkEnabled is FALSE: it is switched on.
  2. Beside each disk lies NAME-ctk.vmdk: it took effect.
  3. A snapshot made now has a changeId in the backing of each tracked disk.
     This is the proof: a disk without one is not tracked. The object browser
     shows it: `cbt-backup cbt status VM --mob` prints the pages.
";

const DISABLE: &str = "\
Switch change tracking off by hand
  1. Power the VM off. In its advanced settings, set ctkEnabled and each
     scsi0:0.ctkEnabled, sata0:0.ctkEnabled or nvme0:0.ctkEnabled to FALSE.
  2. Power it on: that is the stun cycle which makes the change take effect.
  A VM that runs: set its changeTrackingEnabled to false as below, then make and
  remove a snapshot.
       $spec = New-Object VMware.Vim.VirtualMachineConfigSpec
       $spec.ChangeTrackingEnabled = $false
       (Get-VM NAME).ExtensionData.ReconfigVM($spec)
       New-Snapshot -VM NAME -Name cycle | Remove-Snapshot -Confirm:$false
  Every change id of before is void then, also those of other products.
";

const RESET: &str = "\
Begin change tracking anew by hand, after a query that fails time and again
  1. No snapshot may exist.
  2. Switch it off. Running: make and remove a snapshot. Powered off: remove
     what is left of NAME-ctk.vmdk.
  3. Switch it on. Running: make and remove a snapshot. Powered off: power on.
  4. The next backup reads everything. Do this once: if it does not help, it
     does not help twice.
  Stopped between 2 and 3, the VM is left untracked: switch it on again.
";

#[cfg(test)]
mod tests {
    use super::ManualWay;

    #[test]
    fn each_way_has_steps_that_fit_a_terminal() {
        for way in ManualWay::ALL {
            let text = way.text();
            assert!(text.contains("\n  1. ") && text.ends_with('\n'), "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }
}
