//! What all inventory objects have in common.

use super::custom_field;
use crate::schema::TypeRef;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

/// The properties of `ManagedEntity`.
pub(super) fn entity(
    world: &World<'_>,
    type_name: &'static str,
    id: &str,
    name: &str,
    parent: Option<MoRef>,
) -> DataObject {
    let tasks = world.state.tasks.recent(&MoRef::new(type_name, id));
    let object = DataObject::new(type_name)
        .with_some("parent", parent.map(Value::Reference))
        .with("overallStatus", status("green"))
        .with("configStatus", status("green"))
        .with(
            "effectiveRole",
            Value::Array(TypeRef::Simple("int"), vec![Value::int(-1)]),
        )
        .text("name", escape_name(name))
        .with("disabledMethod", Value::strings(Vec::<String>::new()))
        .with("recentTask", Value::references("Task", tasks))
        .with("alarmActionsEnabled", Value::boolean(true));
    custom_field::properties(world, object, id)
}

/// A `ManagedEntityStatus`.
pub(super) fn status(color: &str) -> Value {
    Value::Enum("ManagedEntityStatus", color.to_owned())
}

/// Names of inventory objects carry `/`, `\` and `%` escaped ("vSphere Web Services API"
/// 1.7).
pub(crate) fn escape_name(name: &str) -> String {
    name.replace('%', "%25")
        .replace('/', "%2f")
        .replace('\\', "%5c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_once() {
        assert_eq!(escape_name("a/b\\c%2f & d"), "a%2fb%5cc%252f & d");
    }
}
