//! Retrieval for callers with questions of their own: any filter, values as they come.

use super::pager::{Pager, Source};
use super::spec::{PropertyFilterSpec, PropertySpec};
use super::value::PropertyMap;
use super::{Found, read_object, refused};
use crate::vsphere::client::Client;
use crate::vsphere::error::Error;
use crate::vsphere::exchange::{Attempts, Effect};
use crate::vsphere::fault::Fault;
use crate::vsphere::moref::Moref;
use crate::vsphere::operation::Operation;
use crate::vsphere::property::spec::write_filter_spec;
use crate::vsphere::xml::{Reader, Tag, XmlError};

const OLD_RETRIEVE: &str = "RetrieveProperties";

/// One object and what could be read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectContent {
    /// The object.
    pub object: Moref,
    /// Its properties, without those that are unset.
    pub properties: PropertyMap,
    /// Paths that could not be read, and why.
    pub missing: Vec<(String, Fault)>,
}

impl From<Found<PropertyMap>> for ObjectContent {
    fn from(found: Found<PropertyMap>) -> Self {
        Self {
            object: found.moref,
            properties: found.properties,
            missing: found.missing,
        }
    }
}

/// The answer to a question of any kind, page by page. See [`Client::retrieve_objects`].
#[must_use = "nothing is asked before the first page is"]
pub struct ObjectPages {
    pager: Pager<PropertyMap>,
}

impl std::fmt::Debug for ObjectPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectPages").finish_non_exhaustive()
    }
}

impl ObjectPages {
    /// The next page; nothing at the end. Each object comes once, also when the retrieval had
    /// to be begun anew in between.
    ///
    /// # Errors
    ///
    /// Any failure of the calls that repetition did not mend. There are no pages after one.
    #[doc(alias = "ContinueRetrievePropertiesEx")]
    pub async fn next(&mut self) -> Result<Option<Vec<ObjectContent>>, Error> {
        let page = self.pager.next().await?;
        Ok(page.map(|page| page.into_iter().map(ObjectContent::from).collect()))
    }

    /// Ends the retrieval before its end. Dropping does the same in the background.
    #[doc(alias = "CancelRetrievePropertiesEx")]
    pub async fn close(self) {
        self.pager.close().await;
    }
}

impl Client {
    /// Reads what `spec` asks for, at most `page_objects` objects a page.
    #[doc(alias = "RetrievePropertiesEx")]
    pub fn retrieve_objects(
        &self,
        spec: PropertyFilterSpec,
        page_objects: Option<u32>,
    ) -> ObjectPages {
        ObjectPages {
            pager: self.pages(Source::Spec(spec), page_objects),
        }
    }

    /// Reads properties of everything of `kinds` below `container`, through a view that lives
    /// as long as the pages do. The fastest way to a large inventory.
    #[doc(alias = "CreateContainerView")]
    pub fn retrieve_below(
        &self,
        container: &Moref,
        kinds: &[&str],
        properties: Vec<PropertySpec>,
        page_objects: Option<u32>,
    ) -> ObjectPages {
        let source = Source::Below {
            container: container.clone(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            properties,
        };
        ObjectPages {
            pager: self.pages(source, page_objects),
        }
    }

    /// The same as [`retrieve_objects`](Self::retrieve_objects) by the method from before API 4.1, which has no pages: for what is small.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "RetrieveProperties")]
    pub async fn retrieve_objects_at_once(
        &self,
        spec: &PropertyFilterSpec,
    ) -> Result<Vec<ObjectContent>, Error> {
        let operation = retrieve_old_operation(&self.inner.content.property_collector, spec);
        let mut attempts = Attempts::new(self, Effect::Read);
        loop {
            attempts.begin()?;
            let outcome = self.exchange(&operation, read_old).await;
            match outcome.and_then(alive) {
                Ok(objects) => return Ok(objects),
                Err(error) => attempts.after(error).await?,
            }
        }
    }
}

/// Objects, unless a dead session hides in them.
fn alive(objects: Vec<ObjectContent>) -> Result<Vec<ObjectContent>, Error> {
    let mut missing = objects.iter().flat_map(|object| &object.missing);
    match missing.find(|(_, fault)| fault.type_name == "NotAuthenticated") {
        Some((_, fault)) => Err(refused(fault.clone())),
        None => Ok(objects),
    }
}

/// The call of the old method.
pub(in crate::vsphere) fn retrieve_old_operation(
    collector: &Moref,
    spec: &PropertyFilterSpec,
) -> Operation {
    write_filter_spec(Operation::new(OLD_RETRIEVE, collector), "specSet", spec)
}

/// Its answer: the result repeated, one for each object.
pub(in crate::vsphere) fn read_old(
    r: &mut Reader<'_>,
    response: &Tag,
) -> Result<Vec<ObjectContent>, XmlError> {
    let mut objects = Vec::new();
    r.children(response, |r, tag| {
        if tag.name == "returnval" {
            objects.push(read_object::<PropertyMap>(r, tag)?.into());
        }
        Ok(())
    })?;
    Ok(objects)
}
