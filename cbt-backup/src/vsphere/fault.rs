//! Faults: how the server says no, kept even when their type is unknown.

use std::fmt;

use super::moref::Moref;
use super::xml::{Reader, Tag, XmlError, short};

/// More fields of one fault than this are not kept; the documented ones have less than ten.
const MAX_FIELDS: usize = 16;
/// More further texts of one fault than this are not kept.
const MAX_DETAILS: usize = 16;
/// More faults behind one than this are not kept.
const MAX_CAUSES: usize = 8;

/// A typed refusal of the server, from a SOAP fault or from inside data. Faults are printed and
/// kept in points, so all texts are cut after 1000 characters, and of fields, details and causes
/// only the first are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The type without prefix, such as `FileFault`; new releases add types. This, and never
    /// a text, is what decisions rest on.
    pub type_name: String,
    /// The text for people, sometimes empty.
    pub message: String,
    /// The simple fields of the fault in the order sent, references as `Type:id`.
    pub fields: Vec<(String, String)>,
    /// Further texts, often the most useful ones to an operator.
    pub details: Vec<String>,
    /// The fault behind this one.
    pub cause: Option<Box<Fault>>,
    /// The id under which the server's logs have the call, if it is the answer to one.
    pub operation_id: Option<String>,
}

impl Fault {
    /// The first field called `name`, such as `privilegeId`, `file` or `invalidProperty`.
    pub fn field(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }

    /// True for faults that pass by themselves: another task holds the VM, the configuration
    /// changed meanwhile, the host is out of reach ("vsphere-api.md" 1.14).
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.type_name.as_str(),
            "TaskInProgress"
                | "ConcurrentAccess"
                | "HostCommunication"
                | "HostNotConnected"
                | "HostNotReachable"
        )
    }

    /// A fault of this type of which nothing else is known.
    pub(super) fn empty(type_name: &str) -> Self {
        Self {
            type_name: type_name.to_owned(),
            message: String::new(),
            fields: Vec::new(),
            details: Vec::new(),
            cause: None,
            operation_id: None,
        }
    }

    /// Reads `<soapenv:Fault>`: code, text, and one typed child of `detail`.
    pub(super) fn read_soap(r: &mut Reader<'_>, tag: &Tag) -> Result<Self, XmlError> {
        let mut fault = None;
        let mut text = String::new();
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "faultstring" => text = r.short_text(tag)?,
                "detail" => r.children(tag, |r, tag| {
                    if fault.is_none() {
                        fault = Some(Self::read_typed(r, tag, MAX_CAUSES)?);
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        let mut fault = fault.unwrap_or_else(|| Self::empty("Fault"));
        fault.message = text;
        Ok(fault)
    }

    /// Reads a `LocalizedMethodFault`: a typed `fault` and its `localizedMessage`.
    pub(super) fn read_localized(r: &mut Reader<'_>, tag: &Tag) -> Result<Self, XmlError> {
        Self::read_localized_with(r, tag, MAX_CAUSES)
    }

    /// The same with at most `causes_left` faults behind it.
    fn read_localized_with(
        r: &mut Reader<'_>,
        tag: &Tag,
        causes_left: usize,
    ) -> Result<Self, XmlError> {
        let mut fault = None;
        let mut text = String::new();
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "fault" => fault = Some(Self::read_typed(r, tag, causes_left)?),
                "localizedMessage" => text = r.short_text(tag)?,
                _ => {}
            }
            Ok(())
        })?;
        let mut fault = fault.unwrap_or_else(|| Self::empty("MethodFault"));
        fault.message = text;
        Ok(fault)
    }

    /// Reads the fields of a fault whose type is in `xsi:type`, or else in the element's name.
    fn read_typed(r: &mut Reader<'_>, tag: &Tag, causes_left: usize) -> Result<Self, XmlError> {
        let mut fault = Self::empty(&short(type_name(tag)));
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "faultCause" if causes_left > 0 => {
                    let cause = Self::read_localized_with(r, tag, causes_left - 1)?;
                    fault.cause = Some(Box::new(cause));
                }
                "faultCause" => {}
                "faultMessage" => {
                    let text = read_message(r, tag)?;
                    if fault.details.len() < MAX_DETAILS && !text.is_empty() {
                        fault.details.push(text);
                    }
                }
                _ if fault.fields.len() < MAX_FIELDS => {
                    if let Some(text) = r.leaf(tag)? {
                        let value = match &tag.kind {
                            Some(kind) => Moref::new(kind.as_str(), text).to_string(),
                            None => text,
                        };
                        fault.fields.push((short(&tag.name), short(&value)));
                    }
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(fault)
    }
}

fn type_name(tag: &Tag) -> &str {
    match &tag.xsi_type {
        Some(name) => name,
        None => tag.name.strip_suffix("Fault").unwrap_or(&tag.name),
    }
}

/// A `LocalizableMessage`: its text, or its key where no text was sent.
fn read_message(r: &mut Reader<'_>, tag: &Tag) -> Result<String, XmlError> {
    let mut key = String::new();
    let mut message = String::new();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "key" => key = r.short_text(tag)?,
            "message" => message = r.short_text(tag)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(if message.is_empty() { key } else { message })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.type_name)?;
        let message = self.message.trim().trim_end_matches('.');
        if !message.is_empty() {
            write!(f, ": {message}")?;
        }
        for (index, (name, value)) in self.fields.iter().enumerate() {
            let open = if index == 0 { " (" } else { ", " };
            write!(f, "{open}{name} {value}")?;
        }
        if !self.fields.is_empty() {
            f.write_str(")")?;
        }
        for detail in &self.details {
            write!(f, "; {}", detail.trim().trim_end_matches('.'))?;
        }
        if let Some(cause) = &self.cause {
            write!(f, "; caused by {cause}")?;
        }
        match &self.operation_id {
            Some(id) => write!(f, " [operation {id}]"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Fault;
    use crate::vsphere::xml::Reader;

    fn soap(xml: &str) -> Fault {
        let mut reader = Reader::new(xml);
        let mut fault = None;
        reader
            .document(|r, tag| {
                fault = Some(Fault::read_soap(r, tag)?);
                Ok(())
            })
            .unwrap();
        fault.unwrap()
    }

    #[test]
    fn type_comes_from_xsi_type_else_from_the_name_without_its_last_fault() {
        let typed = soap(
            r#"<Fault xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><detail><AnyName i:type="x:FileFault"><file>[ds] a.vmdk</file></AnyName></detail></Fault>"#,
        );
        assert_eq!(typed.type_name, "FileFault");
        assert_eq!(typed.field("file"), Some("[ds] a.vmdk"));
        let named = soap("<Fault><faultstring/><detail><FileFaultFault/></detail></Fault>");
        assert_eq!(named.type_name, "FileFault");
        assert_eq!(named.message, "");
        assert_eq!(soap("<Fault/>").type_name, "Fault");
    }

    #[test]
    fn long_texts_are_cut_and_of_many_only_the_first_are_kept() {
        let long = "x".repeat(100_000);
        let details = format!("<faultMessage><message>{long}</message></faultMessage>").repeat(40);
        let fields = format!("<f{long}>{long}</f{long}>").repeat(40);
        let (mut causes, mut ends) = (String::new(), String::new());
        for _ in 0..40 {
            causes.push_str("<faultCause><fault>");
            ends.push_str("</fault></faultCause>");
        }
        let fault = soap(&format!(
            "<Fault><faultstring>{long}</faultstring><detail><{long}>{details}{fields}{causes}{ends}</{long}></detail></Fault>"
        ));
        assert_eq!(fault.type_name.chars().count(), 1000);
        assert_eq!(fault.message.chars().count(), 1000);
        assert!(fault.message.ends_with("x…"));
        assert_eq!((fault.fields.len(), fault.details.len()), (16, 16));
        let (name, value) = &fault.fields[15];
        for text in [name, value, &fault.details[15]] {
            assert_eq!(text.chars().count(), 1000);
        }
        let mut causes = 0;
        let mut next = &fault;
        while let Some(cause) = &next.cause {
            (causes, next) = (causes + 1, cause);
        }
        assert_eq!(causes, 8);
        assert!(fault.to_string().chars().count() < 60_000);
    }

    #[test]
    fn cause_messages_and_references_are_kept_and_shown() {
        let fault = soap(
            r#"<Fault xmlns:i="http://www.w3.org/2001/XMLSchema-instance"><faultstring>Went wrong.</faultstring><detail><XFault i:type="X"><faultCause><fault i:type="Y"><reason>deep</reason></fault><localizedMessage>Below.</localizedMessage></faultCause><faultMessage><key>k</key><arg><key>1</key></arg><message>The disk said no.</message></faultMessage><faultMessage><key>only.key</key></faultMessage><object type="Folder">group-d1</object><deep><a>1</a></deep></XFault></detail></Fault>"#,
        );
        assert_eq!(
            fault.to_string(),
            "X: Went wrong (object Folder:group-d1); The disk said no; only.key; caused by Y: Below (reason deep)"
        );
    }
}
