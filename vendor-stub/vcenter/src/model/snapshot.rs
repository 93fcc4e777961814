//! Snapshots: the tree in the VM, and the objects with their frozen configuration.

use lab::{Snapshot, Vm};

use super::config::Config;
use super::vm::power_state;
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let Some(vm) = world.vm_by_snapshot(id)? else {
        return Ok(None);
    };
    let Some(snapshot) = vm.snapshot(id) else {
        return Ok(None);
    };
    let children = children(&vm, Some(id)).map(|child| &child.moref);
    Ok(Some(
        DataObject::new("VirtualMachineSnapshot")
            .part("config", Config(&snapshot.vm_then(&vm)).info(world.site()?))
            .with(
                "childSnapshot",
                Value::references("VirtualMachineSnapshot", children),
            )
            .with("vm", Value::reference("VirtualMachine", &vm.moref)),
    ))
}

/// The property `snapshot` of a VM; unset without snapshots.
pub(super) fn tree(vm: &Vm) -> Option<DataObject> {
    if vm.snapshots.is_empty() {
        return None;
    }
    let current = vm
        .current_snapshot
        .as_ref()
        .map(|id| Value::reference("VirtualMachineSnapshot", id));
    Some(
        DataObject::new("VirtualMachineSnapshotInfo")
            .with_some("currentSnapshot", current)
            .with("rootSnapshotList", nodes(vm, None, vm.snapshots.len())),
    )
}

fn children<'a>(vm: &'a Vm, parent: Option<&str>) -> impl Iterator<Item = &'a Snapshot> {
    vm.snapshots
        .iter()
        .filter(move |snapshot| snapshot.parent.as_deref() == parent)
}

/// The nodes below `parent`. `depth` ends a tree that is no tree.
fn nodes(vm: &Vm, parent: Option<&str>, depth: usize) -> Value {
    let nodes = children(vm, parent).map(|snapshot| {
        let below = match depth.checked_sub(1) {
            Some(depth) => nodes(vm, Some(&snapshot.moref), depth),
            None => Value::objects("VirtualMachineSnapshotTree", []),
        };
        DataObject::new("VirtualMachineSnapshotTree")
            .with(
                "snapshot",
                Value::reference("VirtualMachineSnapshot", &snapshot.moref),
            )
            .with("vm", Value::reference("VirtualMachine", &vm.moref))
            .text("name", &snapshot.name)
            .text("description", &snapshot.description)
            .with("id", Value::int(snapshot.id))
            .with("createTime", Value::time(&snapshot.create_time))
            .with("state", power_state(snapshot.power_state))
            .with("quiesced", Value::boolean(snapshot.quiesced))
            .with("childSnapshotList", below)
            .with("replaySupported", Value::boolean(false))
    });
    Value::objects("VirtualMachineSnapshotTree", nodes)
}
