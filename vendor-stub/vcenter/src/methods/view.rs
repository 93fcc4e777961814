//! Methods of ViewManager and views.

use super::dispatch::Call;
use crate::random;
use crate::schema::schema;
use crate::session::View;
use crate::soap::{Answer, Fault};
use crate::value::{MoRef, Value};

/// How many views one session keeps.
const MAX_VIEWS: usize = 1000;

pub(super) fn create(call: &Call<'_>) -> Result<Answer, Fault> {
    let container = call
        .args
        .get_reference("container")
        .ok_or_else(|| Fault::invalid_argument("container"))?;
    let container = call.world.existing(container)?.reference;
    let is_container = [
        "Folder",
        "Datacenter",
        "ComputeResource",
        "ResourcePool",
        "HostSystem",
    ]
    .iter()
    .any(|base| schema().is_a(&container.type_name, base));
    if !is_container {
        return Err(Fault::invalid_argument("container"));
    }
    let types = call.args.get_items("type").iter();
    let types: Vec<String> = types.filter_map(Value::text).map(str::to_owned).collect();
    if types.iter().any(|name| schema().named(name).is_none()) {
        return Err(Fault::invalid_argument("type"));
    }
    let recursive = call.args.get_flag("recursive");
    keep(
        call,
        View::Container {
            container,
            types,
            recursive,
        },
    )
}

pub(super) fn create_list(call: &Call<'_>) -> Result<Answer, Fault> {
    let (members, _) = existing(call, "obj")?;
    keep(call, View::List(members))
}

/// Adds and removes; the answer is what to add does not exist.
pub(super) fn modify_list(call: &Call<'_>) -> Result<Answer, Fault> {
    let (add, unresolved) = existing(call, "add")?;
    let remove = call.args.get_items("remove").iter();
    let remove: Vec<&MoRef> = remove.flat_map(Value::targets).collect();
    change(call, |members| {
        members.retain(|member| !remove.iter().any(|gone| gone.id == member.id));
        for reference in add {
            if !members.contains(&reference) {
                members.push(reference);
            }
        }
    })?;
    Ok(unresolved)
}

pub(super) fn reset_list(call: &Call<'_>) -> Result<Answer, Fault> {
    let (new, unresolved) = existing(call, "obj")?;
    change(call, |members| *members = new)?;
    Ok(unresolved)
}

pub(super) fn reset_list_from_view(call: &Call<'_>) -> Result<Answer, Fault> {
    let view = call.args.get_reference("view");
    let view = view.ok_or_else(|| Fault::invalid_argument("view"))?;
    let other = call.world.existing(view)?;
    let listed = other.properties.get("view").map(Value::targets);
    let listed = listed.unwrap_or_default().into_iter().cloned().collect();
    change(call, |members| *members = listed)?;
    Ok(Answer::Nothing)
}

pub(super) fn destroy(call: &Call<'_>) -> Result<Answer, Fault> {
    let removed = call.session(|session| session.views.remove(&call.this.id))?;
    removed.ok_or_else(|| Fault::not_found(call.this))?;
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

/// The objects of a parameter that exist, each once, and those that do not as an answer.
fn existing(call: &Call<'_>, parameter: &str) -> Result<(Vec<MoRef>, Answer), Fault> {
    let mut known = Vec::new();
    let mut unresolved = Vec::new();
    let asked = call.args.get_items(parameter).iter();
    for reference in asked.flat_map(Value::targets) {
        match call.world.known(reference)? {
            Some(found) if known.contains(&found) => {}
            Some(found) => known.push(found),
            None => unresolved.push(Value::Reference(reference.clone())),
        }
    }
    Ok((known, Answer::Many(unresolved)))
}

fn change(call: &Call<'_>, change: impl FnOnce(&mut Vec<MoRef>)) -> Result<(), Fault> {
    let changed = call.session(|session| match session.views.get_mut(&call.this.id) {
        Some(View::List(members)) => {
            change(members);
            true
        }
        _ => false,
    })?;
    call.world.state.changes().tell();
    changed
        .then_some(())
        .ok_or_else(|| Fault::not_found(call.this))
}

fn keep(call: &Call<'_>, view: View) -> Result<Answer, Fault> {
    let suffix = random::uuid()?;
    let type_name = view.type_name();
    let id = call.session(|session| {
        if session.views.len() >= MAX_VIEWS {
            return Err(Fault::system_error("too many views"));
        }
        let id = format!("session[{}]{suffix}", session.key);
        session.views.insert(id.clone(), view);
        Ok(id)
    })??;
    call.world.state.changes().tell();
    Ok(Answer::One(Value::reference(type_name, id)))
}
