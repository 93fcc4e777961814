//! Methods of AuthorizationManager that make roles and give them to users.

use lab::{Error, Kind};

use super::authorization::entity;
use super::dispatch::Call;
use crate::model;
use crate::privilege;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, MoRef, Value};
use crate::world::lab_fault;

pub(super) fn add(call: &Call<'_>) -> Result<Answer, Fault> {
    let lab = &call.world.state.lab;
    let id = lab.add_role(call.text("name"), privileges(call)?);
    let id = id.map_err(|error| lab_fault(&error))?;
    call.world.state.changes().tell();
    Ok(Answer::One(Value::int(id)))
}

pub(super) fn update(call: &Call<'_>) -> Result<Answer, Fault> {
    let (id, privileges) = (call.number("roleId")?, privileges(call)?);
    let lab = &call.world.state.lab;
    done(call, lab.update_role(id, call.text("newName"), privileges))
}

pub(super) fn remove(call: &Call<'_>) -> Result<Answer, Fault> {
    let fail_if_used = call.args.get_flag("failIfUsed");
    let lab = &call.world.state.lab;
    match lab.remove_role(call.number("roleId")?, fail_if_used) {
        Err(error @ Error::NotEmpty { .. }) => Err(Fault::new("RemoveFailed", error.to_string())),
        result => done(call, result),
    }
}

/// SetEntityPermissions: other users keep theirs. All or none.
pub(super) fn set_permissions(call: &Call<'_>) -> Result<Answer, Fault> {
    let entity = changeable(call)?;
    let wanted = call.args.get_items("permission").iter();
    let wanted: Vec<&DataObject> = wanted.filter_map(Value::object).collect();
    let mut permissions = Vec::new();
    for permission in wanted {
        let principal = permission.get_text("principal").unwrap_or_default();
        // The lab has users and no groups.
        if permission.get_flag("group") {
            return Err(Fault::user_not_found(principal));
        }
        let role = permission.get_text("roleId").unwrap_or_default();
        let role = role
            .parse()
            .map_err(|_| Fault::invalid_argument("permission.roleId"))?;
        permissions.push((principal, role, permission.get_flag("propagate")));
    }
    let lab = &call.world.state.lab;
    done(call, lab.set_permissions(&entity.id, &permissions))
}

pub(super) fn remove_permission(call: &Call<'_>) -> Result<Answer, Fault> {
    let entity = changeable(call)?;
    let user = call.text("user");
    if call.args.get_flag("isGroup") {
        return Err(lab_fault(&Error::NotFound {
            kind: Kind::Permission,
            id: entity.id,
        }));
    }
    let lab = &call.world.state.lab;
    done(call, lab.remove_permission(user, &entity.id))
}

pub(super) fn permissions_of_entity(call: &Call<'_>) -> Result<Answer, Fault> {
    let inherited = call.args.get_flag("inherited");
    let permissions = model::permissions(call.world, &entity(call)?, inherited)?;
    Ok(many(permissions))
}

pub(super) fn permissions_of_role(call: &Call<'_>) -> Result<Answer, Fault> {
    let id: i32 = call.number("roleId")?;
    let role = call.world.site()?.role_of_number(id);
    role.map_err(|error| lab_fault(&error))?;
    let mut permissions = model::all_permissions(call.world)?;
    let id = id.to_string();
    permissions.retain(|permission| permission.get_text("roleId") == Some(&id));
    Ok(many(permissions))
}

pub(super) fn all_permissions(call: &Call<'_>) -> Result<Answer, Fault> {
    model::all_permissions(call.world).map(many)
}

fn many(permissions: Vec<DataObject>) -> Answer {
    Answer::Many(permissions.into_iter().map(Value::Object).collect())
}

/// The privileges of a role, which must exist.
fn privileges<'a>(call: &'a Call<'_>) -> Result<Vec<&'a str>, Fault> {
    let ids = call.args.get_items("privIds").iter();
    let ids: Vec<&str> = ids.filter_map(Value::text).collect();
    if ids.iter().all(|id| privilege::exists(id)) {
        Ok(ids)
    } else {
        Err(Fault::invalid_argument("privIds"))
    }
}

/// The object whose permissions the caller may change.
fn changeable(call: &Call<'_>) -> Result<MoRef, Fault> {
    let entity = entity(call)?;
    call.world
        .demand(&entity, "Authorization.ModifyPermissions")?;
    Ok(entity)
}

fn done(call: &Call<'_>, result: Result<(), Error>) -> Result<Answer, Fault> {
    result.map_err(|error| lab_fault(&error))?;
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}
