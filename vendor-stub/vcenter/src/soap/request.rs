//! Takes the call out of an envelope and decodes its parameters in declared order.

use super::{Dialect, Element, ElementError, Fault};
use crate::schema::{Kind, Member, Method, Presence, TypeRef, schema};
use crate::value::{DataObject, MoRef, Value};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

/// A call as it stands in the body.
#[derive(Debug)]
pub(crate) struct Request {
    /// The element of the method.
    pub(crate) call: Element,
}

impl Request {
    /// Parses an envelope. Ids of a host become those of the lab.
    pub(crate) fn parse(body: &str, dialect: &Dialect) -> Result<Self, Fault> {
        let envelope = Element::parse(body).map_err(|error| match error {
            ElementError::Syntax(_) => Fault::invalid_request(format!("XML document is {error}")),
            _ => Fault::invalid_request(error.to_string()),
        })?;
        if envelope.name != "Envelope" || envelope.namespace != SOAP {
            return Err(Fault::invalid_request("Element Envelope expected"));
        }
        let body = envelope
            .children
            .into_iter()
            .find(|child| child.name == "Body" && child.namespace == SOAP)
            .ok_or_else(|| Fault::invalid_request("Element Body expected"))?;
        let mut calls = body.children.into_iter();
        match (calls.next(), calls.next()) {
            (Some(mut call), None) => {
                if dialect.bare_host {
                    call.map_references(&|id| dialect.inside(id).into_owned());
                }
                Ok(Self { call })
            }
            _ => Err(Fault::invalid_request("One method expected in Body")),
        }
    }

    /// The object the method is called on.
    pub(crate) fn receiver(&self) -> Result<MoRef, Fault> {
        match self.call.children.first() {
            Some(this) if this.name == "_this" => reference(this, "_this"),
            _ => Err(Fault::invalid_request(
                "Required parameter _this is missing",
            )),
        }
    }
}

/// Decodes the parameters behind `_this`. Out of order, unknown or missing elements are
/// refused in the words of the real server, which names the parameter it waited for.
pub(crate) fn decode_parameters(
    call: &Element,
    method: &Method,
    dialect: &Dialect,
) -> Result<DataObject, Fault> {
    let children = call.children.get(1..).unwrap_or_default();
    let owner = format!("method {}", method.name);
    decode_members(method.name, children, &method.parameters, &owner, dialect)
}

fn decode_members(
    type_name: &'static str,
    children: &[Element],
    members: &[Member],
    owner: &str,
    dialect: &Dialect,
) -> Result<DataObject, Fault> {
    let mut object = DataObject::new(type_name);
    let mut rest = children;
    for member in members.iter().filter(|member| dialect.has(member)) {
        let found = rest
            .iter()
            .take_while(|child| child.name == member.name)
            .count();
        let (mine, others) = rest.split_at(match member.presence {
            Presence::List => found,
            Presence::Required | Presence::Optional => found.min(1),
        });
        rest = others;
        match (member.presence, mine) {
            (Presence::List, _) => {
                let items = mine
                    .iter()
                    .map(|child| decode(child, member.declared, dialect))
                    .collect::<Result<Vec<_>, _>>()?;
                if !items.is_empty() {
                    object.set(member.name, Value::Array(member.declared, items));
                }
            }
            (_, [child, ..]) => object.set(member.name, decode(child, member.declared, dialect)?),
            (Presence::Optional, []) => {}
            (Presence::Required, []) => {
                return Err(Fault::invalid_request(format!(
                    "Required parameter {} is missing\n\nwhile parsing call information for {owner}",
                    member.name
                )));
            }
        }
    }
    match rest.first() {
        None => Ok(object),
        Some(child) => Err(Fault::invalid_request(format!(
            "Unexpected element {}, no such parameter is expected here\n\nwhile parsing call \
             information for {owner}",
            child.name
        ))),
    }
}

fn decode(element: &Element, declared: TypeRef, dialect: &Dialect) -> Result<Value, Fault> {
    match declared {
        TypeRef::Opaque => Ok(Value::Opaque),
        TypeRef::Any => Ok(Value::string(element.text.clone())),
        TypeRef::Simple(name) => simple(element, name),
        TypeRef::Reference(_) => Ok(Value::Reference(reference(element, &element.name)?)),
        TypeRef::Named(name) => object(element, name, dialect),
    }
}

fn simple(element: &Element, name: &'static str) -> Result<Value, Fault> {
    let text = element.text.as_str();
    let trimmed = text.trim();
    let good = match name {
        "boolean" => matches!(trimmed, "true" | "false" | "1" | "0"),
        "short" => trimmed.parse::<i16>().is_ok(),
        "int" => trimmed.parse::<i32>().is_ok(),
        "long" => trimmed.parse::<i64>().is_ok(),
        _ => return Ok(Value::Simple(name, text.to_owned())),
    };
    if !good || !element.children.is_empty() {
        return Err(Fault::invalid_request(format!(
            "Parameter {} is no {name}",
            element.name
        )));
    }
    Ok(Value::Simple(name, trimmed.to_owned()))
}

fn reference(element: &Element, name: &str) -> Result<MoRef, Fault> {
    match &element.reference_type {
        Some(type_name) => Ok(MoRef::new(type_name.clone(), element.text.trim())),
        None => Err(Fault::invalid_request(format!(
            "Reference {name} is without type"
        ))),
    }
}

fn object(element: &Element, declared: &'static str, dialect: &Dialect) -> Result<Value, Fault> {
    let wrong = |problem: &str| {
        Fault::invalid_request(format!("{problem} for {} in {declared}", element.name))
    };
    let name = match &element.xsi_type {
        None => declared,
        Some(name) => schema()
            .intern(name)
            .filter(|name| schema().is_a(name, declared))
            .ok_or_else(|| wrong("Wrong type"))?,
    };
    let kind = schema().named(name).map(|found| found.kind);
    match kind {
        Some(Kind::Enum) => Ok(Value::Enum(name, element.text.trim().to_owned())),
        Some(Kind::Data) => {
            let owner = format!("data object {name}");
            let members = schema().members(name);
            decode_members(name, &element.children, members, &owner, dialect).map(Value::Object)
        }
        _ => Err(wrong("Concrete type missing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Version;

    fn decoded(text: &str) -> Result<DataObject, Fault> {
        let dialect = Dialect {
            version: Version::parse("8.0.2.0").unwrap(),
            ..Dialect::default()
        };
        let request = Request::parse(text, &dialect)?;
        request.receiver()?;
        let method = schema().method(&request.call.name).unwrap();
        decode_parameters(&request.call, method, &dialect)
    }

    fn query(parameters: &str) -> Result<DataObject, Fault> {
        decoded(&format!(
            "<s:Envelope xmlns:s=\"{SOAP}\"><s:Body><QueryChangedDiskAreas xmlns=\"urn:vim25\">\
             {parameters}</QueryChangedDiskAreas></s:Body></s:Envelope>"
        ))
    }

    #[test]
    fn sample_requests_decode() {
        let query = decoded(include_str!(
            "../../testdata/36-query-changed-disk-areas.xml"
        ))
        .unwrap();
        assert_eq!(query.get_text("deviceKey"), Some("2000"));
        assert_eq!(query.get_reference("snapshot").unwrap().id, "snapshot-2044");

        let walk = include_str!("../../testdata/18-retrieve-properties-ex-inventory-traversal.xml");
        let walk = decoded(walk).unwrap();
        let set = walk.get_items("specSet")[0].object().unwrap();
        let start = set.get_items("objectSet")[0].object().unwrap();
        let folder = start.get_items("selectSet")[0].object().unwrap();
        assert_eq!(folder.type_name, "TraversalSpec");
        assert_eq!(folder.get_items("selectSet").len(), 8);

        let windows = include_str!("../../testdata/34-create-snapshot-ex-windows.xml");
        let windows = decoded(windows).unwrap();
        let quiesce = windows.get("quiesceSpec").and_then(Value::object).unwrap();
        assert_eq!(quiesce.type_name, "VirtualMachineWindowsQuiesceSpec");
    }

    #[test]
    fn snapshot_behind_start_offset_is_answered_with_the_missing_change_id() {
        let fault = query(
            "<_this type=\"VirtualMachine\">vm-1021</_this><deviceKey>2000</deviceKey>\
             <startOffset>0</startOffset><snapshot type=\"VirtualMachineSnapshot\">snapshot-1</snapshot>\
             <changeId>*</changeId>",
        )
        .unwrap_err();
        assert_eq!(fault.type_name(), "InvalidRequest");
        assert!(
            fault
                .text
                .contains("Required parameter changeId is missing")
        );
    }

    #[test]
    fn missing_receiver_unknown_and_malformed_parameters() {
        let this = "<_this type=\"VirtualMachine\">vm-1021</_this>";
        let all = "<deviceKey>2000</deviceKey><startOffset>0</startOffset><changeId>*</changeId>";
        assert!(query(&format!("{this}{all}")).is_ok());
        for (parameters, word) in [
            (all.to_owned(), "_this"),
            (format!("{all}{this}"), "_this"),
            (format!("<_this>vm-1021</_this>{all}"), "_this"),
            (format!("{this}{all}<more>1</more>"), "more"),
            (format!("{this}{all}<changeId>*</changeId>"), "changeId"),
            (format!("{this}{}", all.replace("2000", "x")), "deviceKey"),
        ] {
            let fault = query(&parameters).unwrap_err();
            assert_eq!(fault.type_name(), "InvalidRequest", "{parameters}");
            assert!(fault.text.contains(word), "{}", fault.text);
        }
    }

    #[test]
    fn a_type_that_does_not_derive_from_the_declared_one_is_refused() {
        let text = include_str!("../../testdata/34-create-snapshot-ex-windows.xml");
        for wrong in ["TraversalSpec", "NoSuchType"] {
            let text = text.replace("VirtualMachineWindowsQuiesceSpec", wrong);
            assert_eq!(decoded(&text).unwrap_err().type_name(), "InvalidRequest");
        }
    }
}
