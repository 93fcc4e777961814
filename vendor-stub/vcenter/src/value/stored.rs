//! Data objects as JSON, as the lab keeps what it has no place of its own for.

use serde_json::{Map, Value as Json, json};

use super::{DataObject, MoRef, Value};
use crate::schema::{Kind, Member, Presence, TypeRef, schema};

impl DataObject {
    /// The object as JSON: its type and its members. What is not looked at is left out.
    pub(crate) fn to_json(&self) -> Json {
        let members = self
            .members()
            .filter_map(|(name, value)| Some((name.to_owned(), to_json(value)?)));
        let members: Map<String, Json> = members.collect();
        json!({ "type": self.type_name, "members": members })
    }

    /// The object behind such JSON; `None` if it does not agree with the schema.
    pub(crate) fn from_json(json: &Json) -> Option<Self> {
        let type_name = schema().intern(json.get("type")?.as_str()?)?;
        let mut object = Self::new(type_name);
        for (name, json) in json.get("members")?.as_object()? {
            let member = schema().member(type_name, name)?;
            let value = Value::from_json(json, member)?;
            object.set(member.name, value);
        }
        Some(object)
    }
}

impl Value {
    /// The value as JSON. What is not looked at is left out.
    pub(crate) fn to_json(&self) -> Option<Json> {
        to_json(self)
    }

    /// The value behind such JSON, for a member; `None` if it does not agree with the schema.
    pub(crate) fn from_json(json: &Json, member: &Member) -> Option<Self> {
        if member.presence != Presence::List {
            return from_json(json, member.declared);
        }
        let items = json.as_array()?.iter();
        let items = items.map(|item| from_json(item, member.declared));
        Some(Value::Array(member.declared, items.collect::<Option<_>>()?))
    }
}

fn to_json(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Simple(_, text) | Value::Enum(_, text) => json!(text),
        Value::Reference(reference) => json!([reference.type_name, reference.id]),
        Value::Object(object) => object.to_json(),
        Value::Array(_, items) => Json::Array(items.iter().filter_map(to_json).collect()),
        Value::Opaque => return None,
    })
}

fn from_json(json: &Json, declared: TypeRef) -> Option<Value> {
    Some(match declared {
        TypeRef::Simple(name) => Value::Simple(name, json.as_str()?.to_owned()),
        TypeRef::Any => Value::string(json.as_str()?),
        TypeRef::Opaque => return None,
        TypeRef::Reference(_) => {
            let [type_name, id] = json.as_array()?.as_slice() else {
                return None;
            };
            Value::Reference(MoRef::new(type_name.as_str()?, id.as_str()?))
        }
        TypeRef::Named(name) if schema().named(name)?.kind == Kind::Enum => {
            Value::Enum(name, json.as_str()?.to_owned())
        }
        TypeRef::Named(_) => Value::Object(DataObject::from_json(json)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_back_as_they_were() {
        let backing = DataObject::new("VirtualEthernetCardNetworkBackingInfo")
            .text("deviceName", "VM & <Network>")
            .with("network", Value::reference("Network", "network-15"));
        let card = DataObject::new("VirtualVmxnet3")
            .with("key", Value::int(4000))
            .part("backing", backing)
            .with("wakeOnLanEnabled", Value::boolean(true));
        // The order of members does not matter.
        let again = |object: &DataObject| {
            let back = DataObject::from_json(&object.to_json()).unwrap();
            assert_eq!(back.members().count(), 3);
            back.to_json()
        };
        assert_eq!(again(&card), card.to_json());
        let mut opaque = card.clone();
        opaque.set("slotInfo", Value::Opaque);
        assert_eq!(again(&opaque), card.to_json());
        for wrong in [
            json!({}),
            json!({ "type": "NoSuchType", "members": {} }),
            json!({ "type": "VirtualVmxnet3", "members": { "none": "1" } }),
            json!({ "type": "VirtualVmxnet3", "members": { "key": 4000 } }),
        ] {
            assert_eq!(DataObject::from_json(&wrong), None, "{wrong}");
        }
    }
}
