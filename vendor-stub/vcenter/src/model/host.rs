//! The host's parts that have managers of their own: storage adapters, and VMs that start by themselves.

use crate::value::{DataObject, Value};

/// The host's manager of storage.
const STORAGE: &str = "storageSystem-16";
/// The host's manager of what starts by itself.
const AUTO_START: &str = "autoStartManager-16";

/// The manager of that id.
pub(super) fn properties(id: &str) -> Option<DataObject> {
    match id {
        STORAGE => {
            Some(DataObject::new("HostStorageSystem").part("storageDeviceInfo", storage_device()))
        }
        AUTO_START => Some(DataObject::new("HostAutoStartManager").part("config", auto_start())),
        _ => None,
    }
}

/// `HostSystem.configManager`.
pub(super) fn managers() -> DataObject {
    DataObject::new("HostConfigManager")
        .with(
            "storageSystem",
            Value::reference("HostStorageSystem", STORAGE),
        )
        .with(
            "autoStartManager",
            Value::reference("HostAutoStartManager", AUTO_START),
        )
}

/// One adapter, for disks of its own. There is no iSCSI.
pub(super) fn storage_device() -> DataObject {
    let adapter = DataObject::new("HostBlockHba")
        .text("key", "key-vim.host.BlockHba-vmhba0")
        .text("device", "vmhba0")
        .with("bus", Value::int(0))
        .text("status", "unknown")
        .text("model", "Stand-in adapter")
        .text("driver", "lab");
    DataObject::new("HostStorageDeviceInfo")
        .with(
            "hostBusAdapter",
            Value::objects("HostHostBusAdapter", [adapter]),
        )
        .with("softwareInternetScsiEnabled", Value::boolean(false))
}

/// No VM starts by itself.
pub(super) fn auto_start() -> DataObject {
    let defaults = DataObject::new("AutoStartDefaults")
        .flags(false, &["enabled", "waitForHeartbeat"])
        .with("startDelay", Value::int(120))
        .with("stopDelay", Value::int(120))
        .text("stopAction", "PowerOff");
    DataObject::new("HostAutoStartManagerConfig").part("defaults", defaults)
}
