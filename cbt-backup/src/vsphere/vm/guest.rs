//! What is known of the system inside a VM.

use crate::vsphere::xml::{Reader, Tag, XmlError};

/// The guest, as VMware Tools and the configuration tell. A guest that was never on has little.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guest {
    /// What the VM is configured for, such as `rhel8_64Guest`.
    pub configured_id: Option<String>,
    /// The same for people.
    pub configured_name: Option<String>,
    /// Such as `guestToolsRunning`, which quiescing wants.
    pub tools_running_status: Option<String>,
    /// Such as `guestToolsCurrent` or `guestToolsNotInstalled`.
    pub tools_version_status: Option<String>,
    /// Such as `linuxGuest` or `windowsGuest`, as Tools found it.
    pub family: Option<String>,
    /// Its own name.
    pub host_name: Option<String>,
    /// Its first address.
    pub ip_address: Option<String>,
    /// Such as `running` or `notRunning`.
    pub state: Option<String>,
}

impl Guest {
    /// True if Tools run, without which a guest can't be quiesced.
    pub fn has_running_tools(&self) -> bool {
        self.tools_running_status.as_deref() == Some("guestToolsRunning")
    }

    /// Takes one property of `guest`.
    pub(super) fn take(
        &mut self,
        name: &str,
        r: &mut Reader<'_>,
        value: &Tag,
    ) -> Result<(), XmlError> {
        let place = match name {
            "toolsRunningStatus" => &mut self.tools_running_status,
            "toolsVersionStatus2" => &mut self.tools_version_status,
            "guestFamily" => &mut self.family,
            "hostName" => &mut self.host_name,
            "ipAddress" => &mut self.ip_address,
            "guestState" => &mut self.state,
            _ => return Ok(()),
        };
        *place = Some(r.text(value)?).filter(|text| !text.is_empty());
        Ok(())
    }
}
