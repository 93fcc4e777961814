//! Elements kept as they are, to be looked through and sent back.

use quick_xml::events::Event;

use super::{Reader, Tag, resolve};
use crate::vsphere::xml::XmlError;

/// An element with all that is in it. Namespaces are not kept: what is sent stands in one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// The name without prefix.
    pub(crate) name: String,
    /// The local part of `xsi:type`, if it had one.
    pub(crate) xsi_type: Option<String>,
    /// The managed type of a reference.
    pub(crate) kind: Option<String>,
    /// The text of an element without children.
    pub(crate) text: String,
    /// The elements in it, in order.
    pub(crate) children: Vec<Node>,
}

impl Node {
    /// An element with a text.
    pub(crate) fn leaf(name: &str, text: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            text: text.into(),
            ..Self::default()
        }
    }

    /// An element with others in it.
    pub(crate) fn of(name: &str, children: Vec<Self>) -> Self {
        Self {
            name: name.to_owned(),
            children,
            ..Self::default()
        }
    }

    /// The same with a type of its own.
    pub(crate) fn typed(mut self, xsi_type: &str) -> Self {
        self.xsi_type = Some(xsi_type.to_owned());
        self
    }

    /// The first child called `name`.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child called `name`, if it has one that is not empty.
    pub(crate) fn child_text(&self, name: &str) -> Option<&str> {
        let text = self.child(name)?.text.as_str();
        (!text.is_empty()).then_some(text)
    }

    /// The same element under another name.
    pub(crate) fn renamed(&self, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..self.clone()
        }
    }

    /// True if there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty() && self.children.is_empty()
    }
}

impl Reader<'_> {
    /// Keeps an element with all that is in it. The depth is bounded by the reader's own bound.
    pub(crate) fn node(&mut self, tag: &Tag) -> Result<Node, XmlError> {
        let mut node = Node {
            name: tag.name.clone(),
            xsi_type: tag.xsi_type.clone(),
            kind: tag.kind.clone(),
            ..Node::default()
        };
        while self.depth >= tag.depth {
            match self.event()? {
                Event::Text(part) => node.text.push_str(&part.xml10_content()),
                Event::CData(part) => node.text.push_str(&part.xml10_content()),
                Event::GeneralRef(reference) => node.text.push(resolve(&reference)?),
                Event::Start(start) => {
                    let child = self.open(&start, 0)?;
                    node.children.push(self.node(&child)?);
                }
                Event::End(_) => self.depth -= 1,
                Event::Eof => return Err(self.truncated()),
                _ => {}
            }
        }
        if !node.children.is_empty() {
            // White space between elements.
            node.text.clear();
        }
        Ok(node)
    }
}
