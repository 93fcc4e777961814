//! Datastores: what kind of storage a disk lies on.

use super::client::Client;
use super::error::Error;
use super::moref::Moref;
use super::property::Properties;
use super::xml::{Reader, Tag, XmlError};

/// A datastore, as far as ways to its disks are concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Datastore {
    /// Its name.
    pub name: String,
    /// What it is formatted with, such as `VMFS`, `NFS`, `NFS41`, `vsan` or `VVOL`.
    pub file_system: String,
    /// More than one host has access to it; unset where the server does not say.
    pub multiple_host_access: Option<bool>,
}

/// What is read of a datastore.
const PATHS: &[&str] = &["summary.name", "summary.type", "summary.multipleHostAccess"];

impl Client {
    /// Reads a datastore.
    ///
    /// # Errors
    ///
    /// A fault `ManagedObjectNotFound` if it is gone, `NoPermission` if it may not be looked at;
    /// any failure of the calls.
    pub async fn datastore(&self, datastore: &Moref) -> Result<Datastore, Error> {
        self.properties(datastore, PATHS).await
    }
}

impl Properties for Datastore {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        match path {
            "summary.name" => self.name = r.text(value)?,
            "summary.type" => self.file_system = r.text(value)?,
            "summary.multipleHostAccess" => {
                self.multiple_host_access = Some(r.boolean(value)?);
            }
            _ => {}
        }
        Ok(())
    }
}
