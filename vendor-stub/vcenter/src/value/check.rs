//! Compares values with the schema. Tests run it on everything the server builds.

use super::{DataObject, Value};
use crate::schema::{Kind, Member, Presence, TypeRef, schema};

impl Value {
    fn fits(&self, declared: TypeRef) -> bool {
        match (self, declared) {
            (_, TypeRef::Any)
            | (Value::Opaque, TypeRef::Opaque)
            | (Value::Reference(_), TypeRef::Reference(_)) => true,
            (Value::Simple(actual, _), TypeRef::Simple(declared))
            | (Value::Enum(actual, _), TypeRef::Named(declared)) => *actual == declared,
            (Value::Object(object), TypeRef::Named(declared)) => {
                schema().is_a(&object.type_name, declared)
            }
            _ => false,
        }
    }
}

impl DataObject {
    /// The first disagreement with the schema, as text: an unknown or missing member,
    /// or a wrong type.
    pub(crate) fn disagreement(&self) -> Option<String> {
        let known = schema().named(&self.type_name);
        if !known.is_some_and(|known| matches!(known.kind, Kind::Data | Kind::Managed)) {
            return Some(format!("type {}", self.type_name));
        }
        let members = schema().members(&self.type_name);
        for (name, value) in &self.members {
            let Some(member) = members.iter().find(|member| member.name == *name) else {
                return Some(format!("{}.{name} is unknown", self.type_name));
            };
            if let Some(problem) = member_disagreement(member, value) {
                return Some(format!("{}.{problem}", self.type_name));
            }
        }
        members
            .iter()
            .find(|member| member.presence == Presence::Required && self.get(member.name).is_none())
            .map(|member| format!("{}.{} is missing", self.type_name, member.name))
    }
}

fn member_disagreement(member: &Member, value: &Value) -> Option<String> {
    let single = std::slice::from_ref(value);
    let items = match (member.presence, value) {
        (Presence::List, Value::Array(_, items)) => items.as_slice(),
        (Presence::Required | Presence::Optional, _) => single,
        (Presence::List, _) => return Some(format!("{} is no list", member.name)),
    };
    items.iter().find_map(|item| {
        if !item.fits(member.declared) {
            return Some(format!("{} has a wrong type: {item:?}", member.name));
        }
        item.object().and_then(DataObject::disagreement)
    })
}
