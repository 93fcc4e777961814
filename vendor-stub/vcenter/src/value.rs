//! Values of the vim25 types, and data objects made of them.
//!
//! A value knows its actual type; what it is declared as stands in the schema. The
//! writer compares the two to decide about `xsi:type`.

#[cfg(test)]
mod check;
mod stored;

use std::borrow::Cow;

use crate::schema::{PathError, TypeRef, schema, split_path};
use crate::world::Wanted;

/// A reference to a managed object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MoRef {
    /// The managed type, such as `VirtualMachine`.
    pub(crate) type_name: String,
    /// The opaque id, such as `vm-1021`.
    pub(crate) id: String,
}

impl MoRef {
    /// A reference to the object of that type and id.
    pub(crate) fn new(type_name: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            type_name: type_name.into(),
            id: id.into(),
        }
    }
}

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A simple XML Schema type and its text.
    Simple(&'static str, String),
    /// An enumeration and its text.
    Enum(&'static str, String),
    /// A reference to a managed object.
    Reference(MoRef),
    /// A data object.
    Object(DataObject),
    /// A list of items declared as that type.
    Array(TypeRef, Vec<Value>),
    /// A member whose content is not looked at.
    Opaque,
}

impl Value {
    /// An `xsd:string`.
    pub(crate) fn string(text: impl Into<String>) -> Self {
        Value::Simple("string", text.into())
    }

    /// An `xsd:boolean`.
    pub(crate) fn boolean(value: bool) -> Self {
        Value::Simple("boolean", value.to_string())
    }

    /// An `xsd:short`.
    pub(crate) fn short(value: i16) -> Self {
        Value::Simple("short", value.to_string())
    }

    /// An `xsd:int`.
    pub(crate) fn int(value: i32) -> Self {
        Value::Simple("int", value.to_string())
    }

    /// An `xsd:long`.
    pub(crate) fn long(value: impl Into<i128>) -> Self {
        Value::Simple("long", value.into().to_string())
    }

    /// An `xsd:dateTime`, already in the server's form.
    pub(crate) fn time(text: impl Into<String>) -> Self {
        Value::Simple("dateTime", text.into())
    }

    /// A reference to the object of that type and id.
    pub(crate) fn reference(type_name: &str, id: impl Into<String>) -> Self {
        Value::Reference(MoRef::new(type_name, id))
    }

    /// A list of references declared as that type.
    pub(crate) fn references<I: Into<String>>(
        declared: &'static str,
        ids: impl IntoIterator<Item = I>,
    ) -> Self {
        Value::Array(
            TypeRef::Reference(declared),
            ids.into_iter()
                .map(|id| Value::reference(declared, id))
                .collect(),
        )
    }

    /// A list of strings.
    pub(crate) fn strings<I: Into<String>>(items: impl IntoIterator<Item = I>) -> Self {
        Value::Array(
            TypeRef::Simple("string"),
            items.into_iter().map(Value::string).collect(),
        )
    }

    /// A list of data objects declared as that type.
    pub(crate) fn objects(
        declared: &'static str,
        items: impl IntoIterator<Item = DataObject>,
    ) -> Self {
        Value::Array(
            TypeRef::Named(declared),
            items.into_iter().map(Value::Object).collect(),
        )
    }

    /// The text of a simple value or an enumeration.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Value::Simple(_, text) | Value::Enum(_, text) => Some(text),
            _ => None,
        }
    }

    /// The data object, if it is one.
    pub(crate) fn object(&self) -> Option<&DataObject> {
        match self {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The references in it: one, or the items of a list.
    pub(crate) fn targets(&self) -> Vec<&MoRef> {
        match self {
            Value::Reference(reference) => vec![reference],
            Value::Array(_, items) => items.iter().flat_map(Value::targets).collect(),
            _ => Vec::new(),
        }
    }
}

/// A data object, or the properties of a managed object: members by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DataObject {
    /// The actual type.
    pub(crate) type_name: Cow<'static, str>,
    members: Vec<(&'static str, Value)>,
}

impl DataObject {
    /// An object without members.
    pub(crate) fn new(type_name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            type_name: type_name.into(),
            members: Vec::new(),
        }
    }

    /// Adds a member. The order does not matter; the writer follows the schema.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.set(name, value);
        self
    }

    /// Adds a member if there is a value.
    #[must_use]
    pub(crate) fn with_some(self, name: &'static str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds a string.
    #[must_use]
    pub(crate) fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.with(name, Value::string(text))
    }

    /// Adds several booleans of the same value.
    #[must_use]
    pub(crate) fn flags(self, value: bool, names: &[&'static str]) -> Self {
        names.iter().fold(self, |object, name| {
            object.with(name, Value::boolean(value))
        })
    }

    /// Adds a data object.
    #[must_use]
    pub(crate) fn part(self, name: &'static str, object: DataObject) -> Self {
        self.with(name, Value::Object(object))
    }

    /// Adds a data object if somebody is going to look at it.
    #[must_use]
    pub(crate) fn part_if(
        self,
        wanted: &Wanted,
        name: &'static str,
        object: impl FnOnce() -> DataObject,
    ) -> Self {
        if wanted.has(name) {
            self.part(name, object())
        } else {
            self
        }
    }

    /// Sets a member.
    pub(crate) fn set(&mut self, name: &'static str, value: Value) {
        match self.members.iter_mut().find(|(member, _)| *member == name) {
            Some((_, old)) => *old = value,
            None => self.members.push((name, value)),
        }
    }

    /// The member of that name, if set.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.members
            .iter()
            .find(|(member, _)| *member == name)
            .map(|(_, value)| value)
    }

    /// The set members.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.members.iter().map(|(name, value)| (*name, value))
    }

    /// The text of a simple member, if set.
    pub(crate) fn get_text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::text)
    }

    /// A boolean member; unset is false. `1` and `true` are true.
    pub(crate) fn get_flag(&self, name: &str) -> bool {
        matches!(self.get_text(name), Some("true" | "1"))
    }

    /// The items of a list member; an unset one has none.
    pub(crate) fn get_items(&self, name: &str) -> &[Value] {
        match self.get(name) {
            Some(Value::Array(_, items)) => items,
            _ => &[],
        }
    }

    /// The reference in a member, if set.
    pub(crate) fn get_reference(&self, name: &str) -> Option<&MoRef> {
        match self.get(name) {
            Some(Value::Reference(reference)) => Some(reference),
            _ => None,
        }
    }

    /// Follows a property path. `None` = the path exists and is unset.
    pub(crate) fn at(&self, path: &str) -> Result<Option<&Value>, PathError> {
        let mut object = self;
        let steps = split_path(path)?;
        let Some((last, before)) = steps.split_last() else {
            return Err(PathError);
        };
        for step in before {
            match object.step(step.name, step.key)? {
                Some(Value::Object(inner)) => object = inner,
                None | Some(Value::Opaque) => return Ok(None),
                Some(_) => return Err(PathError),
            }
        }
        object.step(last.name, last.key)
    }

    fn step(&self, name: &str, key: Option<&str>) -> Result<Option<&Value>, PathError> {
        if schema().member(&self.type_name, name).is_none() {
            return Err(PathError);
        }
        let value = self.get(name);
        let Some(key) = key else {
            return Ok(value);
        };
        match value {
            None => Ok(None),
            Some(Value::Array(_, items)) => Ok(items.iter().find(|item| {
                item.object()
                    .and_then(|object| object.get_text("key"))
                    .is_some_and(|found| found == key)
            })),
            Some(_) => Err(PathError),
        }
    }
}
