//! What one request sees: the lab as it stands now, sessions and tasks.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lab::{Kind, Site, Vm, Vms};

use crate::collector::Collector;
use crate::methods::power_fault;
use crate::model;
use crate::schema::schema;
use crate::server::State;
use crate::soap::{Dialect, Fault};
use crate::value::{DataObject, MoRef, Value};

/// A managed object: its reference with the actual type, and its properties.
#[derive(Clone, Debug)]
pub(crate) struct ManagedObject {
    /// The reference, with the actual type.
    pub(crate) reference: MoRef,
    /// Its properties; the type's name is the managed type.
    pub(crate) properties: DataObject,
}

/// Which properties of an object somebody is going to look at. The others may be left out.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// All of them.
    All,
    /// Those of these names.
    Only(HashSet<String>),
}

impl Wanted {
    /// The properties of these names.
    pub(crate) fn only(names: impl IntoIterator<Item = String>) -> Self {
        Self::Only(names.into_iter().collect())
    }

    /// Whether the property of that name is looked at.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }
}

/// The view of one request. Site and VMs are read once, when first asked for.
#[derive(Debug)]
pub(crate) struct World<'a> {
    /// The server.
    pub(crate) state: &'a State,
    /// The cookie of a live session, if the caller has one.
    pub(crate) cookie: Option<&'a str>,
    /// The manner of the exchange.
    pub(crate) dialect: Dialect,
    site: OnceCell<Arc<Site>>,
    vms: OnceCell<Arc<Vms>>,
    /// The types of ids that were looked up; `None` = no such object.
    types: RefCell<HashMap<String, Option<String>>>,
}

impl<'a> World<'a> {
    /// The view of the caller with that cookie.
    pub(crate) fn new(state: &'a State, cookie: Option<&'a str>, dialect: Dialect) -> Self {
        Self {
            state,
            cookie,
            dialect,
            site: OnceCell::new(),
            vms: OnceCell::new(),
            types: RefCell::default(),
        }
    }

    /// The site.
    pub(crate) fn site(&self) -> Result<&Site, Fault> {
        if let Some(site) = self.site.get() {
            return Ok(site);
        }
        let site = self.state.catalog.site();
        let mut site = site.map_err(|error| lab_fault(&error))?;
        if self.dialect.bare_host {
            as_host(Arc::make_mut(&mut site));
        }
        Ok(self.site.get_or_init(|| site))
    }

    /// All VMs.
    pub(crate) fn vms(&self) -> Result<&Vms, Fault> {
        if let Some(vms) = self.vms.get() {
            return Ok(vms);
        }
        let vms = self.state.catalog.vms();
        let vms = vms.map_err(|error| lab_fault(&error))?;
        Ok(self.vms.get_or_init(|| vms))
    }

    /// The VM of that id, if there is one.
    pub(crate) fn vm(&self, id: &str) -> Result<Option<Arc<Vm>>, Fault> {
        Ok(self.vms()?.get(id).cloned())
    }

    /// The VM of that id, else `ManagedObjectNotFound`.
    pub(crate) fn existing_vm(&self, reference: &MoRef) -> Result<Arc<Vm>, Fault> {
        self.vm(&reference.id)?
            .ok_or_else(|| Fault::not_found(reference))
    }

    /// The VM a snapshot belongs to, if there is one.
    pub(crate) fn vm_by_snapshot(&self, id: &str) -> Result<Option<Arc<Vm>>, Fault> {
        Ok(self.vms()?.by_snapshot(id).cloned())
    }

    /// A number that grows when the lab changed.
    pub(crate) fn generation(&self) -> Result<u64, Fault> {
        let generation = self.state.catalog.generation();
        generation.map_err(|error| lab_fault(&error))
    }

    /// The property collectors of the session with their ids.
    pub(crate) fn collectors(&self) -> Vec<(String, Arc<Collector>)> {
        let listed = self.state.sessions.with(self.cookie, |session| {
            let collectors = session.collectors.iter();
            let listed = collectors.map(|(id, found)| (id.clone(), Arc::clone(found)));
            listed.collect()
        });
        listed.unwrap_or_default()
    }

    /// The object behind a reference. `None` = no such object, or one of another type.
    pub(crate) fn object(&self, reference: &MoRef) -> Result<Option<ManagedObject>, Fault> {
        self.object_with(reference, &Wanted::All)
    }

    /// The object behind a reference with some of its properties.
    pub(crate) fn object_with(
        &self,
        reference: &MoRef,
        wanted: &Wanted,
    ) -> Result<Option<ManagedObject>, Fault> {
        let Some(properties) = model::properties(self, &reference.id, wanted)? else {
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

    /// The reference with the actual type, if there is such an object.
    pub(crate) fn known(&self, reference: &MoRef) -> Result<Option<MoRef>, Fault> {
        if let Some(known) = self.types.borrow().get(&reference.id) {
            let fits = |name: &&String| schema().is_a(name, &reference.type_name);
            let known = known.as_ref().filter(fits);
            return Ok(known.map(|name| MoRef::new(name.clone(), reference.id.clone())));
        }
        let nothing = Wanted::only([]);
        let properties = model::properties(self, &reference.id, &nothing)?;
        let name = properties.map(|object| object.type_name.into_owned());
        self.types.borrow_mut().insert(reference.id.clone(), name);
        self.known(reference)
    }

    /// The object behind a reference, else `ManagedObjectNotFound`.
    pub(crate) fn existing(&self, reference: &MoRef) -> Result<ManagedObject, Fault> {
        self.object(reference)?
            .ok_or_else(|| Fault::not_found(reference))
    }
}

/// Gives a site the names that it has on an ESXi host.
fn as_host(site: &mut Site) {
    site.bare_host = true;
    "ha-datacenter".clone_into(&mut site.datacenter.name);
    let mut folders = site.folders.iter_mut();
    if let Some(root) = folders.find(|folder| folder.moref == Site::ROOT_FOLDER) {
        "ha-folder-root".clone_into(&mut root.name);
    }
}

/// What a failure of the lab looks like to a client.
pub(crate) fn lab_fault(error: &lab::Error) -> Fault {
    match error {
        lab::Error::NotFound { kind, id } => match kind {
            Kind::Vm | Kind::Folder | Kind::ResourcePool => Fault::not_found(&entity_reference(id)),
            Kind::Snapshot => Fault::not_found(&MoRef::new("VirtualMachineSnapshot", id.clone())),
            Kind::File => Fault::file("FileNotFound", id),
            Kind::Datastore => Fault::invalid_datastore(id),
            Kind::User => Fault::user_not_found(id),
            _ => Fault::new("NotFound", error.to_string()),
        },
        lab::Error::LastAdministrator => {
            Fault::new("AuthMinimumAdminPermission", error.to_string())
        }
        lab::Error::Locked { file } => Fault::file("FileLocked", file),
        lab::Error::InvalidLogin => Fault::invalid_login(),
        lab::Error::InvalidPowerState {
            requested,
            existing,
        } => power_fault(*requested, *existing),
        lab::Error::AlreadyExists {
            kind: Kind::File,
            id,
        } => Fault::file("FileAlreadyExists", id),
        lab::Error::NoTopFolder { path } => Fault::file("CannotCreateFile", path),
        lab::Error::DuplicateName { name, vm } => Fault::new(
            "DuplicateName",
            format!("The name '{name}' already exists."),
        )
        .with("name", Value::string(name))
        .with("object", Value::reference("VirtualMachine", vm)),
        lab::Error::NameTaken { name, moref } => Fault::new(
            "DuplicateName",
            format!("The name '{name}' already exists."),
        )
        .with("name", Value::string(name))
        .with("object", Value::Reference(entity_reference(moref))),
        lab::Error::InvalidFolder { id } => Fault::new("InvalidFolder", error.to_string())
            .with("target", Value::Reference(entity_reference(id))),
        lab::Error::NotEmpty { id } => {
            Fault::new("ResourceInUse", format!("The resource '{id}' is in use."))
                .with("name", Value::string(id))
        }
        lab::Error::AlreadyExists { id, .. } => {
            Fault::new("AlreadyExists", error.to_string()).with("name", Value::string(id))
        }
        lab::Error::InvalidName { name, .. } => {
            Fault::new("InvalidName", error.to_string()).with("name", Value::string(name))
        }
        lab::Error::AlreadyUpgraded { .. } => Fault::new("AlreadyUpgraded", error.to_string()),
        lab::Error::NoSnapshot { .. } => no_snapshot(error),
        lab::Error::MemoryOnIndependentDisk { .. } => {
            Fault::new("MemorySnapshotOnIndependentDisk", error.to_string())
        }
        lab::Error::Template { .. } => Fault::not_supported("template"),
        lab::Error::Quiesce { application } => {
            let name = if *application {
                "ApplicationQuiesceFault"
            } else {
                "FilesystemQuiesceFault"
            };
            Fault::new(
                name,
                "An error occurred while quiescing the virtual machine.",
            )
        }
        lab::Error::TooManySnapshots { .. } => {
            Fault::new("TooManySnapshotLevels", error.to_string())
        }
        lab::Error::InUse { path } => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            Fault::file("FileLocked", &name)
        }
        lab::Error::InvalidSpec { what, .. } => Fault::invalid_argument(what),
        lab::Error::MethodAlreadyDisabled { source_id } => {
            Fault::new("MethodAlreadyDisabledFault", "").with("sourceId", Value::string(source_id))
        }
        lab::Error::ChangeTrackingNotSupported { .. } => {
            Fault::not_supported("changeTrackingEnabled")
        }
        other => Fault::system_error(with_causes(other)),
    }
}

/// The reference to an object of the inventory, whose type its id tells.
fn entity_reference(id: &str) -> MoRef {
    let type_name = match id.split('-').next() {
        Some("vm") => "VirtualMachine",
        Some("datacenter") => "Datacenter",
        Some("resgroup") => "ResourcePool",
        _ => "Folder",
    };
    MoRef::new(type_name, id)
}

/// A device that snapshots do not go with, with the reason inside.
fn no_snapshot(error: &lab::Error) -> Fault {
    let text = error.to_string();
    let reason = Fault::new("GenericVmConfigFault", text.clone())
        .with("reason", Value::string(text.clone()));
    Fault::new("SnapshotIncompatibleDeviceInVm", text)
        .with("fault", Value::Object(reason.localized()))
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
