//! Events, as tasks tell them: one when a task begins, and one of its kind when it has done its work.

use lab::Site;

use crate::history::Entry;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

/// What a task that did its work leaves: its method, the event, and what the event says of the VM.
const DONE: [(&str, &str, &str); 11] = [
    ("PowerOnVM_Task", "VmPoweredOnEvent", "is powered on"),
    ("PowerOffVM_Task", "VmPoweredOffEvent", "is powered off"),
    ("SuspendVM_Task", "VmSuspendedEvent", "is suspended"),
    ("ResetVM_Task", "VmResettingEvent", "is reset"),
    ("CreateVM_Task", "VmCreatedEvent", "was created"),
    ("RegisterVM_Task", "VmRegisteredEvent", "was registered"),
    ("CloneVM_Task", "VmClonedEvent", "was cloned"),
    ("ReconfigVM_Task", "VmReconfiguredEvent", "was reconfigured"),
    ("MigrateVM_Task", "VmMigratedEvent", "was migrated"),
    ("RelocateVM_Task", "VmMigratedEvent", "was relocated"),
    ("Destroy_Task", "VmRemovedEvent", "was removed"),
];
/// The only category there is.
pub(crate) const CATEGORY: &str = "info";

/// The types of events there are, with what they say.
pub(crate) fn types() -> impl Iterator<Item = (&'static str, &'static str)> {
    let mut seen = Vec::new();
    let done = DONE.iter().map(|(_, name, text)| (*name, *text));
    std::iter::once(("TaskEvent", "a task begins"))
        .chain(done)
        .filter(move |(name, _)| {
            let is_new = !seen.contains(name);
            seen.push(*name);
            is_new
        })
}

/// The tasks that are remembered, oldest first.
pub(crate) fn tasks(world: &World<'_>) -> Result<Vec<Entry>, Fault> {
    let infos = world.state.tasks.all_infos().into_iter();
    let entries = infos.map(|info| {
        let number = number(&info);
        let about = info.get_reference("entity").cloned();
        entry(world, number, info, about.into_iter().collect())
    });
    entries.collect()
}

/// The events of the tasks that are remembered, oldest first.
pub(crate) fn events(world: &World<'_>) -> Result<Vec<Entry>, Fault> {
    let site = world.site()?;
    let mut all = Vec::new();
    for (info, begun, done) in world.state.tasks.all_events() {
        let entity = info.get_reference("entity").cloned();
        all.push((begun, task_event(world, site, &info)?, entity));
        let left = done_event(world, site, &info)?;
        if let Some((done, (event, vm))) = done.zip(left) {
            all.push((done, event, Some(vm)));
        }
    }
    all.sort_by_key(|(key, ..)| *key);
    let entries = all.into_iter().map(|(key, event, about)| {
        let shown = i32::try_from(key).unwrap_or(i32::MAX);
        let event = event.with("key", Value::int(shown));
        entry(world, u64::from(key), event, about.into_iter().collect())
    });
    entries.collect()
}

fn number(info: &DataObject) -> u64 {
    let number = info.get_text("eventChainId");
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// An object of history with what it is about, and all that is above that.
fn entry(
    world: &World<'_>,
    number: u64,
    object: DataObject,
    about: Vec<MoRef>,
) -> Result<Entry, Fault> {
    let site = world.site()?;
    let about: Vec<String> = about.into_iter().map(|found| found.id).collect();
    let mut above = vec![site.datacenter.moref.clone(), Site::ROOT_FOLDER.to_owned()];
    for id in &about {
        above.extend(world.path_up(id)?.into_iter().skip(1));
        if id.starts_with("vm-") {
            above.extend([&site.host.moref, &site.compute_resource.moref].map(Clone::clone));
        }
    }
    Ok(Entry {
        number,
        object,
        about,
        above,
    })
}

fn task_event(world: &World<'_>, site: &Site, info: &DataObject) -> Result<DataObject, Fault> {
    let name = info.get_text("name").unwrap_or_default();
    let vm = info.get_reference("entity").cloned();
    let vm = vm.filter(|vm| vm.type_name == "VirtualMachine");
    let text = format!("Task: {}", name.trim_end_matches("_Task"));
    let time = info.get_text("queueTime").unwrap_or_default();
    let event = event(world, site, ("TaskEvent", info, time), vm.as_ref(), &text)?;
    Ok(event.part("info", info.clone()))
}

/// The event of a task that did its work, and the VM it is about.
fn done_event(
    world: &World<'_>,
    site: &Site,
    info: &DataObject,
) -> Result<Option<(DataObject, MoRef)>, Fault> {
    let name = info.get_text("name").unwrap_or_default();
    let known = DONE.iter().find(|(method, ..)| *method == name);
    let (Some((_, kind, text)), Some("success")) = (known, info.get_text("state")) else {
        return Ok(None);
    };
    let entity = info.get_reference("entity");
    let vm = info.get_reference("result").or(entity);
    let Some(vm) = vm.filter(|vm| vm.type_name == "VirtualMachine") else {
        return Ok(None);
    };
    let shown = vm_name(world, vm, info)?;
    let text = format!(
        "{shown} on {} in {} {text}",
        site.host.name, site.datacenter.name
    );
    let time = info.get_text("completeTime").unwrap_or_default();
    let mut event = event(world, site, (*kind, info, time), Some(vm), &text)?;
    event.set("template", Value::boolean(false));
    match *kind {
        "VmReconfiguredEvent" => {
            event.set(
                "configSpec",
                Value::Object(DataObject::new("VirtualMachineConfigSpec")),
            );
        }
        "VmMigratedEvent" => event.set("sourceHost", Value::Object(host(site))),
        "VmClonedEvent" => {
            let source =
                entity.map_or_else(|| Ok(None), |vm| vm_argument(world, vm, info).map(Some))?;
            if let Some(source) = source {
                event.set("sourceVm", Value::Object(source));
            }
        }
        _ => {}
    }
    Ok(Some((event, vm.clone())))
}

fn event(
    world: &World<'_>,
    site: &Site,
    (kind, info, time): (&'static str, &DataObject, &str),
    vm: Option<&MoRef>,
    text: &str,
) -> Result<DataObject, Fault> {
    let user = info.get("reason").and_then(Value::object);
    let user = user.and_then(|reason| reason.get_text("userName"));
    let datacenter = DataObject::new("DatacenterEventArgument")
        .text("name", &site.datacenter.name)
        .with(
            "datacenter",
            Value::reference("Datacenter", &site.datacenter.moref),
        );
    let mut event = DataObject::new(kind)
        .with(
            "chainId",
            Value::int(i32::try_from(number(info)).unwrap_or(i32::MAX)),
        )
        .with("createdTime", Value::time(time))
        .text("userName", user.unwrap_or_default())
        .part("datacenter", datacenter)
        .text("fullFormattedMessage", text);
    if let Some(vm) = vm {
        let compute = &site.compute_resource;
        let compute = DataObject::new("ComputeResourceEventArgument")
            .text("name", &compute.name)
            .with(
                "computeResource",
                Value::reference("ComputeResource", &compute.moref),
            );
        event = event
            .part("computeResource", compute)
            .part("host", host(site))
            .part("vm", vm_argument(world, vm, info)?);
    }
    Ok(event)
}

fn host(site: &Site) -> DataObject {
    DataObject::new("HostEventArgument")
        .text("name", &site.host.name)
        .with("host", Value::reference("HostSystem", &site.host.moref))
}

fn vm_argument(world: &World<'_>, vm: &MoRef, info: &DataObject) -> Result<DataObject, Fault> {
    Ok(DataObject::new("VmEventArgument")
        .text("name", vm_name(world, vm, info)?)
        .with("vm", Value::Reference(vm.clone())))
}

/// The name of a VM; of one that is gone as the task knew it.
fn vm_name(world: &World<'_>, vm: &MoRef, info: &DataObject) -> Result<String, Fault> {
    Ok(match world.vm(&vm.id)? {
        Some(found) => found.name.clone(),
        None if info.get_reference("entity") == Some(vm) => {
            info.get_text("entityName").unwrap_or_default().to_owned()
        }
        None => String::new(),
    })
}
