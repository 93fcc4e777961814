//! Methods of CustomFieldsManager.

use lab::{Error, Kind};

use super::dispatch::Call;
use crate::model::custom_field_definition;
use crate::schema::schema;
use crate::soap::{Answer, Fault};
use crate::value::{MoRef, Value};
use crate::world::lab_fault;

pub(super) fn add(call: &Call<'_>) -> Result<Answer, Fault> {
    let entity_type = call.args.get_text("moType");
    if entity_type.is_some_and(|name| !schema().is_a(name, "ManagedEntity")) {
        return Err(Fault::invalid_argument("moType"));
    }
    let lab = &call.world.state.lab;
    let field = lab.add_custom_field(call.text("name"), entity_type);
    let field = field.map_err(|error| fault(call, &error))?;
    changed(call);
    Ok(Answer::One(Value::Object(custom_field_definition(&field))))
}

pub(super) fn rename(call: &Call<'_>) -> Result<Answer, Fault> {
    let lab = &call.world.state.lab;
    let renamed = lab.rename_custom_field(call.number("key")?, call.text("name"));
    renamed.map_err(|error| fault(call, &error))?;
    changed(call);
    Ok(Answer::Nothing)
}

pub(super) fn remove(call: &Call<'_>) -> Result<Answer, Fault> {
    let removed = call
        .world
        .state
        .lab
        .remove_custom_field(call.number("key")?);
    removed.map_err(|error| fault(call, &error))?;
    changed(call);
    Ok(Answer::Nothing)
}

/// SetField: the attribute by its number.
pub(super) fn set(call: &Call<'_>) -> Result<Answer, Fault> {
    let entity = call.args.get_reference("entity");
    let entity = entity.ok_or_else(|| Fault::invalid_argument("entity"))?;
    let entity = call.world.existing(entity)?.reference;
    call.world.demand(&entity, "Global.SetCustomField")?;
    give(call, &entity, call.number("key")?)
}

/// setCustomValue: the attribute by its name, on the object itself.
pub(super) fn set_by_name(call: &Call<'_>) -> Result<Answer, Fault> {
    let entity = call.world.existing(call.this)?.reference;
    let field = call.world.site()?.custom_field(call.text("key"));
    let key = field.ok_or_else(|| Fault::invalid_argument("key"))?.key;
    give(call, &entity, key)
}

fn give(call: &Call<'_>, entity: &MoRef, key: i32) -> Result<Answer, Fault> {
    let lab = &call.world.state.lab;
    let owner = (entity.type_name.as_str(), entity.id.as_str());
    let given = lab.set_custom_value(owner, key, call.text("value"));
    given.map_err(|error| fault(call, &error))?;
    changed(call);
    Ok(Answer::Nothing)
}

fn changed(call: &Call<'_>) {
    call.world.state.changes().tell();
}

fn fault(call: &Call<'_>, error: &Error) -> Fault {
    match error {
        Error::NotFound {
            kind: Kind::CustomField,
            ..
        } => Fault::invalid_argument("key"),
        Error::AlreadyExists { id, .. } => Fault::new("DuplicateName", error.to_string())
            .with("name", Value::string(id))
            .with("object", Value::Reference(call.this.clone())),
        other => lab_fault(other),
    }
}
