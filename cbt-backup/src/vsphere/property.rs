//! The property collector: typed reads of properties, page by page.

use super::client::Client;
use super::envelope::result;
use super::error::Error;
use super::exchange::{Attempts, Effect};
use super::fault::Fault;
use super::moref::Moref;
use super::operation::Operation;
use super::xml::{Reader, Tag, XmlError};

/// More objects than this in one retrieval are not believed.
const MAX_OBJECTS: usize = 1_000_000;
/// More pages than this in one retrieval are not believed.
const MAX_PAGES: usize = 100_000;

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

/// Which properties of which managed type. `ComputeResource` also means derived types.
pub(super) struct Wanted<'a> {
    pub(super) kind: &'a str,
    pub(super) paths: &'a [&'a str],
}

/// Where the collector starts.
pub(super) enum Start<'a> {
    /// At this object, which is itself wanted.
    Object(&'a Moref),
    /// At this view, whose members are wanted.
    View(&'a Moref),
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
        let wanted = [Wanted {
            kind: &object.kind,
            paths,
        }];
        let start = Start::Object(object);
        let mut attempts = Attempts::new(self, Effect::Read);
        let mut found = loop {
            attempts.begin()?;
            match self.retrieve(&wanted, &start, None).await {
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

    /// Reads all pages, each call once. A token lives in one session and is sent once, so
    /// repetition is the caller's, and from the start.
    pub(super) async fn retrieve<T: Properties>(
        &self,
        wanted: &[Wanted<'_>],
        start: &Start<'_>,
        page_objects: Option<u32>,
    ) -> Result<Vec<Found<T>>, Error> {
        let collector = &self.inner.content.property_collector;
        let mut operation = retrieve_operation(collector, wanted, start, page_objects);
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let page = self.exchange(&operation, read_page::<T>).await?;
            for found in page.objects {
                // A dead session answers with status 200 and hides it here.
                let gone = |(_, fault): &(String, Fault)| fault.type_name == "NotAuthenticated";
                if let Some((_, fault)) = found.missing.iter().find(|missing| gone(missing)) {
                    return Err(refused(fault.clone()));
                }
                all.push(found);
            }
            if all.len() > MAX_OBJECTS {
                break;
            }
            let Some(token) = page.token else {
                return Ok(all);
            };
            operation =
                Operation::new("ContinueRetrievePropertiesEx", collector).text("token", &token);
        }
        Err(Error::BadAnswer {
            method: RETRIEVE,
            what: "it does not end".to_owned(),
        })
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
pub(super) fn retrieve_operation(
    collector: &Moref,
    wanted: &[Wanted<'_>],
    start: &Start<'_>,
    page_objects: Option<u32>,
) -> Operation {
    let mut operation = Operation::new(RETRIEVE, collector).open("specSet");
    for wanted in wanted {
        operation = operation
            .open("propSet")
            .text("type", wanted.kind)
            .boolean("all", false);
        for path in wanted.paths {
            operation = operation.text("pathSet", path);
        }
        operation = operation.close("propSet");
    }
    operation = operation.open("objectSet");
    operation = match start {
        Start::Object(object) => operation.moref("obj", object).boolean("skip", false),
        Start::View(view) => operation
            .moref("obj", view)
            .boolean("skip", true)
            .open_typed("selectSet", "TraversalSpec")
            .text("name", "traverseEntities")
            .text("type", "ContainerView")
            .text("path", "view")
            .boolean("skip", false)
            .close("selectSet"),
    };
    operation = operation
        .close("objectSet")
        .close("specSet")
        .open("options");
    if let Some(page_objects) = page_objects {
        operation = operation.number("maxObjects", page_objects.into());
    }
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
