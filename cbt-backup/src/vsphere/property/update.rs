//! What changed: the typed content of an update set.

use super::value::PropertyValue;
use super::{Properties, read_missing};
use crate::vsphere::fault::Fault;
use crate::vsphere::moref::Moref;
use crate::vsphere::xml::{Reader, Tag, XmlError};

/// What happened to an object, seen from a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectChange {
    /// The filter sees it for the first time: all that is asked of it follows.
    Enter,
    /// Some of its properties changed.
    Modify,
    /// The filter does not see it any more.
    Leave,
    /// A word that newer servers may know.
    Other(String),
}

/// What happened to a property.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeOp {
    /// It has this value now; without a value it is unset.
    Assign,
    /// An item was added to a list.
    Add,
    /// An item was removed from a list.
    Remove,
    /// The object or structure that held it is gone.
    IndirectRemove,
    /// A word that newer servers may know.
    Other(String),
}

/// A change of one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertyChange {
    /// Which: the path asked for or, in partial updates, one below it, such as
    /// `config.hardware.device[2000].backing`. See [`PropertyPath`](super::PropertyPath).
    pub path: String,
    /// What happened.
    pub op: ChangeOp,
    /// The new value.
    pub value: Option<PropertyValue>,
}

/// What happened to one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectUpdate {
    /// Which.
    pub object: Moref,
    /// How it is seen.
    pub change: ObjectChange,
    /// Its properties.
    pub properties: Vec<PropertyChange>,
    /// Paths that can't be read, and why.
    pub missing: Vec<(String, Fault)>,
}

impl ObjectUpdate {
    /// Reads the assigned values into a type that knows them. What is now unset is left to
    /// the caller, who finds it in [`properties`](Self::properties).
    pub(in crate::vsphere) fn apply(
        &self,
        properties: &mut impl Properties,
    ) -> Result<(), XmlError> {
        for change in &self.properties {
            if let (ChangeOp::Assign, Some(value)) = (&change.op, &change.value) {
                value.read(|r, tag| properties.take(&change.path, r, tag))?;
            }
        }
        Ok(())
    }
}

/// What one filter saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vsphere) struct FilterUpdate {
    pub(in crate::vsphere) filter: Moref,
    pub(in crate::vsphere) objects: Vec<ObjectUpdate>,
    /// Objects that are not there.
    pub(in crate::vsphere) missing: Vec<(Moref, Fault)>,
}

/// One answer to a wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vsphere) struct UpdateSet {
    pub(in crate::vsphere) version: String,
    pub(in crate::vsphere) filters: Vec<FilterUpdate>,
    /// More of the same computation follows.
    pub(in crate::vsphere) is_truncated: bool,
}

/// Reads the answer to a wait; nothing is a wait that ran out.
pub(in crate::vsphere) fn read_updates(
    r: &mut Reader<'_>,
    response: &Tag,
) -> Result<Option<UpdateSet>, XmlError> {
    crate::vsphere::envelope::result(r, response, |r, tag| {
        let mut version = None;
        let mut filters = Vec::new();
        let mut is_truncated = false;
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "version" => version = Some(r.text(tag)?),
                "filterSet" => filters.push(read_filter(r, tag)?),
                "truncated" => is_truncated = r.boolean(tag)?,
                _ => {}
            }
            Ok(())
        })?;
        Ok(UpdateSet {
            version: version.ok_or(XmlError::Missing {
                element: "version",
                inside: "UpdateSet",
            })?,
            filters,
            is_truncated,
        })
    })
}

fn read_filter(r: &mut Reader<'_>, tag: &Tag) -> Result<FilterUpdate, XmlError> {
    let mut filter = None;
    let mut objects = Vec::new();
    let mut missing = Vec::new();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "filter" => filter = Some(r.moref(tag)?),
            "objectSet" => objects.push(read_object(r, tag)?),
            "missingSet" => missing.push(read_missing_object(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(FilterUpdate {
        filter: filter.ok_or(XmlError::Missing {
            element: "filter",
            inside: "filterSet",
        })?,
        objects,
        missing,
    })
}

fn read_object(r: &mut Reader<'_>, tag: &Tag) -> Result<ObjectUpdate, XmlError> {
    let (mut object, mut change) = (None, None);
    let (mut properties, mut missing) = (Vec::new(), Vec::new());
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "kind" => change = Some(object_change(r.text(tag)?)),
            "obj" => object = Some(r.moref(tag)?),
            "changeSet" => properties.push(read_change(r, tag)?),
            "missingSet" => missing.push(read_missing(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    let lacks = |element| XmlError::Missing {
        element,
        inside: "objectSet",
    };
    Ok(ObjectUpdate {
        object: object.ok_or_else(|| lacks("obj"))?,
        change: change.ok_or_else(|| lacks("kind"))?,
        properties,
        missing,
    })
}

fn read_change(r: &mut Reader<'_>, tag: &Tag) -> Result<PropertyChange, XmlError> {
    let (mut path, mut op, mut value) = (None, None, None);
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "name" => path = Some(r.text(tag)?),
            "op" => op = Some(change_op(r.text(tag)?)),
            "val" => value = Some(PropertyValue::take(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    let lacks = |element| XmlError::Missing {
        element,
        inside: "changeSet",
    };
    Ok(PropertyChange {
        path: path.ok_or_else(|| lacks("name"))?,
        op: op.ok_or_else(|| lacks("op"))?,
        value,
    })
}

fn read_missing_object(r: &mut Reader<'_>, tag: &Tag) -> Result<(Moref, Fault), XmlError> {
    let (mut object, mut fault) = (None, None);
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "obj" => object = Some(r.moref(tag)?),
            "fault" => fault = Some(Fault::read_localized(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    let lacks = |element| XmlError::Missing {
        element,
        inside: "missingSet",
    };
    Ok((
        object.ok_or_else(|| lacks("obj"))?,
        fault.ok_or_else(|| lacks("fault"))?,
    ))
}

fn object_change(word: String) -> ObjectChange {
    match word.as_str() {
        "enter" => ObjectChange::Enter,
        "modify" => ObjectChange::Modify,
        "leave" => ObjectChange::Leave,
        _ => ObjectChange::Other(word),
    }
}

fn change_op(word: String) -> ChangeOp {
    match word.as_str() {
        "assign" => ChangeOp::Assign,
        "add" => ChangeOp::Add,
        "remove" => ChangeOp::Remove,
        "indirectRemove" => ChangeOp::IndirectRemove,
        _ => ChangeOp::Other(word),
    }
}

#[cfg(test)]
mod tests;
