//! What a VM depends on in the inventory: where it lies, runs and is connected.

use std::collections::HashMap;

use super::client::Client;
use super::error::Error;
use super::moref::Moref;
use super::property::{Properties, PropertyFilterSpec, PropertySpec, Source};
use super::vm::unescape_name;
use super::xml::{Reader, Tag, XmlError};

/// Objects a page.
const PAGE_OBJECTS: u32 = 200;

/// What is read of a VM.
const PATHS: &[&str] = &[
    "parent",
    "parentVApp",
    "resourcePool",
    "runtime.host",
    "datastore",
    "network",
    "disabledMethod",
];

/// The objects around a VM. Those that the account may not see are not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Its folder; none for a VM in a vApp.
    pub folder: Option<Moref>,
    /// Its vApp.
    pub vapp: Option<Moref>,
    /// Its resource pool; a template has none.
    pub pool: Option<Moref>,
    /// The host it is on.
    pub host: Option<Moref>,
    /// The datastores its files are on.
    pub datastores: Vec<Moref>,
    /// The networks its cards are connected to.
    pub networks: Vec<Moref>,
    /// Methods of it that are refused now.
    pub disabled_methods: Vec<String>,
}

impl Properties for Surroundings {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        match path {
            "parent" => self.folder = Some(r.moref(value)?),
            "parentVApp" => self.vapp = Some(r.moref(value)?),
            "resourcePool" => self.pool = Some(r.moref(value)?),
            "runtime.host" => self.host = Some(r.moref(value)?),
            "datastore" => self.datastores = morefs(r, value)?,
            "network" => self.networks = morefs(r, value)?,
            "disabledMethod" => r.children(value, |r, tag| {
                self.disabled_methods.push(r.text(tag)?);
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    }
}

fn morefs(r: &mut Reader<'_>, list: &Tag) -> Result<Vec<Moref>, XmlError> {
    let mut found = Vec::new();
    r.children(list, |r, tag| {
        found.push(r.moref(tag)?);
        Ok(())
    })?;
    Ok(found)
}

/// A name, while it is read.
#[derive(Debug, Default)]
pub(super) struct Name {
    text: String,
}

impl Properties for Name {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        if path == "name" {
            self.text = unescape_name(&r.text(value)?);
        }
        Ok(())
    }
}

impl Client {
    /// The objects around each of `vms`, in one call. A VM that is gone is left out.
    ///
    /// # Errors
    ///
    /// Any failure of the calls.
    pub async fn surroundings(&self, vms: &[Moref]) -> Result<HashMap<Moref, Surroundings>, Error> {
        let wanted = PropertySpec::new("VirtualMachine", PATHS);
        self.read_each(vms, wanted).await
    }

    /// The names of objects of the inventory, in one call. One that is gone, or may not be looked
    /// at, is left out.
    ///
    /// # Errors
    ///
    /// Any failure of the calls.
    pub async fn names(&self, objects: &[Moref]) -> Result<HashMap<Moref, String>, Error> {
        let wanted = PropertySpec::new("ManagedEntity", &["name"]);
        let read: HashMap<Moref, Name> = self.read_each(objects, wanted).await?;
        let named = read.into_iter().filter(|(_, name)| !name.text.is_empty());
        Ok(named.map(|(object, name)| (object, name.text)).collect())
    }

    async fn read_each<T: Properties>(
        &self,
        objects: &[Moref],
        wanted: PropertySpec,
    ) -> Result<HashMap<Moref, T>, Error> {
        if objects.is_empty() {
            return Ok(HashMap::new());
        }
        let mut spec = PropertyFilterSpec::of_objects(objects, vec![wanted]);
        spec.report_missing = Some(true);
        let pages = self.pages::<T>(Source::Spec(spec), Some(PAGE_OBJECTS));
        let found = pages.collect().await?;
        let each = found.into_iter();
        Ok(each.map(|found| (found.moref, found.properties)).collect())
    }
}
