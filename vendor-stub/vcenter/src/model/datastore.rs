//! Datastores.

use lab::{Datastore, DatastoreKind, Site, Vm, Vmfs};

use super::entity::entity;
use super::folder;
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

/// What every datastore claims to hold.
const CAPACITY_BYTES: u64 = 4 << 40;
/// The largest disk: 62 TiB.
const MAX_DISK_BYTES: u64 = 62 << 40;
/// What a VMFS is that nobody said more about.
const NEWEST_VMFS: Vmfs = Vmfs {
    version: 6,
    block_mib: 1,
};

pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let site = world.site()?;
    match site.datastores.iter().find(|found| found.moref == id) {
        Some(found) => Ok(Some(datastore(world, site, found)?)),
        None => Ok(None),
    }
}

/// The id of the browser of a datastore or a host.
pub(super) fn browser_id(owner: &str) -> String {
    format!("datastoreBrowser-{owner}")
}

/// The datastore that a browser is bound to; `None` for the browser of a host, which sees all.
pub(crate) fn browser_datastore(id: &str) -> Option<&str> {
    let owner = id.strip_prefix("datastoreBrowser-")?;
    owner.starts_with("datastore-").then_some(owner)
}

/// `HostDatastoreBrowser`.
pub(super) fn browser(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let site = world.site()?;
    let owner = id.strip_prefix("datastoreBrowser-").unwrap_or_default();
    let all = site.datastores.iter().map(|found| found.moref.as_str());
    let seen: Vec<&str> = all
        .filter(|moref| owner == site.host.moref || owner == *moref)
        .collect();
    if seen.is_empty() {
        return Ok(None);
    }
    let types = [
        "FolderFileQuery",
        "VmConfigFileQuery",
        "VmDiskFileQuery",
        "VmLogFileQuery",
        "VmNvramFileQuery",
        "VmSnapshotFileQuery",
    ];
    Ok(Some(
        DataObject::new("HostDatastoreBrowser")
            .with("datastore", Value::references("Datastore", seen))
            .with(
                "supportedType",
                Value::objects("FileQuery", types.map(DataObject::new)),
            ),
    ))
}

fn datastore(world: &World<'_>, site: &Site, found: &Datastore) -> Result<DataObject, Fault> {
    let vms: Vec<&Vm> = world
        .vms()?
        .iter()
        .filter(|vm| lies_on(vm, &found.name))
        .collect();
    let parent = folder::parent(site, &found.moref);
    let mount = DataObject::new("HostMountInfo")
        .text("path", volume_path(site, found))
        .text("accessMode", "readWrite")
        .flags(true, &["mounted", "accessible"]);
    let host = DataObject::new("DatastoreHostMount")
        .with("key", Value::reference("HostSystem", &site.host.moref))
        .part("mountInfo", mount);
    let ids = vms.iter().map(|vm| &vm.moref);
    Ok(
        entity(world, "Datastore", &found.moref, &found.name, parent)
            .part("info", info(site, found))
            .part("summary", summary(site, found, &vms))
            .with("host", Value::objects("DatastoreHostMount", [host]))
            .with("vm", Value::references("VirtualMachine", ids))
            .with(
                "browser",
                Value::reference("HostDatastoreBrowser", browser_id(&found.moref)),
            )
            .part("capability", capability(found.kind)),
    )
}

fn summary(site: &Site, found: &Datastore, vms: &[&Vm]) -> DataObject {
    let used: u64 = vms
        .iter()
        .flat_map(|vm| &vm.disks)
        .filter(|disk| disk.datastore == found.name)
        .map(|disk| disk.capacity_bytes)
        .fold(0, u64::saturating_add);
    DataObject::new("DatastoreSummary")
        .with("datastore", Value::reference("Datastore", &found.moref))
        .text("name", &found.name)
        .text("url", format!("ds://{}/", volume_path(site, found)))
        .with("capacity", Value::long(CAPACITY_BYTES))
        .with(
            "freeSpace",
            Value::long(CAPACITY_BYTES.saturating_sub(used)),
        )
        .with("accessible", Value::boolean(true))
        .with("multipleHostAccess", Value::boolean(found.kind.is_shared()))
        .text("type", summary_type(found.kind))
        .text("maintenanceMode", "normal")
}

/// `Datastore.info`, of the type that its kind has.
fn info(site: &Site, found: &Datastore) -> DataObject {
    let path = volume_path(site, found);
    let id = path.rsplit('/').next().unwrap_or_default().to_owned();
    let volume = |type_name: &'static str| {
        DataObject::new(type_name)
            .text("type", summary_type(found.kind))
            .text("name", &found.name)
            .with("capacity", Value::long(CAPACITY_BYTES))
    };
    let info = match found.kind {
        DatastoreKind::Vmfs | DatastoreKind::Local => {
            let vmfs = found.vmfs.unwrap_or(NEWEST_VMFS);
            let extent = DataObject::new("HostScsiDiskPartition")
                .text("diskName", format!("naa.{}", id.replace('-', "")))
                .with("partition", Value::int(1));
            let volume = volume("HostVmfsVolume")
                .with("blockSizeMb", Value::int(vmfs.block_mib.into()))
                .with("blockSize", Value::int(i32::from(vmfs.block_mib) * 1024))
                .with("maxBlocks", Value::int(61 * 1024 * 1024))
                .with("majorVersion", Value::int(vmfs.version.into()))
                .text("version", vmfs_version(vmfs))
                .text("uuid", &id)
                .with("extent", Value::objects("HostScsiDiskPartition", [extent]))
                .with("vmfsUpgradable", Value::boolean(vmfs.version == 3))
                .with("ssd", Value::boolean(false))
                .with("local", Value::boolean(!found.kind.is_shared()));
            DataObject::new("VmfsDatastoreInfo")
                .with("maxPhysicalRDMFileSize", Value::long(MAX_DISK_BYTES))
                .with("maxVirtualRDMFileSize", Value::long(MAX_DISK_BYTES))
                .part("vmfs", volume)
        }
        DatastoreKind::Nfs => {
            let volume = volume("HostNasVolume")
                .text("remoteHost", "nas.lab.test")
                .text("remotePath", format!("/export/{}", found.name));
            DataObject::new("NasDatastoreInfo").part("nas", volume)
        }
        DatastoreKind::Vsan => DataObject::new("VsanDatastoreInfo").text("membershipUuid", &id),
        DatastoreKind::Vvol => DataObject::new("VvolDatastoreInfo"),
    };
    info.text("name", &found.name)
        .text("url", format!("ds://{path}/"))
        .with("freeSpace", Value::long(CAPACITY_BYTES))
        .with("maxFileSize", Value::long(max_file_bytes(found)))
        .with("maxVirtualDiskCapacity", Value::long(max_file_bytes(found)))
        .with("maxMemoryFileSize", Value::long(MAX_DISK_BYTES))
}

/// The version a VMFS calls itself by.
fn vmfs_version(vmfs: Vmfs) -> &'static str {
    match vmfs.version {
        3 => "3.60",
        5 => "5.81",
        _ => "6.82",
    }
}

/// The largest file: on VMFS-3 it depends on the size of the blocks.
fn max_file_bytes(found: &Datastore) -> u64 {
    match found.vmfs {
        Some(vmfs) if vmfs.version == 3 => u64::from(vmfs.block_mib) * (256 << 30),
        _ => MAX_DISK_BYTES,
    }
}

fn capability(kind: DatastoreKind) -> DataObject {
    let directories = Value::boolean(!kind.has_no_top_folders());
    DataObject::new("DatastoreCapability")
        .flags(
            true,
            &[
                "directoryHierarchySupported",
                "rawDiskMappingsSupported",
                "perFileThinProvisioningSupported",
            ],
        )
        .flags(false, &["storageIORMSupported", "nativeSnapshotSupported"])
        .with("topLevelDirectoryCreateSupported", directories)
        .with("seSparseSupported", Value::boolean(false))
}

fn summary_type(kind: DatastoreKind) -> &'static str {
    match kind {
        DatastoreKind::Vmfs | DatastoreKind::Local => "VMFS",
        DatastoreKind::Nfs => "NFS",
        DatastoreKind::Vsan => "vsan",
        DatastoreKind::Vvol => "VVOL",
    }
}

/// Whether the VM has its home or a disk there.
pub(super) fn lies_on(vm: &Vm, datastore: &str) -> bool {
    vm.vmx_path
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .is_some_and(|(name, _)| name == datastore)
        || vm.disks.iter().any(|disk| disk.datastore == datastore)
}

/// `/vmfs/volumes/<id>`, with an id in the form of VMFS made from the site's own.
pub(crate) fn volume_path(site: &Site, found: &Datastore) -> String {
    let digits: Vec<char> = site
        .instance_uuid
        .chars()
        .filter(char::is_ascii_hexdigit)
        .chain(std::iter::repeat('0'))
        .take(24)
        .collect();
    let part = |range: std::ops::Range<usize>| digits[range].iter().collect::<String>();
    let number: u32 = found
        .moref
        .rsplit('-')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default();
    format!(
        "/vmfs/volumes/{}-{number:08x}-{}-{}",
        part(0..8),
        part(8..12),
        part(12..24)
    )
}
