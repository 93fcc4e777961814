//! Writes elements in the form of the recorded answers, or of other servers: "vSphere Web
//! Services API" 1.4, 1.5, 1.8 and 1.9.

use quick_xml::escape::escape;

use super::Dialect;
use crate::schema::{TypeRef, schema};
use crate::value::{DataObject, MoRef, Value};

const TAIL: &str = "\n</soapenv:Body>\n</soapenv:Envelope>";
/// The prefix of the namespace of `xsi:type`, and another one for it.
const PREFIXES: [&str; 2] = ["xsi", "XMLSchema-instance"];

/// One envelope.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: String,
    dialect: &'a Dialect,
    prefix: &'static str,
}

impl<'a> Writer<'a> {
    /// An envelope up to the start of its body.
    pub(super) fn new(dialect: &'a Dialect) -> Self {
        let prefix = PREFIXES[usize::from(dialect.form.other_prefix)];
        let out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\"\n \
             xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"\n \
             xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"\n \
             xmlns:{prefix}=\"http://www.w3.org/2001/XMLSchema-instance\">\n<soapenv:Body>\n"
        );
        Self {
            out,
            dialect,
            prefix,
        }
    }

    /// The whole envelope.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str(TAIL);
        self.out
    }

    /// A start tag with attributes, of which each begins with a blank.
    pub(super) fn start(&mut self, name: &str, attributes: &str) {
        for part in ["<", name, attributes, ">"] {
            self.out.push_str(part);
        }
    }

    /// The end tag. One that follows its start tag may become one with it.
    pub(super) fn end(&mut self, name: &str) {
        let is_empty = self.out.ends_with('>') && !self.out.ends_with("/>") && {
            let tag = self
                .out
                .rfind('<')
                .map_or("", |start| &self.out[start + 1..]);
            tag.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '>']))
        };
        if self.dialect.form.short_empty && is_empty {
            self.out.pop();
            self.out.push_str("/>");
            return;
        }
        for part in ["</", name, ">"] {
            self.out.push_str(part);
        }
    }

    /// The attribute `xsi:type`, with a blank before it.
    pub(super) fn type_attribute(&self, shown: &str) -> String {
        format!(" {}:type=\"{}\"", self.prefix, escape(shown))
    }

    /// An element with a text.
    pub(super) fn text(&mut self, name: &str, shown: Option<&str>, text: &str) {
        self.open(name, shown);
        self.out.push_str(&escape(text));
        self.end(name);
    }

    fn open(&mut self, name: &str, shown: Option<&str>) {
        let attributes = shown.map(|shown| self.type_attribute(shown));
        self.start(name, attributes.as_deref().unwrap_or_default());
    }

    /// Writes one element. `xsi:type` appears when the actual type is not the declared one.
    pub(super) fn value(&mut self, name: &str, value: &Value, declared: TypeRef) {
        match value {
            Value::Simple(actual, text) => {
                let same = declared == TypeRef::Simple(actual);
                let shown = (!same).then(|| format!("xsd:{actual}"));
                self.text(name, shown.as_deref(), text);
            }
            Value::Enum(actual, text) => {
                let same = declared == TypeRef::Named(actual);
                self.text(name, (!same).then_some(*actual), text);
            }
            Value::Reference(reference) => self.reference(name, reference, declared),
            Value::Object(object) => {
                let same = matches!(declared, TypeRef::Named(name) if name == object.type_name);
                self.open(name, (!same).then_some(object.type_name.as_ref()));
                self.members(object);
                self.end(name);
            }
            Value::Array(item, items) => self.array(name, *item, items, declared),
            Value::Opaque => {}
        }
    }

    /// The members of an object that the version asked for knows.
    pub(super) fn members(&mut self, object: &DataObject) {
        for member in schema().members(&object.type_name) {
            if let Some(value) = object.get(member.name)
                && self.dialect.has(member)
            {
                self.value(member.name, value, member.declared);
            }
        }
    }

    fn reference(&mut self, name: &str, reference: &MoRef, declared: TypeRef) {
        let plain = format!(" type=\"{}\"", escape(&reference.type_name));
        let shown = match declared {
            TypeRef::Any => self.type_attribute("ManagedObjectReference"),
            _ => String::new(),
        };
        if self.dialect.form.type_first {
            self.start(name, &(shown + &plain));
        } else {
            self.start(name, &(plain + &shown));
        }
        let id = self.dialect.outside(&reference.id);
        self.out.push_str(&escape(id));
        self.end(name);
    }

    /// A list is the element repeated, but wrapped when it stands for `anyType`; the items
    /// then are called by their type and carry `xsi:type` each.
    fn array(&mut self, name: &str, item: TypeRef, items: &[Value], declared: TypeRef) {
        if declared != TypeRef::Any {
            for value in items {
                self.value(name, value, item);
            }
            return;
        }
        let item_name = item.item_name();
        let (first, rest) = item_name.split_at(1);
        let wrapped = format!("ArrayOf{}{rest}", first.to_uppercase());
        self.open(name, Some(&wrapped));
        for value in items {
            self.value(item_name, value, TypeRef::Any);
        }
        self.end(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Form;
    use crate::schema::Version;

    fn written_in(dialect: &Dialect, value: &Value, declared: TypeRef) -> String {
        let mut writer = Writer::new(dialect);
        let head = writer.out.len();
        writer.value("val", value, declared);
        writer.out.split_off(head)
    }

    fn newest() -> Dialect {
        Dialect {
            version: Version::parse("8.0.3.0").unwrap(),
            ..Dialect::default()
        }
    }

    fn written(value: &Value, declared: TypeRef) -> String {
        written_in(&newest(), value, declared)
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
    fn newer_members_are_left_out() {
        let disk = DataObject::new("VirtualDisk")
            .with("capacityInKB", Value::long(1))
            .with("capacityInBytes", Value::long(1024))
            .with("key", Value::int(2000));
        let declared = TypeRef::Named("VirtualDisk");
        let at = |version| Dialect {
            version: Version::parse(version).unwrap(),
            ..Dialect::default()
        };
        let disk = Value::Object(disk);
        let old = written_in(&at("5.1"), &disk, declared);
        assert_eq!(
            old,
            "<val><key>2000</key><capacityInKB>1</capacityInKB></val>"
        );
        assert!(written_in(&at("5.5"), &disk, declared).contains("<capacityInBytes>"));
    }

    #[test]
    fn other_forms_say_the_same() {
        let mut dialect = newest();
        dialect.form = Form {
            other_prefix: true,
            type_first: true,
            short_empty: true,
            ..Form::default()
        };
        let written = |value: &Value| written_in(&dialect, value, TypeRef::Any);
        assert_eq!(
            written(&Value::reference("HostSystem", "host-16")),
            "<val XMLSchema-instance:type=\"ManagedObjectReference\" type=\"HostSystem\">host-16</val>"
        );
        assert_eq!(
            written(&Value::string("")),
            "<val XMLSchema-instance:type=\"xsd:string\"/>"
        );
        let inner = DataObject::new("DynamicProperty").text("name", "");
        let twice = DataObject::new("DynamicProperty").part("val", inner);
        assert_eq!(
            written(&Value::Object(twice)),
            "<val XMLSchema-instance:type=\"DynamicProperty\"><val XMLSchema-instance:type=\"DynamicProperty\">\
             <name/></val></val>"
        );
        assert_eq!(
            written(&Value::string("val>")),
            "<val XMLSchema-instance:type=\"xsd:string\">val&gt;</val>"
        );
        dialect.bare_host = true;
        let vm = Value::reference("VirtualMachine", "vm-1021");
        assert_eq!(
            written_in(&dialect, &vm, TypeRef::Reference("VirtualMachine")),
            "<val type=\"VirtualMachine\">1021</val>"
        );
    }
}
