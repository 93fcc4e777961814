//! A request body as a small tree, bounded in depth and number of elements.

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use quick_xml::{XmlVersion, escape};

const MAX_DEPTH: usize = 48;
const MAX_ELEMENTS: usize = 20_000;
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Why a body is no request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ElementError {
    #[error("not well-formed: {0}")]
    Syntax(#[from] quick_xml::Error),
    #[error("a document type is not accepted")]
    DocumentType,
    #[error("more than {MAX_DEPTH} levels or {MAX_ELEMENTS} elements")]
    TooLarge,
    #[error("unknown entity &{0};")]
    Entity(String),
    #[error("no root element, or more than one")]
    Root,
}

/// One element with its resolved namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// Local name.
    pub(crate) name: String,
    /// Namespace, empty when there is none.
    pub(crate) namespace: String,
    /// Local part of `xsi:type`.
    pub(crate) xsi_type: Option<String>,
    /// The attribute `type` without namespace: the type of a reference.
    pub(crate) reference_type: Option<String>,
    /// All character data directly inside, white space kept.
    pub(crate) text: String,
    /// Child elements in order.
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// Parses one document.
    pub(crate) fn parse(body: &str) -> Result<Element, ElementError> {
        let mut reader = NsReader::from_str(body);
        let mut open: Vec<Element> = Vec::new();
        let mut root = None;
        let mut count = 0;
        loop {
            let event = reader.read_event()?;
            if matches!(event, Event::Start(_) | Event::Empty(_)) {
                count += 1;
                if count > MAX_ELEMENTS || open.len() >= MAX_DEPTH {
                    return Err(ElementError::TooLarge);
                }
            }
            match event {
                Event::Start(start) => open.push(Self::from_start(&reader, &start)?),
                Event::Empty(start) => {
                    let element = Self::from_start(&reader, &start)?;
                    Self::close(element, &mut open, &mut root)?;
                }
                Event::End(_) => {
                    let element = open.pop().ok_or(ElementError::Root)?;
                    Self::close(element, &mut open, &mut root)?;
                }
                Event::Text(text) => Self::append(&mut open, &text.xml10_content()),
                Event::CData(text) => Self::append(&mut open, &text.xml10_content()),
                Event::GeneralRef(reference) => {
                    let text = resolve_entity(&reference)?;
                    Self::append(&mut open, &text);
                }
                Event::DocType(_) => return Err(ElementError::DocumentType),
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
                Event::Eof => break,
            }
        }
        match root {
            Some(root) if open.is_empty() => Ok(root),
            _ => Err(ElementError::Root),
        }
    }

    /// Changes the ids of all references inside, the element itself among them.
    pub(crate) fn map_references(&mut self, map: &impl Fn(&str) -> String) {
        if self.reference_type.is_some() {
            self.text = map(self.text.trim());
        }
        for child in &mut self.children {
            child.map_references(map);
        }
    }

    fn from_start(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<Self, ElementError> {
        let resolver = reader.resolver();
        let (namespace, name) = resolver.resolve_element(start.name());
        let mut element = Element {
            name: name.as_ref().to_owned(),
            namespace: bound(&namespace).unwrap_or_default().to_owned(),
            ..Element::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(quick_xml::Error::from)?;
            let (namespace, name) = resolver.resolve_attribute(attribute.key);
            if name.as_ref() != "type" {
                continue;
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0)?;
            match bound(&namespace) {
                Some(XSI) => {
                    let local = value.rsplit(':').next().unwrap_or_default();
                    element.xsi_type = Some(local.to_owned());
                }
                None => element.reference_type = Some(value.into_owned()),
                Some(_) => {}
            }
        }
        Ok(element)
    }

    fn close(
        element: Element,
        open: &mut [Element],
        root: &mut Option<Element>,
    ) -> Result<(), ElementError> {
        match open.last_mut() {
            Some(parent) => parent.children.push(element),
            None if root.is_none() => *root = Some(element),
            None => return Err(ElementError::Root),
        }
        Ok(())
    }

    fn append(open: &mut [Element], text: &str) {
        if let Some(element) = open.last_mut() {
            element.text.push_str(text);
        }
    }
}

fn bound<'a>(result: &ResolveResult<'a>) -> Option<&'a str> {
    match result {
        ResolveResult::Bound(namespace) => Some(namespace.0),
        _ => None,
    }
}

fn resolve_entity(reference: &BytesRef<'_>) -> Result<String, ElementError> {
    if let Some(character) = reference.resolve_char_ref()? {
        return Ok(character.to_string());
    }
    let name = reference.xml10_content();
    escape::resolve_predefined_entity(&name)
        .map(str::to_owned)
        .ok_or_else(|| ElementError::Entity(name.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_prefixes_and_entities() {
        let root = Element::parse(
            r#"<?xml version="1.0"?><!-- c --><e:a xmlns:e="urn:x" xmlns:q="http://www.w3.org/2001/XMLSchema-instance">
               <b xmlns="urn:y" q:type="v:TraversalSpec" type="Folder">p&amp;ss&lt;w&#111;rd<![CDATA[<]]></b></e:a>"#,
        )
        .unwrap();
        assert_eq!(
            (root.name.as_str(), root.namespace.as_str()),
            ("a", "urn:x")
        );
        let b = &root.children[0];
        assert_eq!(b.namespace, "urn:y");
        assert_eq!(b.xsi_type.as_deref(), Some("TraversalSpec"));
        assert_eq!(b.reference_type.as_deref(), Some("Folder"));
        assert_eq!(b.text, "p&ss<word<");
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "<a>".repeat(60) + &"</a>".repeat(60);
        let wide = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert!(matches!(Element::parse(&deep), Err(ElementError::TooLarge)));
        assert!(matches!(Element::parse(&wide), Err(ElementError::TooLarge)));
        assert!(matches!(
            Element::parse("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>"),
            Err(ElementError::DocumentType)
        ));
        assert!(matches!(
            Element::parse("<a>&x;</a>"),
            Err(ElementError::Entity(_))
        ));
        assert!(matches!(
            Element::parse("<a></b>"),
            Err(ElementError::Syntax(_))
        ));
        assert!(matches!(Element::parse("<a>"), Err(ElementError::Root)));
        assert!(matches!(
            Element::parse("<a/><b/>"),
            Err(ElementError::Root)
        ));
        assert!(matches!(Element::parse(""), Err(ElementError::Root)));
    }
}
