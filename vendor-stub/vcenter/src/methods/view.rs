//! Methods of ViewManager and views.

use super::dispatch::Call;
use crate::random;
use crate::schema::schema;
use crate::session::View;
use crate::soap::{Answer, Fault};
use crate::value::Value;

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
    let types: Vec<String> = call
        .args
        .get_items("type")
        .iter()
        .filter_map(Value::text)
        .map(str::to_owned)
        .collect();
    if types.iter().any(|name| schema().named(name).is_none()) {
        return Err(Fault::invalid_argument("type"));
    }
    let view = View {
        container,
        types,
        recursive: call.args.get_flag("recursive"),
    };
    let suffix = random::uuid()?;
    let id = call
        .world
        .state
        .sessions
        .with(call.world.cookie, |session| {
            let id = format!("session[{}]{suffix}", session.key);
            session.views.insert(id.clone(), view);
            id
        });
    let id = id.ok_or_else(|| Fault::not_authenticated(call.this, "System.View"))?;
    call.world.state.changes().tell();
    Ok(Answer::One(Value::reference("ContainerView", id)))
}

pub(super) fn destroy(call: &Call<'_>) -> Result<Answer, Fault> {
    let removed = call
        .world
        .state
        .sessions
        .with(call.world.cookie, |session| {
            session.views.remove(&call.this.id)
        });
    match removed.flatten() {
        Some(_) => {
            call.world.state.changes().tell();
            Ok(Answer::Nothing)
        }
        None => Err(Fault::not_found(call.this)),
    }
}
