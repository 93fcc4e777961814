//! `layoutEx`: the files of a VM ("vSphere API reference", 3.5).

use lab::{DiskLayout, LayoutFile, SnapshotLayout, Vm};

use crate::schema::TypeRef;
use crate::value::{DataObject, Value};
use crate::world::World;

const DISK: &str = "VirtualMachineFileLayoutExDiskLayout";

/// The files of a VM; `None` when they cannot be listed.
pub(super) fn of_vm(world: &World<'_>, vm: &Vm) -> Option<DataObject> {
    let layout = world.state.lab.file_layout(vm).ok()?;
    let files = layout.files.iter().map(file);
    let disks = layout.disks.iter().map(disk);
    let snapshots = layout.snapshots.iter().map(snapshot);
    Some(
        DataObject::new("VirtualMachineFileLayoutEx")
            .with(
                "file",
                Value::objects("VirtualMachineFileLayoutExFileInfo", files),
            )
            .with("disk", Value::objects(DISK, disks))
            .with(
                "snapshot",
                Value::objects("VirtualMachineFileLayoutExSnapshotLayout", snapshots),
            )
            .with("timestamp", Value::time(&vm.change_version)),
    )
}

fn file(found: &LayoutFile) -> DataObject {
    DataObject::new("VirtualMachineFileLayoutExFileInfo")
        .with("key", Value::int(found.key))
        .text("name", &found.name)
        .text("type", found.kind)
        .with("size", Value::long(found.size_bytes))
        .with("uniqueSize", Value::long(found.size_bytes))
        .with("accessible", Value::boolean(true))
}

fn disk(found: &DiskLayout) -> DataObject {
    let links = found.chain.iter().map(|keys| {
        let keys = keys.iter().copied().map(Value::int).collect();
        DataObject::new("VirtualMachineFileLayoutExDiskUnit")
            .with("fileKey", Value::Array(TypeRef::Simple("int"), keys))
    });
    DataObject::new(DISK)
        .with("key", Value::int(found.device_key))
        .with(
            "chain",
            Value::objects("VirtualMachineFileLayoutExDiskUnit", links),
        )
}

fn snapshot(found: &SnapshotLayout) -> DataObject {
    DataObject::new("VirtualMachineFileLayoutExSnapshotLayout")
        .with(
            "key",
            Value::reference("VirtualMachineSnapshot", &found.moref),
        )
        .with("dataKey", Value::int(found.data_key))
        .with("memoryKey", Value::int(found.memory_key))
        .with("disk", Value::objects(DISK, found.disks.iter().map(disk)))
}
