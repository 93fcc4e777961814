//! Writes answers and faults in the form of the recorded ones: "vSphere Web Services
//! API" 1.4, 1.5, 1.8 to 1.10.

use quick_xml::escape::escape;

use super::Fault;
use crate::schema::{TypeRef, schema};
use crate::value::{DataObject, MoRef, Value};

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
<soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\"\n \
xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"\n \
xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"\n \
xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\n";
const TAIL: &str = "\n</soapenv:Body>\n</soapenv:Envelope>";

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
}

/// The envelope of a result.
pub(crate) fn answer_envelope(method: &str, answer: &Answer) -> String {
    let mut out = String::from(HEAD);
    out.push_str(&format_tag(method, "Response xmlns=\"urn:vim25\""));
    match answer {
        Answer::Nothing => {}
        Answer::One(value) => write_value(&mut out, "returnval", value, declared_as(value)),
        Answer::Any(value) => write_value(&mut out, "returnval", value, TypeRef::Any),
        Answer::Many(values) => {
            for value in values {
                write_value(&mut out, "returnval", value, declared_as(value));
            }
        }
    }
    out.push_str("</");
    out.push_str(method);
    out.push_str("Response>");
    out.push_str(TAIL);
    out
}

/// The envelope of a fault.
pub(crate) fn fault_envelope(fault: &Fault) -> String {
    let name = fault.type_name();
    let mut out = String::from(HEAD);
    out.push_str("<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>");
    out.push_str(&escape(&fault.text));
    out.push_str("</faultstring><detail><");
    out.push_str(name);
    out.push_str("Fault xmlns=\"urn:vim25\" xsi:type=\"");
    out.push_str(name);
    out.push_str("\">");
    write_members(&mut out, &fault.detail);
    out.push_str("</");
    out.push_str(name);
    out.push_str("Fault></detail></soapenv:Fault>");
    out.push_str(TAIL);
    out
}

fn format_tag(name: &str, rest: &str) -> String {
    format!("<{name}{rest}>")
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

/// Writes one element. `xsi:type` appears when the actual type is not the declared one.
fn write_value(out: &mut String, name: &str, value: &Value, declared: TypeRef) {
    match value {
        Value::Simple(actual, text) => {
            let same = declared == TypeRef::Simple(actual);
            let shown = (!same).then(|| format!("xsd:{actual}"));
            write_text(out, name, shown.as_deref(), text);
        }
        Value::Enum(actual, text) => {
            let same = declared == TypeRef::Named(actual);
            write_text(out, name, (!same).then_some(*actual), text);
        }
        Value::Reference(reference) => write_reference(out, name, reference, declared),
        Value::Object(object) => {
            let same = matches!(declared, TypeRef::Named(name) if name == object.type_name);
            open(out, name, (!same).then_some(object.type_name.as_ref()));
            write_members(out, object);
            close(out, name);
        }
        Value::Array(item, items) => write_array(out, name, *item, items, declared),
        Value::Opaque => {}
    }
}

fn write_members(out: &mut String, object: &DataObject) {
    for member in schema().members(&object.type_name) {
        if let Some(value) = object.get(member.name) {
            write_value(out, member.name, value, member.declared);
        }
    }
}

fn write_reference(out: &mut String, name: &str, reference: &MoRef, declared: TypeRef) {
    out.push('<');
    out.push_str(name);
    out.push_str(" type=\"");
    out.push_str(&escape(&reference.type_name));
    out.push('"');
    if declared == TypeRef::Any {
        out.push_str(" xsi:type=\"ManagedObjectReference\"");
    }
    out.push('>');
    out.push_str(&escape(&reference.id));
    close(out, name);
}

/// A list is the element repeated, but wrapped when it stands for `anyType`; the items
/// then are called by their type and carry `xsi:type` each.
fn write_array(out: &mut String, name: &str, item: TypeRef, items: &[Value], declared: TypeRef) {
    if declared != TypeRef::Any {
        for value in items {
            write_value(out, name, value, item);
        }
        return;
    }
    let item_name = item.item_name();
    let (first, rest) = item_name.split_at(1);
    let wrapped = format!("ArrayOf{}{rest}", first.to_uppercase());
    open(out, name, Some(&wrapped));
    for value in items {
        write_value(out, item_name, value, TypeRef::Any);
    }
    close(out, name);
}

fn write_text(out: &mut String, name: &str, shown: Option<&str>, text: &str) {
    open(out, name, shown);
    out.push_str(&escape(text));
    close(out, name);
}

fn open(out: &mut String, name: &str, shown: Option<&str>) {
    out.push('<');
    out.push_str(name);
    if let Some(shown) = shown {
        out.push_str(" xsi:type=\"");
        out.push_str(&escape(shown));
        out.push('"');
    }
    out.push('>');
}

fn close(out: &mut String, name: &str) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(value: &Value, declared: TypeRef) -> String {
        let mut out = String::new();
        write_value(&mut out, "val", value, declared);
        out
    }

    #[test]
    fn recorded_forms_of_values_in_any_type() {
        let any = |value: &Value| written(value, TypeRef::Any);
        assert_eq!(
            any(&Value::string("Tom & Jerry's")),
            "<val xsi:type=\"xsd:string\">Tom &amp; Jerry&apos;s</val>"
        );
        assert_eq!(
            any(&Value::reference("HostSystem", "host-16")),
            "<val type=\"HostSystem\" xsi:type=\"ManagedObjectReference\">host-16</val>"
        );
        assert_eq!(
            any(&Value::references("Datacenter", ["datacenter-3"])),
            "<val xsi:type=\"ArrayOfManagedObjectReference\"><ManagedObjectReference type=\"Datacenter\" \
             xsi:type=\"ManagedObjectReference\">datacenter-3</ManagedObjectReference></val>"
        );
        assert_eq!(
            any(&Value::references("Datacenter", Vec::<String>::new())),
            "<val xsi:type=\"ArrayOfManagedObjectReference\"></val>"
        );
        assert_eq!(
            any(&Value::strings(["Destroy_Task"])),
            "<val xsi:type=\"ArrayOfString\"><string xsi:type=\"xsd:string\">Destroy_Task</string></val>"
        );
    }

    #[test]
    fn members_follow_the_schema_and_derived_types_are_named() {
        let parent = DataObject::new("VirtualDiskFlatVer2BackingInfo")
            .text("diskMode", "persistent")
            .text("fileName", "[d] a/a.vmdk");
        let backing = DataObject::new("VirtualDiskFlatVer2BackingInfo")
            .part("parent", parent)
            .text("diskMode", "persistent")
            .text("fileName", "[d] a/a-000001.vmdk");
        let disk = DataObject::new("VirtualDisk")
            .with("capacityInKB", Value::long(1))
            .part("backing", backing)
            .with("key", Value::int(2000));
        let devices = Value::objects("VirtualDevice", [disk]);
        let inner = "<key>2000</key><backing xsi:type=\"VirtualDiskFlatVer2BackingInfo\">\
            <fileName>[d] a/a-000001.vmdk</fileName><diskMode>persistent</diskMode>\
            <parent><fileName>[d] a/a.vmdk</fileName><diskMode>persistent</diskMode></parent>\
            </backing><capacityInKB>1</capacityInKB>";
        assert_eq!(
            written(&devices, TypeRef::Any),
            format!(
                "<val xsi:type=\"ArrayOfVirtualDevice\"><VirtualDevice xsi:type=\"VirtualDisk\">\
                 {inner}</VirtualDevice></val>"
            )
        );
        assert_eq!(
            written(&devices, TypeRef::Named("VirtualDevice")),
            format!("<val xsi:type=\"VirtualDisk\">{inner}</val>")
        );
    }

    #[test]
    fn constructed_fault() {
        assert_eq!(
            fault_envelope(&Fault::invalid_argument("deviceKey")),
            include_str!("../../testdata/c25-fault-invalid-argument-device-key.xml")
        );
    }

    #[test]
    fn constructed_results() {
        assert_eq!(
            answer_envelope("Logout", &Answer::Nothing),
            include_str!("../../testdata/c02-void-logout.xml")
        );
        let task = Answer::One(Value::reference("Task", "task-5151"));
        assert_eq!(
            answer_envelope("CreateSnapshot_Task", &task),
            include_str!("../../testdata/c08-create-snapshot-task.xml")
        );
    }
}
