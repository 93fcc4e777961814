//! Finding one object by what it is called, without a list of all.
//!
//! What is not there is no error but nothing ("vSphere API reference", 2.5). Selectors of VMs do
//! not come here: they read the lists that tell what is near, and what is ambiguous.

use super::client::Client;
use super::envelope::result;
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::xml::{Reader, Tag, XmlError};

/// More objects of one name than this are not believed.
const MAX_FOUND: usize = 100_000;

/// Which UUID of a VM is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UuidKind {
    /// The BIOS UUID, which copies share.
    Bios,
    /// The one that the vCenter gave. A stand-alone host looks for none.
    Instance,
}

/// What is looked for: VMs or hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchTarget {
    /// VMs.
    Vms,
    /// Hosts.
    Hosts,
}

impl Client {
    /// The object at `path`, below the root folder and through the hidden folders of a datacenter:
    /// `North/DC0/vm/Prod/app01`. Names are escaped as in the API.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`] at a server without a search index; any failure of the call.
    #[doc(alias = "FindByInventoryPath")]
    pub async fn find_by_inventory_path(&self, path: &str) -> Result<Option<Moref>, Error> {
        let operation = by_path_operation(self.search_index()?, path);
        self.read(&operation, read_found).await
    }

    /// The VM with this UUID, in `datacenter` or anywhere. Where several have the same BIOS UUID,
    /// the server gives any one of them.
    ///
    /// # Errors
    ///
    /// Those of [`find_by_inventory_path`](Self::find_by_inventory_path).
    #[doc(alias = "FindByUuid")]
    pub async fn find_by_uuid(
        &self,
        datacenter: Option<&Moref>,
        uuid: &str,
        kind: UuidKind,
    ) -> Result<Option<Moref>, Error> {
        let index = self.search_index()?;
        let operation = by_uuid_operation("FindByUuid", index, datacenter, uuid, kind);
        self.read(&operation, read_found).await
    }

    /// All VMs with this UUID.
    ///
    /// # Errors
    ///
    /// Those of [`find_by_inventory_path`](Self::find_by_inventory_path).
    #[doc(alias = "FindAllByUuid")]
    pub async fn find_all_by_uuid(
        &self,
        datacenter: Option<&Moref>,
        uuid: &str,
        kind: UuidKind,
    ) -> Result<Vec<Moref>, Error> {
        let index = self.search_index()?;
        let operation = by_uuid_operation("FindAllByUuid", index, datacenter, uuid, kind);
        self.read(&operation, read_all_found).await
    }

    /// A VM by the name its guest has in the network, as VMware Tools tell, or a host by its own.
    /// A VM that does not run is rarely found.
    ///
    /// # Errors
    ///
    /// Those of [`find_by_inventory_path`](Self::find_by_inventory_path).
    #[doc(alias = "FindByDnsName")]
    pub async fn find_by_dns_name(
        &self,
        datacenter: Option<&Moref>,
        name: &str,
        target: SearchTarget,
    ) -> Result<Option<Moref>, Error> {
        let index = self.search_index()?;
        let operation = by_network_operation(
            "FindByDnsName",
            index,
            datacenter,
            ("dnsName", name),
            target,
        );
        self.read(&operation, read_found).await
    }

    /// The same by the address.
    ///
    /// # Errors
    ///
    /// Those of [`find_by_inventory_path`](Self::find_by_inventory_path).
    #[doc(alias = "FindByIp")]
    pub async fn find_by_ip(
        &self,
        datacenter: Option<&Moref>,
        address: &str,
        target: SearchTarget,
    ) -> Result<Option<Moref>, Error> {
        let index = self.search_index()?;
        let operation =
            by_network_operation("FindByIp", index, datacenter, ("ip", address), target);
        self.read(&operation, read_found).await
    }

    /// The VM whose configuration is the file `path`, such as `[datastore1] app01/app01.vmx`.
    ///
    /// # Errors
    ///
    /// A fault `InvalidDatastore` if there is no such datastore; those of
    /// [`find_by_inventory_path`](Self::find_by_inventory_path).
    #[doc(alias = "FindByDatastorePath")]
    pub async fn find_by_datastore_path(
        &self,
        datacenter: &Moref,
        path: &str,
    ) -> Result<Option<Moref>, Error> {
        let operation = by_file_operation(self.search_index()?, datacenter, path);
        self.read(&operation, read_found).await
    }

    fn search_index(&self) -> Result<&Moref, Error> {
        let index = self.inner.content.search_index.as_ref();
        index.ok_or(Error::NotOffered {
            what: "search index",
        })
    }
}

pub(super) fn by_path_operation(index: &Moref, path: &str) -> Operation {
    Operation::new("FindByInventoryPath", index).text("inventoryPath", path)
}

pub(super) fn by_uuid_operation(
    method: &'static str,
    index: &Moref,
    datacenter: Option<&Moref>,
    uuid: &str,
    kind: UuidKind,
) -> Operation {
    within(Operation::new(method, index), datacenter)
        .text("uuid", uuid)
        .boolean("vmSearch", true)
        .boolean("instanceUuid", kind == UuidKind::Instance)
}

pub(super) fn by_network_operation(
    method: &'static str,
    index: &Moref,
    datacenter: Option<&Moref>,
    (parameter, value): (&'static str, &str),
    target: SearchTarget,
) -> Operation {
    within(Operation::new(method, index), datacenter)
        .text(parameter, value)
        .boolean("vmSearch", target == SearchTarget::Vms)
}

pub(super) fn by_file_operation(index: &Moref, datacenter: &Moref, path: &str) -> Operation {
    within(
        Operation::new("FindByDatastorePath", index),
        Some(datacenter),
    )
    .text("path", path)
}

fn within(operation: Operation, datacenter: Option<&Moref>) -> Operation {
    match datacenter {
        Some(datacenter) => operation.moref("datacenter", datacenter),
        None => operation,
    }
}

/// Reads an answer that is one reference, or nothing.
pub(super) fn read_found(r: &mut Reader<'_>, response: &Tag) -> Result<Option<Moref>, XmlError> {
    result(r, response, Reader::moref)
}

/// Reads an answer that is a reference repeated.
pub(super) fn read_all_found(r: &mut Reader<'_>, response: &Tag) -> Result<Vec<Moref>, XmlError> {
    let mut all = Vec::new();
    r.children(response, |r, tag| {
        if tag.name != "returnval" {
            return Ok(());
        }
        if all.len() >= MAX_FOUND {
            return Err(XmlError::TooMany {
                what: "objects found",
                limit: MAX_FOUND,
            });
        }
        all.push(r.moref(tag)?);
        Ok(())
    })?;
    Ok(all)
}
