//! Methods of AuthorizationManager that ask who may do what, and the internal ones that disable
//! methods of a VM ("vSphere API reference", 2.10 and 6).

use super::dispatch::Call;
use crate::privilege;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, MoRef, Value};
use crate::world::lab_fault;

pub(super) fn has_privilege_on_entity(call: &Call<'_>) -> Result<Answer, Fault> {
    let login = login_of_session(call)?;
    let entity = entity(call)?;
    let mut answers = Vec::new();
    for privilege in asked(call) {
        let is_granted = call.world.user_may(&login, &entity, privilege)?;
        answers.push(Value::boolean(is_granted));
    }
    Ok(Answer::Many(answers))
}

pub(super) fn has_privilege_on_entities(call: &Call<'_>) -> Result<Answer, Fault> {
    let login = login_of_session(call)?;
    availability(call, &login, "entity")
}

pub(super) fn has_user_privilege_on_entities(call: &Call<'_>) -> Result<Answer, Fault> {
    let login = login_of_user(call)?;
    availability(call, &login, "entities")
}

/// FetchUserPrivilegeOnEntities: all that a user may do.
pub(super) fn fetch_user_privilege(call: &Call<'_>) -> Result<Answer, Fault> {
    let login = login_of_user(call)?;
    let mut answers = Vec::new();
    for entity in listed(call, "entities")? {
        let mut privileges = Vec::new();
        for known in privilege::known() {
            if call.world.user_may(&login, &entity, &known.id)? {
                privileges.push(known.id);
            }
        }
        let answer = DataObject::new("UserPrivilegeResult")
            .with("entity", Value::Reference(entity))
            .with("privileges", Value::strings(privileges));
        answers.push(Value::Object(answer));
    }
    Ok(Answer::Many(answers))
}

/// Which of the privileges that are asked for a user has on each object.
fn availability(call: &Call<'_>, login: &str, member: &str) -> Result<Answer, Fault> {
    let mut answers = Vec::new();
    for entity in listed(call, member)? {
        let mut granted = Vec::new();
        for privilege in asked(call) {
            let is_granted = call.world.user_may(login, &entity, privilege)?;
            granted.push(
                DataObject::new("PrivilegeAvailability")
                    .text("privId", privilege)
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

/// The privileges that are asked for.
fn asked<'a>(call: &'a Call<'_>) -> impl Iterator<Item = &'a str> {
    let asked = call.args.get_items("privId").iter();
    asked.filter_map(Value::text)
}

/// The user of the session that is named.
fn login_of_session(call: &Call<'_>) -> Result<String, Fault> {
    let sessions = &call.world.state.sessions;
    let login = sessions.login_of(call.text("sessionId"));
    login.ok_or_else(|| Fault::invalid_argument("sessionId"))
}

/// The login name of the user who is named.
fn login_of_user(call: &Call<'_>) -> Result<String, Fault> {
    let name = call.text("userName");
    let user = call.world.site()?.principal(name);
    let user = user.ok_or_else(|| Fault::user_not_found(name))?;
    Ok(user.name.clone())
}

/// The objects of a list, which must exist.
fn listed(call: &Call<'_>, member: &str) -> Result<Vec<MoRef>, Fault> {
    let listed = call.args.get_items(member).iter();
    listed
        .flat_map(Value::targets)
        .map(|entity| Ok(call.world.existing(entity)?.reference))
        .collect()
}

/// The object that a call names as its `entity`.
pub(super) fn entity(call: &Call<'_>) -> Result<MoRef, Fault> {
    let entity = call.args.get_reference("entity");
    let entity = entity.ok_or_else(|| Fault::invalid_argument("entity"))?;
    Ok(call.world.existing(entity)?.reference)
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
