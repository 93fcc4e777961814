//! Methods of VirtualDiskManager ("vSphere API reference", 2.12).

use lab::{DiskSpec, Provisioning};

use super::datastore_name::place;
use super::dispatch::Call;
use super::file_manager::start_in_datacenter;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, Value};
use crate::world::lab_fault;

const MANAGE: &str = "Datastore.FileManagement";
const NAME: (&str, &str) = ("name", "datacenter");
const SOURCE: (&str, &str) = ("sourceName", "sourceDatacenter");
const TARGET: (&str, &str) = ("destName", "destDatacenter");
const ADAPTERS: [&str; 3] = ["busLogic", "ide", "lsiLogic"];

pub(super) fn create(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = place(call, NAME, MANAGE)?.to_owned();
    let spec = call.args.get("spec").and_then(Value::object);
    let spec = spec.ok_or_else(|| Fault::invalid_argument("spec"))?;
    let disk = DiskSpec {
        capacity_bytes: kib(spec, "capacityKb")?,
        provisioning: provisioning(spec)?,
        ..DiskSpec::default()
    };
    let names = (
        "CreateVirtualDisk_Task",
        "VirtualDiskManager.createVirtualDisk",
    );
    start_in_datacenter(call, names, move |lab| {
        lab.create_virtual_disk(&path, &disk)?;
        Ok(Some(Value::string(path)))
    })
}

pub(super) fn delete(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = place(call, NAME, MANAGE)?.to_owned();
    let names = (
        "DeleteVirtualDisk_Task",
        "VirtualDiskManager.deleteVirtualDisk",
    );
    start_in_datacenter(call, names, move |lab| {
        lab.delete_virtual_disk(&path)?;
        Ok(None)
    })
}

pub(super) fn extend(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = place(call, NAME, MANAGE)?.to_owned();
    let capacity_bytes = kib(call.args, "newCapacityKb")?;
    let names = (
        "ExtendVirtualDisk_Task",
        "VirtualDiskManager.extendVirtualDisk",
    );
    start_in_datacenter(call, names, move |lab| {
        lab.extend_virtual_disk(&path, capacity_bytes)?;
        Ok(None)
    })
}

pub(super) fn relocate(call: &Call<'_>) -> Result<Answer, Fault> {
    let (from, to, force) = both(call)?;
    let names = ("MoveVirtualDisk_Task", "VirtualDiskManager.moveVirtualDisk");
    start_in_datacenter(call, names, move |lab| {
        lab.move_virtual_disk(&from, &to, force)?;
        Ok(Some(Value::string(to)))
    })
}

pub(super) fn copy(call: &Call<'_>) -> Result<Answer, Fault> {
    let (from, to, force) = both(call)?;
    let names = ("CopyVirtualDisk_Task", "VirtualDiskManager.copyVirtualDisk");
    start_in_datacenter(call, names, move |lab| {
        lab.copy_virtual_disk(&from, &to, force)?;
        Ok(Some(Value::string(to)))
    })
}

/// QueryVirtualDiskUuid, in the form of the disk database.
pub(super) fn uuid(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = place(call, NAME, "Datastore.Browse")?;
    let uuid = call.world.state.lab.virtual_disk_uuid(path);
    let uuid = uuid.map_err(|error| lab_fault(&error))?.unwrap_or_default();
    Ok(Answer::One(Value::string(lab::ddb_uuid(&uuid))))
}

pub(super) fn set_uuid(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = place(call, NAME, MANAGE)?;
    let lab = &call.world.state.lab;
    lab.set_virtual_disk_uuid(path, call.text("uuid"))
        .map_err(|error| lab_fault(&error))?;
    Ok(Answer::Nothing)
}

fn both(call: &Call<'_>) -> Result<(String, String, bool), Fault> {
    let from = place(call, SOURCE, MANAGE)?.to_owned();
    let target = match call.args.get_reference(TARGET.1) {
        Some(_) => TARGET,
        None => (TARGET.0, SOURCE.1),
    };
    let to = place(call, target, MANAGE)?.to_owned();
    Ok((from, to, call.args.get_flag("force")))
}

/// A member in KiB as bytes.
fn kib(object: &DataObject, name: &'static str) -> Result<u64, Fault> {
    let text = object.get_text(name);
    text.and_then(|text| text.parse::<u64>().ok())
        .and_then(|kib| kib.checked_mul(1024))
        .ok_or_else(|| Fault::invalid_argument(name))
}

fn provisioning(spec: &DataObject) -> Result<Provisioning, Fault> {
    if !spec
        .get_text("adapterType")
        .is_some_and(|adapter| ADAPTERS.contains(&adapter))
    {
        return Err(Fault::invalid_argument("spec.adapterType"));
    }
    match spec.get_text("diskType") {
        Some("thin") => Ok(Provisioning::Thin),
        Some("preallocated" | "thick") => Ok(Provisioning::LazyThick),
        Some("eagerZeroedThick") => Ok(Provisioning::EagerThick),
        Some("seSparse" | "rdm" | "rdmp" | "raw" | "delta") => {
            Err(Fault::not_supported("spec.diskType"))
        }
        _ => Err(Fault::invalid_argument("spec.diskType")),
    }
}
