//! The operation element of a request, written in the order it is called in.
//!
//! Order matters: the schema is a sequence, and real servers refuse parameters in another
//! order ("vsphere-api.md" 1.6).

use zeroize::Zeroizing;

use super::error::Error;
use super::moref::Moref;
use super::xml::Node;
use crate::secret::Secret;

/// Room for a call with a handful of parameters, so that writing a password never moves the
/// buffer and leaves a copy behind.
const ROOM_BYTES: usize = 2048;
/// The longest escape of one byte, `&quot;`.
const ESCAPE_BYTES: usize = 6;

/// Types of XML Schema itself, which have a prefix where they are sent.
const SIMPLE_TYPES: [&str; 6] = ["string", "boolean", "int", "long", "short", "dateTime"];

/// One call: the method's name and its element, `_this` first.
pub(super) struct Operation {
    method: &'static str,
    xml: Zeroizing<String>,
    unsendable: Option<&'static str>,
}

impl Operation {
    /// Starts a call of `method` on the object `this`.
    pub(super) fn new(method: &'static str, this: &Moref) -> Self {
        Self::within("urn:vim25", method, this)
    }

    /// Starts a call of a method of the internal interface.
    pub(super) fn internal(method: &'static str, this: &Moref) -> Self {
        Self::within("urn:internalvim25", method, this)
    }

    fn within(namespace: &str, method: &'static str, this: &Moref) -> Self {
        let mut operation = Self {
            method,
            xml: Zeroizing::new(String::with_capacity(ROOM_BYTES)),
            unsendable: None,
        };
        operation.push(&["<", method, " xmlns=\"", namespace, "\">"]);
        operation.moref("_this", this)
    }

    /// The method's name.
    pub(super) fn method(&self) -> &'static str {
        self.method
    }

    /// Opens a structure.
    pub(super) fn open(mut self, name: &str) -> Self {
        self.push(&["<", name, ">"]);
        self
    }

    /// Opens a structure whose type the declaration leaves open.
    pub(super) fn open_typed(mut self, name: &str, xsi_type: &str) -> Self {
        self.push(&["<", name, " xsi:type=\"", xsi_type, "\">"]);
        self
    }

    /// Closes a structure.
    pub(super) fn close(mut self, name: &str) -> Self {
        self.push(&["</", name, ">"]);
        self
    }

    /// A text.
    pub(super) fn text(mut self, name: &'static str, value: &str) -> Self {
        self.push(&["<", name, ">"]);
        self.escape(name, value);
        self.push(&["</", name, ">"]);
        self
    }

    /// A text that must not leave copies.
    pub(super) fn secret(mut self, name: &'static str, value: &Secret) -> Self {
        let room = value.expose().len() * ESCAPE_BYTES + ROOM_BYTES;
        let mut larger = Zeroizing::new(String::with_capacity(self.xml.len() + room));
        larger.push_str(&self.xml);
        self.xml = larger;
        self.text(name, value.expose())
    }

    /// A truth value.
    pub(super) fn boolean(self, name: &'static str, value: bool) -> Self {
        self.text(name, if value { "true" } else { "false" })
    }

    /// A number.
    pub(super) fn number(self, name: &'static str, value: i64) -> Self {
        self.text(name, &value.to_string())
    }

    /// A reference.
    pub(super) fn moref(mut self, name: &'static str, value: &Moref) -> Self {
        self.push(&["<", name, " type=\""]);
        self.escape(name, &value.kind);
        self.push(&["\">"]);
        self.escape(name, &value.id);
        self.push(&["</", name, ">"]);
        self
    }

    /// A structure with these elements in it, in their order.
    pub(super) fn nodes(mut self, name: &'static str, nodes: &[Node]) -> Self {
        self.push(&["<", name, ">"]);
        for node in nodes {
            self.node(name, node);
        }
        self.push(&["</", name, ">"]);
        self
    }

    /// Depth and names are those of a document that was read: bounded, and fit to be sent.
    fn node(&mut self, parameter: &'static str, node: &Node) {
        self.push(&["<", &node.name]);
        if let Some(kind) = &node.kind {
            self.push(&[" type=\""]);
            self.escape(parameter, kind);
            self.push(&["\""]);
        }
        if let Some(xsi_type) = &node.xsi_type {
            let prefix = if SIMPLE_TYPES.contains(&xsi_type.as_str()) {
                "xsd:"
            } else {
                ""
            };
            self.push(&[" xsi:type=\"", prefix]);
            self.escape(parameter, xsi_type);
            self.push(&["\""]);
        }
        self.push(&[">"]);
        self.escape(parameter, &node.text);
        for child in &node.children {
            self.node(parameter, child);
        }
        self.push(&["</", &node.name, ">"]);
    }

    /// The whole request: envelope, `operation_id` for the server's logs, the operation.
    ///
    /// # Errors
    ///
    /// [`Error::Unsendable`] for a value with a character that XML cannot carry.
    pub(super) fn envelope(&self, operation_id: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
        if let Some(parameter) = self.unsendable {
            return Err(Error::Unsendable {
                method: self.method,
                parameter,
            });
        }
        let parts = [
            HEAD,
            "<soapenv:Header><operationID>",
            operation_id,
            "</operationID></soapenv:Header>\n<soapenv:Body>",
            self.xml.as_str(),
            "</",
            self.method,
            "></soapenv:Body>\n</soapenv:Envelope>\n",
        ];
        let length = parts.iter().map(|part| part.len()).sum();
        let mut envelope = Zeroizing::new(Vec::with_capacity(length));
        for part in parts {
            envelope.extend_from_slice(part.as_bytes());
        }
        Ok(envelope)
    }

    fn push(&mut self, parts: &[&str]) {
        for part in parts {
            self.xml.push_str(part);
        }
    }

    fn escape(&mut self, name: &'static str, value: &str) {
        for c in value.chars() {
            match c {
                '&' => self.xml.push_str("&amp;"),
                '<' => self.xml.push_str("&lt;"),
                '>' => self.xml.push_str("&gt;"),
                '"' => self.xml.push_str("&quot;"),
                // A reader would make it a line feed.
                '\r' => self.xml.push_str("&#13;"),
                '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'.. => self.xml.push(c),
                _ => self.unsendable = Some(name),
            }
        }
    }
}

const HEAD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
"#;

#[cfg(test)]
mod tests {
    use super::Operation;
    use crate::secret::Secret;
    use crate::vsphere::moref::Moref;

    fn body(operation: &Operation) -> String {
        let envelope = operation.envelope("id-1").unwrap();
        let text = std::str::from_utf8(&envelope).unwrap();
        let (_, rest) = text.split_once("<soapenv:Body>").unwrap();
        rest.split_once("</soapenv:Body>").unwrap().0.to_owned()
    }

    #[test]
    fn values_are_escaped_in_text_and_attributes() {
        let this = Moref::new("A\"<", "b&c");
        let operation = Operation::new("M", &this).text("t", "<&>\"'\r\n\t\u{1f600}");
        assert_eq!(
            body(&operation),
            "<M xmlns=\"urn:vim25\"><_this type=\"A&quot;&lt;\">b&amp;c</_this><t>&lt;&amp;&gt;&quot;'&#13;\n\t\u{1f600}</t></M>"
        );
    }

    #[test]
    fn a_character_that_xml_has_not_is_refused_by_parameter() {
        for bad in ["\0", "a\u{1b}b", "\u{fffe}"] {
            let operation = Operation::new("M", &Moref::vm("1")).text("name", bad);
            let error = operation.envelope("id").unwrap_err();
            assert!(error.to_string().contains("name"), "{error}");
            assert!(!error.to_string().contains(bad));
        }
    }

    #[test]
    fn a_secret_is_written_whole() {
        let password = Secret::new("\"<".repeat(4000));
        let operation = Operation::new("Login", &Moref::vm("1")).secret("password", &password);
        assert!(body(&operation).contains(&"&quot;&lt;".repeat(4000)));
    }

    #[test]
    fn the_operation_id_stands_in_the_header() {
        let operation = Operation::new("M", &Moref::vm("1"));
        let envelope = operation.envelope("cbt-7").unwrap();
        let text = std::str::from_utf8(&envelope).unwrap();
        assert!(text.contains("<soapenv:Header><operationID>cbt-7</operationID></soapenv:Header>"));
    }
}
