//! QueryChangedDiskAreas.

use lab::{ChangedAreas, ChangedAreasError, Vm};

use super::dispatch::Call;
use super::lie::told;
use super::snapshot::refuse_disabled;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, Value};
use crate::world::lab_fault;

pub(super) fn query(call: &Call<'_>) -> Result<Answer, Fault> {
    let vm = call.world.existing_vm(call.this)?;
    refuse_disabled(&vm, "QueryChangedDiskAreas")?;
    let snapshot = call.args.get_reference("snapshot");
    if let Some(snapshot) = snapshot
        && vm.snapshot(&snapshot.id).is_none()
    {
        return Err(Fault::not_found(snapshot));
    }
    let snapshot = snapshot.map(|snapshot| snapshot.id.as_str());
    let device_key: i32 = call.number("deviceKey")?;
    let start: u64 = call.number("startOffset")?;
    let change_id = call.text("changeId");
    let page = call
        .world
        .state
        .lab
        .changed_areas(&vm.moref, snapshot, device_key, start, change_id)
        .map_err(|error| query_fault(&error))?;
    let page = match call.ordered.and_then(|ordered| ordered.lie) {
        None => page,
        Some(lie) => told(lie, page, capacity_bytes(&vm, snapshot, device_key)),
    };
    Ok(Answer::One(Value::Object(info(&page))))
}

fn capacity_bytes(vm: &Vm, snapshot: Option<&str>, device_key: i32) -> u64 {
    let disks = match snapshot.and_then(|id| vm.snapshot(id)) {
        Some(snapshot) => &snapshot.disks,
        None => &vm.disks,
    };
    disks
        .iter()
        .find(|disk| disk.device_key == device_key)
        .map_or(0, |disk| disk.capacity_bytes)
}

fn query_fault(error: &ChangedAreasError) -> Fault {
    match error {
        ChangedAreasError::InvalidArgument { property } => Fault::invalid_argument(property),
        ChangedAreasError::FileFault { file } => Fault::file("FileFault", file),
        ChangedAreasError::NotFound => Fault::new(
            "NotFound",
            "The object or item referred to could not be found.",
        ),
        ChangedAreasError::Lab(error) => lab_fault(error),
        other => Fault::system_error(other.to_string()),
    }
}

fn info(page: &ChangedAreas) -> DataObject {
    let areas = page.areas.iter().map(|area| {
        DataObject::new("DiskChangeExtent")
            .with("start", Value::long(area.start_bytes))
            .with("length", Value::long(area.length_bytes))
    });
    DataObject::new("DiskChangeInfo")
        .with("startOffset", Value::long(page.start_offset_bytes))
        .with("length", Value::long(page.length_bytes))
        .with("changedArea", Value::objects("DiskChangeExtent", areas))
}
