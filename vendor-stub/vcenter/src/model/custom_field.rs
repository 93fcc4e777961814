//! Custom attributes: their definitions, and the values objects have.

use lab::{CustomField, Site};

use crate::value::{DataObject, Value};
use crate::world::World;

/// `CustomFieldsManager`.
pub(super) fn manager(site: &Site) -> DataObject {
    let all = site.custom_fields.iter().map(definition);
    DataObject::new("CustomFieldsManager").with("field", Value::objects("CustomFieldDef", all))
}

/// A definition.
pub(crate) fn definition(field: &CustomField) -> DataObject {
    let entity_type = field.entity_type.as_ref();
    DataObject::new("CustomFieldDef")
        .with("key", Value::int(field.key))
        .text("name", &field.name)
        .text("type", "string")
        .with_some("managedObjectType", entity_type.map(Value::string))
}

/// The values of an object.
pub(super) fn values(site: &Site, id: &str) -> Value {
    let values = site.custom_values_of(id).map(|(key, text)| {
        DataObject::new("CustomFieldStringValue")
            .with("key", Value::int(key))
            .text("value", text)
    });
    Value::objects("CustomFieldValue", values)
}

/// The properties of an object that have to do with custom attributes.
pub(super) fn properties(world: &World<'_>, object: DataObject, id: &str) -> DataObject {
    let Ok(site) = world.site() else {
        return object;
    };
    let mine = site.custom_fields.iter();
    let mine = mine.filter(|field| field.applies_to(&object.type_name));
    let available = Value::objects("CustomFieldDef", mine.map(definition));
    object
        .with("value", values(site, id))
        .with("availableField", available)
        .with("customValue", values(site, id))
}
