//! Methods of AuthorizationManager, with the internal ones that disable methods of a VM
//! ("vSphere API reference", 2.10 and 6).

use super::dispatch::Call;
use crate::model::permissions;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, MoRef, Value};
use crate::world::lab_fault;

pub(super) fn has_privilege_on_entities(call: &Call<'_>) -> Result<Answer, Fault> {
    let sessions = &call.world.state.sessions;
    let login = sessions
        .login_of(call.text("sessionId"))
        .ok_or_else(|| Fault::invalid_argument("sessionId"))?;
    let asked: Vec<&str> = call
        .args
        .get_items("privId")
        .iter()
        .filter_map(Value::text)
        .collect();
    let mut answers = Vec::new();
    for entity in call
        .args
        .get_items("entity")
        .iter()
        .flat_map(Value::targets)
    {
        let entity = call.world.existing(entity)?.reference;
        let mut granted = Vec::new();
        for privilege in &asked {
            let is_granted = call.world.user_may(&login, &entity, privilege)?;
            granted.push(
                DataObject::new("PrivilegeAvailability")
                    .text("privId", *privilege)
                    .with("isGranted", Value::boolean(is_granted)),
            );
        }
        let answer = DataObject::new("EntityPrivilege")
            .with("entity", Value::Reference(entity))
            .with(
                "privAvailability",
                Value::objects("PrivilegeAvailability", granted),
            );
        answers.push(Value::Object(answer));
    }
    Ok(Answer::Many(answers))
}

pub(super) fn retrieve_entity_permissions(call: &Call<'_>) -> Result<Answer, Fault> {
    let entity = call
        .args
        .get_reference("entity")
        .ok_or_else(|| Fault::invalid_argument("entity"))?;
    let entity = call.world.existing(entity)?.reference;
    let inherited = call.args.get_flag("inherited");
    let permissions = permissions(call.world, &entity, inherited)?;
    Ok(Answer::Many(
        permissions.into_iter().map(Value::Object).collect(),
    ))
}

pub(super) fn disable_methods(call: &Call<'_>) -> Result<Answer, Fault> {
    let entities = entities(call, "Global.DisableMethods")?;
    let requests = call.args.get_items("method").iter();
    let methods: Vec<&str> = requests
        .filter_map(Value::object)
        .filter_map(|request| request.get_text("method"))
        .collect();
    for entity in entities {
        call.world
            .state
            .lab
            .disable_methods(&entity.id, &methods, call.text("sourceId"))
            .map_err(|error| lab_fault(&error))?;
    }
    Ok(Answer::Nothing)
}

pub(super) fn enable_methods(call: &Call<'_>) -> Result<Answer, Fault> {
    let entities = entities(call, "Global.EnableMethods")?;
    let methods = call.args.get_items("method").iter();
    let methods: Vec<&str> = methods.filter_map(Value::text).collect();
    for entity in entities {
        call.world
            .state
            .lab
            .enable_methods(&entity.id, &methods, call.text("sourceId"))
            .map_err(|error| lab_fault(&error))?;
    }
    Ok(Answer::Nothing)
}

/// The VMs of a call that the caller may switch methods of.
fn entities(call: &Call<'_>, privilege: &str) -> Result<Vec<MoRef>, Fault> {
    let mut entities = Vec::new();
    for entity in call
        .args
        .get_items("entity")
        .iter()
        .flat_map(Value::targets)
    {
        call.world.existing_vm(entity)?;
        call.world.demand(entity, privilege)?;
        entities.push(entity.clone());
    }
    Ok(entities)
}
