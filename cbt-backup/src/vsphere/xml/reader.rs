//! The pull reader over quick-xml, with bounds on depth and count.

mod node;

use std::str::FromStr;

use quick_xml::XmlVersion;
use quick_xml::errors::{Error as QuickError, SyntaxError};
use quick_xml::events::attributes::Attribute;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, PrefixDeclaration, ResolveResult};
use quick_xml::reader::NsReader;

pub(crate) use node::Node;

use super::error::XmlError;
use super::short::{MAX_TEXT_CHARS, short};
use crate::vsphere::moref::Moref;

/// The namespace of `xsi:type`, whatever its prefix.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// Snapshot trees and disk chains nest; nothing of theirs comes near this.
const MAX_DEPTH: usize = 256;
/// A million changed areas have three million elements.
const MAX_ELEMENTS: usize = 4_000_000;
/// No element of an answer has more than a handful.
const MAX_ATTRIBUTES: usize = 64;
/// All that [`Reader::raw`] adds to elements of one document.
const MAX_DECLARED_BYTES: usize = 64 << 20;

/// The namespace of an element, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// SOAP 1.1.
    Soap,
    /// The API, public or internal.
    Vim,
    /// None at all.
    None,
    /// Something that is not for us.
    Other,
}

/// One start tag.
#[derive(Debug)]
pub(crate) struct Tag {
    /// The name without prefix.
    pub(crate) name: String,
    /// The namespace of the name.
    pub(crate) space: Space,
    /// The local part of `xsi:type`, whatever prefix it came with.
    pub(crate) xsi_type: Option<String>,
    /// The attribute `type` without a namespace: the managed type of a reference.
    pub(crate) kind: Option<String>,
    /// Open elements, this one included.
    depth: usize,
    start: usize,
    qualified_name_bytes: usize,
    own_bindings: Vec<String>,
}

/// A walk through one document.
pub(crate) struct Reader<'x> {
    text: &'x str,
    inner: NsReader<&'x [u8]>,
    depth: usize,
    elements: usize,
    /// What `raw` has added so far.
    declared_bytes: usize,
}

impl<'x> Reader<'x> {
    /// A reader of `text`; a byte order mark is passed over.
    pub(crate) fn new(text: &'x str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut inner = NsReader::from_str(text);
        inner.config_mut().expand_empty_elements = true;
        Self {
            text,
            inner,
            depth: 0,
            elements: 0,
            declared_bytes: 0,
        }
    }

    /// A reader of `bytes`, which must be UTF-8.
    pub(crate) fn from_bytes(bytes: &'x [u8]) -> Result<Self, XmlError> {
        let text = std::str::from_utf8(bytes).map_err(|_| XmlError::NotUtf8)?;
        Ok(Self::new(text))
    }

    /// Visits the root element, then reads to the end of the document.
    pub(crate) fn document(
        &mut self,
        mut visit: impl FnMut(&mut Self, &Tag) -> Result<(), XmlError>,
    ) -> Result<(), XmlError> {
        let mut roots = 0;
        while let Some(tag) = self.next_child()? {
            roots += 1;
            if roots > 1 {
                return Err(self.malformed("a second root element"));
            }
            visit(self, &tag)?;
            self.close(&tag)?;
        }
        if roots == 0 {
            return Err(self.truncated());
        }
        Ok(())
    }

    /// Visits each child of `tag` in turn, and ends after the end of `tag`. What a visit does
    /// not read is skipped.
    pub(crate) fn children(
        &mut self,
        tag: &Tag,
        mut visit: impl FnMut(&mut Self, &Tag) -> Result<(), XmlError>,
    ) -> Result<(), XmlError> {
        if self.depth < tag.depth {
            return Ok(()); // already read to its end
        }
        while let Some(child) = self.next_child()? {
            visit(self, &child)?;
            self.close(&child)?;
        }
        Ok(())
    }

    /// The text of an element without children.
    pub(crate) fn text(&mut self, tag: &Tag) -> Result<String, XmlError> {
        self.leaf(tag)?.ok_or_else(|| wrong(tag, "plain text"))
    }

    /// The text of an element, or nothing if it has children.
    pub(crate) fn leaf(&mut self, tag: &Tag) -> Result<Option<String>, XmlError> {
        let mut text = String::new();
        let mut is_leaf = true;
        while self.depth >= tag.depth {
            match self.event()? {
                Event::Text(part) => text.push_str(&part.xml10_content()),
                Event::CData(part) => text.push_str(&part.xml10_content()),
                Event::GeneralRef(reference) => text.push(resolve(&reference)?),
                Event::Start(start) => {
                    is_leaf = false;
                    let child = self.open(&start, 0)?;
                    self.close(&child)?;
                }
                Event::End(_) => self.depth -= 1,
                Event::Eof => return Err(self.truncated()),
                _ => {}
            }
        }
        Ok(is_leaf.then_some(text))
    }

    /// The text of an element for people, cut where it is too long for them.
    pub(crate) fn short_text(&mut self, tag: &Tag) -> Result<String, XmlError> {
        Ok(short(&self.text(tag)?))
    }

    /// The text of an element as a number.
    pub(crate) fn number<T: FromStr>(&mut self, tag: &Tag) -> Result<T, XmlError> {
        let text = self.text(tag)?;
        text.trim()
            .parse()
            .map_err(|_| wrong(tag, "a number in range"))
    }

    /// The text of an element as a truth value.
    pub(crate) fn boolean(&mut self, tag: &Tag) -> Result<bool, XmlError> {
        match self.text(tag)?.trim() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(wrong(tag, "true or false")),
        }
    }

    /// An element as a reference: attribute `type` and a text.
    pub(crate) fn moref(&mut self, tag: &Tag) -> Result<Moref, XmlError> {
        let id = self.text(tag)?;
        let kind_bytes = tag.kind.as_ref().map_or(0, String::len);
        // It goes into requests as it came, so it can't be cut; and into errors.
        if id.len().max(kind_bytes) > MAX_TEXT_CHARS {
            return Err(XmlError::TooMany {
                what: "bytes in a reference",
                limit: MAX_TEXT_CHARS,
            });
        }
        match &tag.kind {
            Some(kind) if !id.is_empty() => Ok(Moref::new(kind.as_str(), id)),
            _ => Err(wrong(tag, "a reference")),
        }
    }

    /// The element as it came, made to stand alone: its start tag also declares the prefixes
    /// that were bound around it.
    pub(crate) fn raw(&mut self, tag: &Tag) -> Result<String, XmlError> {
        self.raw_declaring(tag, |_| true)
    }

    /// The same for a reader of this kind, to which only `xsi:type` matters: other prefixes
    /// stay undeclared, so that many elements of one document don't repeat what was declared
    /// once.
    pub(crate) fn raw_value(&mut self, tag: &Tag) -> Result<String, XmlError> {
        self.raw_declaring(tag, |uri| uri == XSI)
    }

    fn raw_declaring(
        &mut self,
        tag: &Tag,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<String, XmlError> {
        let mut outer = String::new();
        let bindings = self.inner.resolver().bindings();
        for (prefix, Namespace(uri)) in bindings.filter(|(_, Namespace(uri))| is_wanted(uri)) {
            let name = match prefix {
                PrefixDeclaration::Default => "xmlns".to_owned(),
                PrefixDeclaration::Named(prefix) => format!("xmlns:{prefix}"),
            };
            if !tag.own_bindings.contains(&name) {
                let uri = quick_xml::escape::escape(uri);
                outer.extend([" ", &name, "=\"", &uri, "\""]);
            }
            if self.declared_bytes + outer.len() > MAX_DECLARED_BYTES {
                return Err(XmlError::TooMany {
                    what: "bytes of namespace declarations",
                    limit: MAX_DECLARED_BYTES,
                });
            }
        }
        self.declared_bytes += outer.len();
        self.close(tag)?;
        let end = usize::try_from(self.inner.buffer_position()).unwrap_or(usize::MAX);
        let source = self.text.get(tag.start..end);
        let cut = 1 + tag.qualified_name_bytes;
        match source.and_then(|source| Some((source.get(..cut)?, source.get(cut..)?))) {
            Some((head, rest)) if head.starts_with('<') => Ok(format!("{head}{outer}{rest}")),
            _ => Err(self.malformed("an element without a place in the text")),
        }
    }

    /// Reads past the end of `tag`.
    fn close(&mut self, tag: &Tag) -> Result<(), XmlError> {
        while self.depth >= tag.depth {
            self.next_child()?;
        }
        Ok(())
    }

    /// The next start tag, or nothing at the end of the element that is open.
    fn next_child(&mut self) -> Result<Option<Tag>, XmlError> {
        loop {
            let start = usize::try_from(self.inner.buffer_position()).unwrap_or(usize::MAX);
            match self.event()? {
                Event::Start(tag) => return self.open(&tag, start).map(Some),
                Event::End(_) => {
                    self.depth -= 1;
                    return Ok(None);
                }
                Event::Eof if self.depth == 0 => return Ok(None),
                Event::Eof => return Err(self.truncated()),
                Event::GeneralRef(reference) => {
                    resolve(&reference)?;
                }
                Event::Text(text) if self.depth == 0 && !text.trim().is_empty() => {
                    return Err(self.malformed("text outside of any element"));
                }
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Result<Event<'x>, XmlError> {
        match self.inner.read_event() {
            Ok(Event::DocType(_)) => Err(XmlError::DocType),
            Ok(Event::Decl(declaration)) => {
                check_encoding(&declaration)?;
                Ok(Event::Decl(declaration))
            }
            Ok(event) => Ok(event),
            Err(error) => Err(self.classify(&error)),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>, at: usize) -> Result<Tag, XmlError> {
        self.depth += 1;
        self.elements += 1;
        if self.depth > MAX_DEPTH {
            return Err(XmlError::TooDeep { limit: MAX_DEPTH });
        }
        if self.elements > MAX_ELEMENTS {
            return Err(XmlError::TooMany {
                what: "elements",
                limit: MAX_ELEMENTS,
            });
        }
        let mut tag = Tag {
            name: start.local_name().into_inner().to_owned(),
            space: self.space(start),
            xsi_type: None,
            kind: None,
            depth: self.depth,
            start: at,
            qualified_name_bytes: start.name().into_inner().len(),
            own_bindings: Vec::new(),
        };
        for (index, attribute) in start.attributes().enumerate() {
            if index >= MAX_ATTRIBUTES {
                return Err(XmlError::TooMany {
                    what: "attributes",
                    limit: MAX_ATTRIBUTES,
                });
            }
            match attribute {
                Ok(attribute) => self.note_attribute(&mut tag, &attribute)?,
                Err(error) => return Err(self.malformed(&error.to_string())),
            }
        }
        Ok(tag)
    }

    fn space(&self, start: &BytesStart<'_>) -> Space {
        match self.inner.resolver().resolve_element(start.name()).0 {
            ResolveResult::Unbound => Space::None,
            ResolveResult::Bound(Namespace(SOAP)) => Space::Soap,
            ResolveResult::Bound(Namespace("urn:vim25" | "urn:internalvim25")) => Space::Vim,
            _ => Space::Other,
        }
    }

    fn note_attribute(&self, tag: &mut Tag, attribute: &Attribute<'_>) -> Result<(), XmlError> {
        if attribute.key.as_namespace_binding().is_some() {
            let name = attribute.key.into_inner().to_owned();
            tag.own_bindings.push(name);
            return Ok(());
        }
        let (namespace, local) = self.inner.resolver().resolve_attribute(attribute.key);
        if local.into_inner() != "type" {
            return Ok(());
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|error| self.classify(&error))?;
        match namespace {
            ResolveResult::Unbound => tag.kind = Some(value.into_owned()),
            ResolveResult::Bound(Namespace(XSI)) => {
                let local = value.rsplit(':').next().unwrap_or_default().trim();
                tag.xsi_type = Some(local.to_owned());
            }
            _ => {}
        }
        Ok(())
    }

    fn truncated(&self) -> XmlError {
        XmlError::Truncated {
            length_bytes: self.text.len() as u64,
        }
    }

    fn malformed(&self, what: &str) -> XmlError {
        XmlError::Malformed {
            at_bytes: self.inner.buffer_position(),
            what: short(what),
        }
    }

    /// Tells an end in the middle from a broken rule: only the first is worth a second try.
    fn classify(&self, error: &QuickError) -> XmlError {
        match error {
            QuickError::Syntax(SyntaxError::InvalidBangMarkup) => {
                self.malformed("unknown markup after <!")
            }
            QuickError::Syntax(_) => self.truncated(),
            other => self.malformed(&other.to_string()),
        }
    }
}

/// One character for a reference: numeric, or one of the five that XML itself defines.
fn resolve(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    let unknown = || XmlError::Entity {
        name: reference.chars().take(40).collect(),
    };
    if reference.is_char_ref() {
        let resolved = reference.resolve_char_ref().ok().flatten();
        return resolved.ok_or_else(unknown);
    }
    match &**reference {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => Err(unknown()),
    }
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), XmlError> {
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if is_utf8(&name) => Ok(()),
        Some(name) => Err(XmlError::Encoding {
            name: name.map_or_else(|_| String::new(), |name| name.chars().take(40).collect()),
        }),
    }
}

fn is_utf8(name: &str) -> bool {
    ["utf-8", "utf8", "us-ascii"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

fn wrong(tag: &Tag, wanted: &'static str) -> XmlError {
    XmlError::Value {
        element: short(&tag.name),
        wanted,
    }
}

#[cfg(test)]
mod tests;
