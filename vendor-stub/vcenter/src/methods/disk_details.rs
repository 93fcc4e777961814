//! What a search tells of disks, from their descriptors.

use std::path::Path;

use crate::value::{DataObject, Value};

/// The members of `VmDiskFileQueryFlags` that are asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct DiskDetails {
    wanted: Vec<&'static str>,
}

impl DiskDetails {
    /// Those of a `HostDatastoreBrowserSearchSpec`.
    pub(super) fn of(spec: &DataObject) -> Self {
        let queries = spec.get_items("query").iter().filter_map(Value::object);
        let mut wanted = Vec::new();
        for details in queries.filter_map(|query| query.get("details").and_then(Value::object)) {
            let members = details.members().map(|(name, _)| name);
            wanted.extend(members.filter(|name| details.get_flag(name)));
        }
        Self { wanted }
    }

    /// Adds what is asked for to a `VmDiskFileInfo`. A file that is no disk has none of it.
    pub(super) fn tell(&self, info: &mut DataObject, path: &Path) {
        if self.wanted.is_empty() {
            return;
        }
        let Ok(disk) = vmdk::Disk::open(path, vmdk::OpenOptions::default()) else {
            return;
        };
        let ddb = |name: &str| disk.descriptor().ddb(name);
        for name in &self.wanted {
            let value = match *name {
                "diskType" => Value::string("VirtualDiskFlatVer2BackingInfo"),
                "capacityKb" => Value::long(disk.capacity_sectors() * vmdk::SECTOR_BYTES / 1024),
                "hardwareVersion" => {
                    let version = ddb("virtualHWVersion").and_then(|text| text.parse().ok());
                    Value::int(version.unwrap_or(19))
                }
                "controllerType" => Value::string(match ddb("adapterType") {
                    Some("ide") => "VirtualIDEController",
                    Some("buslogic") => "VirtualBusLogicController",
                    _ => "VirtualLsiLogicController",
                }),
                "thin" => Value::boolean(ddb("thinProvisioned") == Some("1")),
                _ => continue,
            };
            info.set(name, value);
        }
    }
}
