//! The property collector: typed reads of properties, page by page.
//!
//! ```text
//! spec          the question: which properties of which objects   PropertyFilterSpec
//! pager         the answer page by page                           Client::pages, Pager
//! objects       the same for any question, values as they come    Client::retrieve_objects
//! value         such values                                       PropertyValue, PropertyMap
//! watch         waiting for changes                               Client::watch, Watch
//! update        what changed                                      Updates, ObjectUpdate
//! path          where, in partial updates                         PropertyPath
//! properties    of one object, without further ado                Client::properties
//! ```

mod objects;
mod pager;
mod path;
mod spec;
mod update;
mod value;
mod watch;

#[cfg(feature = "fuzzing")]
pub(super) use objects::read_old;
pub use objects::{ObjectContent, ObjectPages};
pub(super) use pager::{Pager, Source, end_at_server, end_in_background};
pub use path::{ItemKey, PathStep, PropertyPath};
pub(super) use spec::write_filter_spec;
pub use spec::{ObjectSpec, PropertyFilterSpec, PropertySpec, Selection, TraversalSpec};
#[cfg(feature = "fuzzing")]
pub(super) use update::read_updates;
pub use update::{ChangeOp, ObjectChange, ObjectUpdate, PropertyChange};
pub use value::{PropertyMap, PropertyValue};
pub use watch::{Seen, Updates, Watch, WatchId, WatchInterrupt, WatchMethod};

use super::client::Client;
use super::envelope::result;
use super::error::Error;
use super::exchange::{Attempts, Effect};
use super::fault::Fault;
use super::moref::Moref;
use super::operation::Operation;
use super::xml::{Reader, Tag, XmlError};

/// A type that is filled property by property. Paths it does not know it ignores.
pub(super) trait Properties: Default {
    /// Takes the value of `path`, which stands in the element `value`.
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError>;
}

/// One object and what could be read of it. Unset properties are simply not there.
#[derive(Debug)]
pub(super) struct Found<T> {
    pub(super) moref: Moref,
    pub(super) properties: T,
    /// Paths that could not be read.
    pub(super) missing: Vec<(String, Fault)>,
}

/// One page of a retrieval.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) objects: Vec<Found<T>>,
    pub(super) token: Option<String>,
}

impl Client {
    /// Reads properties of one object.
    ///
    /// # Errors
    ///
    /// [`Error::Fault`] also if one path can't be read; any other failure of the call.
    pub(super) async fn properties<T: Properties>(
        &self,
        object: &Moref,
        paths: &[&str],
    ) -> Result<T, Error> {
        let spec = PropertyFilterSpec::of_object(object, paths);
        let mut attempts = Attempts::new(self, Effect::Read);
        let mut found = loop {
            attempts.begin()?;
            // A token lives in one session: repetition is from the start.
            let pages = Pager::new(self, Source::Spec(spec.clone()), None, None);
            match pages.collect().await {
                Ok(found) => break found,
                Err(error) => attempts.after(error).await?,
            }
        };
        let position = found.iter().position(|found| found.moref == *object);
        let Some(position) = position else {
            return Err(Error::BadAnswer {
                method: RETRIEVE,
                what: format!("{object} was asked for and is not in it"),
            });
        };
        let found: Found<T> = found.swap_remove(position);
        match found.missing.into_iter().next() {
            Some((_, fault)) => Err(refused(fault)),
            None => Ok(found.properties),
        }
    }
}

const RETRIEVE: &str = "RetrievePropertiesEx";

fn refused(fault: Fault) -> Error {
    Error::Fault {
        method: RETRIEVE,
        fault: Box::new(fault),
    }
}

/// The call that begins a retrieval.
pub(super) fn retrieve_spec_operation(
    collector: &Moref,
    spec: &PropertyFilterSpec,
    page_objects: Option<u32>,
) -> Operation {
    let operation = Operation::new(RETRIEVE, collector);
    let operation = write_filter_spec(operation, "specSet", spec).open("options");
    let operation = match page_objects {
        // Zero is illegal: at least one must fit.
        Some(page_objects) => operation.number("maxObjects", page_objects.max(1).into()),
        None => operation,
    };
    operation.close("options")
}

/// Reads one page; no result at all means that nothing matched.
pub(super) fn read_page<T: Properties>(
    r: &mut Reader<'_>,
    response: &Tag,
) -> Result<Page<T>, XmlError> {
    let page = result(r, response, |r, tag| {
        let mut page = Page {
            objects: Vec::new(),
            token: None,
        };
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "token" => page.token = Some(r.text(tag)?),
                "objects" => page.objects.push(read_object(r, tag)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(page)
    })?;
    Ok(page.unwrap_or(Page {
        objects: Vec::new(),
        token: None,
    }))
}

fn read_object<T: Properties>(r: &mut Reader<'_>, tag: &Tag) -> Result<Found<T>, XmlError> {
    let mut moref = None;
    let mut properties = T::default();
    let mut missing = Vec::new();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "obj" => moref = Some(r.moref(tag)?),
            "propSet" => read_property(r, tag, &mut properties)?,
            "missingSet" => missing.push(read_missing(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    let moref = moref.ok_or(XmlError::Missing {
        element: "obj",
        inside: "objects",
    })?;
    Ok(Found {
        moref,
        properties,
        missing,
    })
}

/// A `propSet` item: the name comes first by the schema, then the value.
fn read_property(
    r: &mut Reader<'_>,
    tag: &Tag,
    properties: &mut impl Properties,
) -> Result<(), XmlError> {
    let mut path = None;
    r.children(tag, |r, tag| {
        match (tag.name.as_str(), &path) {
            ("name", _) => path = Some(r.text(tag)?),
            ("val", Some(path)) => properties.take(path, r, tag)?,
            ("val", None) => {
                return Err(XmlError::Missing {
                    element: "name",
                    inside: "propSet",
                });
            }
            _ => {}
        }
        Ok(())
    })
}

fn read_missing(r: &mut Reader<'_>, tag: &Tag) -> Result<(String, Fault), XmlError> {
    let mut path = String::new();
    let mut fault = None;
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "path" => path = r.text(tag)?,
            "fault" => fault = Some(Fault::read_localized(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    let fault = fault.ok_or(XmlError::Missing {
        element: "fault",
        inside: "missingSet",
    })?;
    Ok((path, fault))
}
