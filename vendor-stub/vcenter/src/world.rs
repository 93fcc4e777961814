//! What one request sees: the lab as it stands now, sessions and tasks.

use std::cell::OnceCell;

use lab::{Kind, Site, Vm};

use crate::model;
use crate::schema::schema;
use crate::server::State;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef};

/// A managed object: its reference with the actual type, and its properties.
#[derive(Clone, Debug)]
pub(crate) struct ManagedObject {
    /// The reference, with the actual type.
    pub(crate) reference: MoRef,
    /// Its properties; the type's name is the managed type.
    pub(crate) properties: DataObject,
}

/// The view of one request. Site and VMs are read once, when first asked for.
#[derive(Debug)]
pub(crate) struct World<'a> {
    /// The server.
    pub(crate) state: &'a State,
    /// The cookie of a live session, if the caller has one.
    pub(crate) cookie: Option<&'a str>,
    site: OnceCell<Site>,
    vms: OnceCell<Vec<Vm>>,
}

impl<'a> World<'a> {
    /// The view of the caller with that cookie.
    pub(crate) fn new(state: &'a State, cookie: Option<&'a str>) -> Self {
        Self {
            state,
            cookie,
            site: OnceCell::new(),
            vms: OnceCell::new(),
        }
    }

    /// The site.
    pub(crate) fn site(&self) -> Result<&Site, Fault> {
        if let Some(site) = self.site.get() {
            return Ok(site);
        }
        let site = self.state.lab.site().map_err(|error| lab_fault(&error))?;
        Ok(self.site.get_or_init(|| site))
    }

    /// All VMs.
    pub(crate) fn vms(&self) -> Result<&[Vm], Fault> {
        if let Some(vms) = self.vms.get() {
            return Ok(vms);
        }
        let vms = self.state.lab.vms().map_err(|error| lab_fault(&error))?;
        Ok(self.vms.get_or_init(|| vms))
    }

    /// The VM of that id, if there is one.
    pub(crate) fn vm(&self, id: &str) -> Result<Option<Vm>, Fault> {
        if let Some(vms) = self.vms.get() {
            return Ok(vms.iter().find(|vm| vm.moref == id).cloned());
        }
        found(self.state.lab.vm(id))
    }

    /// The VM of that id, else `ManagedObjectNotFound`.
    pub(crate) fn existing_vm(&self, reference: &MoRef) -> Result<Vm, Fault> {
        self.vm(&reference.id)?
            .ok_or_else(|| Fault::not_found(reference))
    }

    /// The VM a snapshot belongs to, if there is one.
    pub(crate) fn vm_by_snapshot(&self, id: &str) -> Result<Option<Vm>, Fault> {
        found(self.state.lab.vm_by_snapshot(id))
    }

    /// The object behind a reference. `None` = no such object, or one of another type.
    pub(crate) fn object(&self, reference: &MoRef) -> Result<Option<ManagedObject>, Fault> {
        let Some(properties) = model::properties(self, &reference.id)? else {
            return Ok(None);
        };
        if !schema().is_a(&properties.type_name, &reference.type_name) {
            return Ok(None);
        }
        Ok(Some(ManagedObject {
            reference: MoRef::new(properties.type_name.clone(), reference.id.clone()),
            properties,
        }))
    }

    /// The object behind a reference, else `ManagedObjectNotFound`.
    pub(crate) fn existing(&self, reference: &MoRef) -> Result<ManagedObject, Fault> {
        self.object(reference)?
            .ok_or_else(|| Fault::not_found(reference))
    }
}

fn found<T>(answer: Result<T, lab::Error>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(lab::Error::NotFound { .. } | lab::Error::InvalidName { .. }) => Ok(None),
        Err(error) => Err(lab_fault(&error)),
    }
}

/// What a failure of the lab looks like to a client.
pub(crate) fn lab_fault(error: &lab::Error) -> Fault {
    match error {
        lab::Error::NotFound { kind, id } => match kind {
            Kind::Vm => Fault::not_found(&MoRef::new("VirtualMachine", id.clone())),
            Kind::Snapshot => Fault::not_found(&MoRef::new("VirtualMachineSnapshot", id.clone())),
            Kind::File => Fault::file("FileNotFound", id),
            _ => Fault::new("NotFound", error.to_string()),
        },
        lab::Error::Locked { file } => Fault::file("FileLocked", file),
        lab::Error::InvalidLogin => Fault::invalid_login(),
        lab::Error::ChangeTrackingNotSupported { .. } => {
            Fault::not_supported("changeTrackingEnabled")
        }
        other => Fault::system_error(with_causes(other)),
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
