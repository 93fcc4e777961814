//! The inventory: which VMs there are, and which one is meant.

use std::collections::HashMap;

use super::client::Client;
use super::envelope::{nothing, reference};
use super::error::Error;
use super::exchange::{Attempts, Effect};
use super::moref::Moref;
use super::near::near;
use super::operation::Operation;
use super::property::{Found, Properties, Start, Wanted};
use super::vm::{PowerState, unescape_name};
use super::xml::{Reader, Tag, XmlError};

/// Objects a page; an answer stays well below a megabyte.
const PAGE_OBJECTS: u32 = 500;
/// Folders are not nested deeper; a loop would be.
const MAX_LEVELS: usize = 64;
/// What of the inventory is looked at.
const KINDS: [&str; 3] = ["Folder", "Datacenter", "VirtualMachine"];

/// What a list of VMs shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmSummary {
    /// Its reference.
    pub moref: Moref,
    /// Its name.
    pub name: String,
    /// Where it is in the inventory, such as `DC0/vm/Prod/app01`; names as the API escapes
    /// them. Shorter where the account may not look, only the name inside a vApp.
    pub path: String,
    /// Whether it runs.
    pub power_state: PowerState,
    /// Only a `connected` VM can be backed up.
    pub connection_state: String,
    /// The UUID that vCenter gave; unset for a VM that is not connected.
    pub instance_uuid: Option<String>,
    /// A template can't have a snapshot.
    pub is_template: bool,
    /// The switch of change tracking, as configured.
    pub change_tracking_enabled: Option<bool>,
}

impl Client {
    /// All VMs the account may see, by path.
    ///
    /// # Errors
    ///
    /// Any failure of the calls.
    pub async fn vms(&self) -> Result<Vec<VmSummary>, Error> {
        let mut attempts = Attempts::new(self, Effect::Read);
        loop {
            attempts.begin()?;
            match self.retrieve_inventory().await {
                Ok(found) => return Ok(summaries(found, &self.inner.content.root_folder)),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// The one VM that `selector` means: its id (`vm-12`), its instance UUID, its path, or its
    /// name.
    ///
    /// # Errors
    ///
    /// [`Error::VmNotFound`] with names that are near, [`Error::VmAmbiguous`] if several VMs
    /// are meant; any failure of the calls.
    pub async fn find_vm(&self, selector: &str) -> Result<VmSummary, Error> {
        select(self.vms().await?, selector)
    }

    /// The path of a folder, from below the root folder.
    pub(super) async fn folder_path(&self, folder: Moref) -> Result<String, Error> {
        let mut names = Vec::new();
        let mut next = Some(folder);
        while let Some(place) = next.take() {
            if place == self.inner.content.root_folder || names.len() >= MAX_LEVELS {
                break;
            }
            let read: Result<Entity, Error> = self.properties(&place, &["name", "parent"]).await;
            let entity = match read {
                Ok(entity) => entity,
                // The tree may have holes where the account may not look.
                Err(error)
                    if matches!(
                        error.fault_type(),
                        Some("NoPermission" | "ManagedObjectNotFound")
                    ) =>
                {
                    break;
                }
                Err(error) => return Err(error),
            };
            names.push(entity.name);
            next = entity.parent;
        }
        names.reverse();
        Ok(names.join("/"))
    }

    async fn retrieve_inventory(&self) -> Result<Vec<Found<Entity>>, Error> {
        let content = &self.inner.content;
        let operation = view_operation(&content.view_manager, &content.root_folder, &KINDS);
        let view = self.exchange(&operation, reference).await?;
        let place = ["name", "parent"];
        let wanted = [
            Wanted {
                kind: "Folder",
                paths: &place,
            },
            Wanted {
                kind: "Datacenter",
                paths: &place,
            },
            Wanted {
                kind: "VirtualMachine",
                paths: &[
                    "name",
                    "parent",
                    "config.instanceUuid",
                    "config.template",
                    "config.changeTrackingEnabled",
                    "runtime.powerState",
                    "runtime.connectionState",
                ],
            },
        ];
        let found = self
            .retrieve(&wanted, &Start::View(&view), Some(PAGE_OBJECTS))
            .await;
        let destroyed = self.exchange(&destroy_operation(&view), nothing).await;
        if let Err(error) = destroyed {
            // It dies with the session.
            tracing::debug!(%error, "failed to destroy a view");
        }
        found
    }
}

/// The call that makes a view of everything of `kinds` below `container`.
pub(super) fn view_operation(manager: &Moref, container: &Moref, kinds: &[&str]) -> Operation {
    let operation = Operation::new("CreateContainerView", manager).moref("container", container);
    let with_kinds = kinds
        .iter()
        .fold(operation, |operation, kind| operation.text("type", kind));
    with_kinds.boolean("recursive", true)
}

/// The call that ends a view.
pub(super) fn destroy_operation(view: &Moref) -> Operation {
    Operation::new("DestroyView", view)
}

/// An object of the inventory while it is read.
#[derive(Debug, Default)]
pub(super) struct Entity {
    /// As sent, escaped.
    pub(super) name: String,
    pub(super) parent: Option<Moref>,
    pub(super) instance_uuid: Option<String>,
    pub(super) is_template: bool,
    pub(super) change_tracking_enabled: Option<bool>,
    pub(super) power_state: PowerState,
    pub(super) connection_state: String,
}

impl Properties for Entity {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        match path {
            "name" => self.name = r.text(value)?,
            "parent" => self.parent = Some(r.moref(value)?),
            "config.instanceUuid" => self.instance_uuid = Some(r.text(value)?),
            "config.template" => self.is_template = r.boolean(value)?,
            "config.changeTrackingEnabled" => {
                self.change_tracking_enabled = Some(r.boolean(value)?);
            }
            "runtime.powerState" => self.power_state = PowerState::from_text(r.text(value)?),
            "runtime.connectionState" => self.connection_state = r.text(value)?,
            _ => {}
        }
        Ok(())
    }
}

/// The VMs among `found`, with the paths that the others give them.
fn summaries(found: Vec<Found<Entity>>, root: &Moref) -> Vec<VmSummary> {
    let (vms, places): (Vec<_>, Vec<_>) = found
        .into_iter()
        .partition(|found| found.moref.kind == "VirtualMachine");
    let places: HashMap<Moref, Entity> = places
        .into_iter()
        .map(|found| (found.moref, found.properties))
        .collect();
    let mut summaries: Vec<VmSummary> = vms
        .into_iter()
        .map(|found| VmSummary {
            path: path_of(&found.properties, &places, root),
            name: unescape_name(&found.properties.name),
            power_state: found.properties.power_state,
            connection_state: found.properties.connection_state,
            instance_uuid: found.properties.instance_uuid,
            is_template: found.properties.is_template,
            change_tracking_enabled: found.properties.change_tracking_enabled,
            moref: found.moref,
        })
        .collect();
    summaries.sort_by(|a, b| (&a.path, &a.moref).cmp(&(&b.path, &b.moref)));
    // A view may name an object twice while the inventory changes under it.
    summaries.dedup_by(|a, b| a.moref == b.moref);
    summaries
}

fn path_of(vm: &Entity, places: &HashMap<Moref, Entity>, root: &Moref) -> String {
    let mut names = vec![vm.name.as_str()];
    let mut next = vm.parent.as_ref();
    while let Some(parent) = next.filter(|parent| *parent != root) {
        match places.get(parent) {
            Some(place) if names.len() < MAX_LEVELS => {
                names.push(&place.name);
                next = place.parent.as_ref();
            }
            _ => break,
        }
    }
    names.reverse();
    names.join("/")
}

fn select(vms: Vec<VmSummary>, selector: &str) -> Result<VmSummary, Error> {
    let path = selector.trim_start_matches('/');
    let is_meant = |vm: &VmSummary| {
        let uuid = vm.instance_uuid.as_deref().unwrap_or_default();
        vm.moref.id == selector
            || vm.name == selector
            || vm.path == path
            || (!uuid.is_empty() && uuid.eq_ignore_ascii_case(selector))
    };
    let (mut meant, others): (Vec<_>, Vec<_>) = vms.into_iter().partition(is_meant);
    match (meant.pop(), meant.is_empty()) {
        (Some(vm), true) => Ok(vm),
        (Some(vm), false) => {
            meant.push(vm);
            let describe = |vm: &VmSummary| format!("{} ({})", vm.path, vm.moref.id);
            Err(Error::VmAmbiguous {
                wanted: selector.to_owned(),
                candidates: meant.iter().map(describe).collect(),
            })
        }
        (None, _) => {
            let names = others.iter().flat_map(|vm| [vm.name.as_str(), &vm.path]);
            Err(Error::VmNotFound {
                wanted: selector.to_owned(),
                near: near(selector, names),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Entity, VmSummary, select, summaries};
    use crate::vsphere::error::Error;
    use crate::vsphere::moref::Moref;
    use crate::vsphere::property::Found;

    fn found(kind: &str, id: &str, name: &str, parent: Option<(&str, &str)>) -> Found<Entity> {
        Found {
            moref: Moref::new(kind, id),
            properties: Entity {
                name: name.to_owned(),
                parent: parent.map(|(kind, id)| Moref::new(kind, id)),
                instance_uuid: Some(format!("uuid-{id}")),
                ..Entity::default()
            },
            missing: Vec::new(),
        }
    }

    fn inventory() -> Vec<VmSummary> {
        let root = Moref::new("Folder", "group-d1");
        let found = vec![
            found(
                "VirtualMachine",
                "vm-2",
                "web",
                Some(("Folder", "group-v4")),
            ),
            found(
                "VirtualMachine",
                "vm-1",
                "app%2f01",
                Some(("Folder", "group-v3")),
            ),
            found(
                "VirtualMachine",
                "vm-1",
                "app%2f01",
                Some(("Folder", "group-v3")),
            ),
            found(
                "VirtualMachine",
                "vm-3",
                "web",
                Some(("Folder", "group-v3")),
            ),
            found("VirtualMachine", "vm-4", "lost", Some(("Folder", "unseen"))),
            found("VirtualMachine", "vm-5", "in-a-vapp", None),
            found("VirtualMachine", "vm-6", "looped", Some(("Folder", "loop"))),
            found(
                "VirtualMachine",
                "vm-7",
                "vm-2",
                Some(("Folder", "group-v3")),
            ),
            found("Folder", "group-v3", "vm", Some(("Datacenter", "dc-1"))),
            found("Folder", "group-v4", "Prod", Some(("Folder", "group-v3"))),
            found("Folder", "loop", "loop", Some(("Folder", "loop"))),
            found("Datacenter", "dc-1", "DC0", Some(("Folder", "group-d1"))),
        ];
        summaries(found, &root)
    }

    #[test]
    fn paths_are_built_and_holes_and_loops_survived() {
        let vms = inventory();
        let path = |id: &str| &vms.iter().find(|vm| vm.moref.id == id).unwrap().path;
        assert_eq!(vms.len(), 7);
        assert_eq!(path("vm-1"), "DC0/vm/app%2f01");
        assert_eq!(path("vm-2"), "DC0/vm/Prod/web");
        assert_eq!(path("vm-4"), "lost");
        assert_eq!(path("vm-5"), "in-a-vapp");
        assert!(path("vm-6").ends_with("loop/looped"));
    }

    #[test]
    fn a_vm_is_found_by_id_uuid_path_and_name() {
        for selector in ["vm-1", "UUID-vm-1", "/DC0/vm/app%2f01", "app/01"] {
            assert_eq!(
                select(inventory(), selector).unwrap().moref.id,
                "vm-1",
                "{selector}"
            );
        }
        assert_eq!(select(inventory(), "DC0/vm/web").unwrap().moref.id, "vm-3");
    }

    #[test]
    fn several_are_named_and_none_is_answered_with_what_is_near() {
        let error = select(inventory(), "web").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"web\" is more than one VM: DC0/vm/Prod/web (vm-2), DC0/vm/web (vm-3)"
        );
        // The name of one, the id of another: nobody but the user can tell.
        assert!(matches!(
            select(inventory(), "vm-2"),
            Err(Error::VmAmbiguous { .. })
        ));
        let Err(Error::VmNotFound { near, .. }) = select(inventory(), "app-01") else {
            panic!("found");
        };
        assert_eq!(near, ["app/01"]);
    }
}
