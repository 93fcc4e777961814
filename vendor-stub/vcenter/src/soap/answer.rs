//! Answers and faults as they go back: "vSphere Web Services API" 1.4 and 1.10.

use super::writer::Writer;
use super::{Dialect, Fault};
use crate::FaultForm;
use crate::schema::{TypeRef, schema};
use crate::value::Value;

/// What a method returns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// No result, or an unset one.
    Nothing,
    /// One value of the declared type: no `xsi:type` unless it is derived.
    One(Value),
    /// One value declared as `anyType`.
    Any(Value),
    /// A list: `returnval` repeated.
    Many(Vec<Value>),
    /// A list declared as that type, of which other types derive.
    ManyOf(TypeRef, Vec<Value>),
}

/// The envelope of a result.
pub(crate) fn answer_envelope(method: &str, answer: &Answer, dialect: &Dialect) -> String {
    let mut writer = Writer::new(dialect);
    let element = format!("{method}Response");
    writer.start(&element, " xmlns=\"urn:vim25\"");
    match answer {
        Answer::Nothing => {}
        Answer::One(value) => writer.value("returnval", value, declared_as(value)),
        Answer::Any(value) => writer.value("returnval", value, TypeRef::Any),
        Answer::Many(values) => {
            for value in values {
                writer.value("returnval", value, declared_as(value));
            }
        }
        Answer::ManyOf(declared, values) => {
            for value in values {
                writer.value("returnval", value, *declared);
            }
        }
    }
    writer.end(&element);
    writer.finish()
}

/// The envelope of a fault.
pub(crate) fn fault_envelope(fault: &Fault, dialect: &Dialect) -> String {
    let name = fault.type_name();
    let element = format!("{name}Fault");
    let form = dialect.form.fault;
    let namespace = match form {
        FaultForm::Plain | FaultForm::Message => " xmlns=\"urn:vim25\"",
        FaultForm::Internal => " xmlns=\"urn:internalvim25\"",
        FaultForm::Unqualified => "",
    };
    let text = match form {
        FaultForm::Unqualified => String::new(),
        _ => text_of(fault, dialect),
    };
    let mut writer = Writer::new(dialect);
    writer.start("soapenv:Fault", "");
    writer.text("faultcode", None, "ServerFaultCode");
    writer.text("faultstring", None, &text);
    writer.start("detail", "");
    let shown = writer.type_attribute(name);
    writer.start(&element, &format!("{namespace}{shown}"));
    if form == FaultForm::Message {
        writer.start("faultMessage", "");
        writer.text("key", None, "com.vmware.vim.vpxd.standin");
        writer.text("message", None, &text);
        writer.end("faultMessage");
    }
    writer.members(&fault.detail);
    writer.end(&element);
    writer.end("detail");
    writer.end("soapenv:Fault");
    writer.finish()
}

/// The text of a fault, in which ids are those the client knows.
fn text_of(fault: &Fault, dialect: &Dialect) -> String {
    let mut text = fault.text.clone();
    if dialect.bare_host {
        let named = fault
            .detail
            .members()
            .flat_map(|(_, value)| value.targets());
        for reference in named {
            text = text.replace(&reference.id, &dialect.outside(&reference.id));
        }
    }
    text
}

/// The type a result counts as declared: its own.
fn declared_as(value: &Value) -> TypeRef {
    match value {
        Value::Simple(name, _) => TypeRef::Simple(name),
        Value::Enum(name, _) => TypeRef::Named(name),
        Value::Object(object) => schema()
            .intern(&object.type_name)
            .map_or(TypeRef::Any, TypeRef::Named),
        Value::Reference(_) => TypeRef::Reference("ManagedObject"),
        Value::Array(item, _) => *item,
        Value::Opaque => TypeRef::Opaque,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constructed_fault() {
        assert_eq!(
            fault_envelope(&Fault::invalid_argument("deviceKey"), &Dialect::default()),
            include_str!("../../testdata/c25-fault-invalid-argument-device-key.xml")
        );
    }

    #[test]
    fn constructed_results() {
        assert_eq!(
            answer_envelope("Logout", &Answer::Nothing, &Dialect::default()),
            include_str!("../../testdata/c02-void-logout.xml")
        );
        let task = Answer::One(Value::reference("Task", "task-5151"));
        assert_eq!(
            answer_envelope("CreateSnapshot_Task", &task, &Dialect::default()),
            include_str!("../../testdata/c08-create-snapshot-task.xml")
        );
    }
}
