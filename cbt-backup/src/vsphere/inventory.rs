//! The inventory: which VMs there are, and which ones are meant.
//!
//! ```text
//! entity    what is read of each object         places    folders, pools, hosts: what holds VMs
//! listing   the VMs that are meant, page by page
//! ```

mod entity;
mod listing;
mod places;

use std::collections::HashMap;

pub(super) use entity::Entity;
pub use listing::VmPages;

use self::entity::{PLACE_KINDS, place_properties, vm_properties};
use self::listing::Pick;
use self::places::{MAX_LEVELS, Places};
use super::client::Client;
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::property::{Properties, Source};
use super::selector::{Selector, VmSelection};
use super::vm::PowerState;
use super::xml::{Reader, Tag, XmlError};

/// Objects a page; an answer stays well below a megabyte.
const PAGE_OBJECTS: u32 = 500;

/// What a list of VMs shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VmSummary {
    /// Its reference.
    pub moref: Moref,
    /// Its name.
    pub name: String,
    /// Where it is in the inventory, such as `DC0/vm/Prod/app01`; names as the API escapes
    /// them. Shorter where the account may not look.
    pub path: String,
    /// The path of its folder, or of the vApp it is in.
    pub folder: String,
    /// The name of the host it is on.
    pub host: Option<String>,
    /// The name of that host's cluster; for a host that stands alone, the host's.
    pub cluster: Option<String>,
    /// The path of its resource pool; a template has none.
    pub pool: Option<String>,
    /// The name of the vApp it is in.
    pub vapp: Option<String>,
    /// The names of the datastores its files are on.
    pub datastores: Vec<String>,
    /// Whether it runs.
    pub power_state: PowerState,
    /// Only a `connected` VM can be backed up.
    pub connection_state: String,
    /// The BIOS UUID; copies may share it.
    pub bios_uuid: Option<String>,
    /// The UUID that vCenter gave; unset for a VM that is not connected.
    pub instance_uuid: Option<String>,
    /// A template can't have a snapshot.
    pub is_template: bool,
    /// The switch of change tracking, as configured.
    pub change_tracking_enabled: Option<bool>,
}

impl Client {
    /// The VMs that `selection` means, page by page as the server sends them.
    ///
    /// # Errors
    ///
    /// [`Error::PlaceNotFound`], [`Error::PlaceAmbiguous`] and [`Error::NoSuchAttribute`] for a
    /// selector by something that is not there; any failure of the calls.
    pub async fn vm_pages(&self, selection: &VmSelection) -> Result<VmPages, Error> {
        let root = &self.inner.content.root_folder;
        let below = |kinds: &[&str], properties| Source::Below {
            container: root.clone(),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            properties,
        };
        let places = self.pages(below(PLACE_KINDS, place_properties()), Some(PAGE_OBJECTS));
        let places = Places::new(root, places.collect().await?);
        let with_attributes = selection.wants_attributes();
        let attributes = if with_attributes {
            self.custom_attributes().await?
        } else {
            HashMap::new()
        };
        let pick = Pick::new(places, selection, &attributes)?;
        let vms = below(&["VirtualMachine"], vec![vm_properties(with_attributes)]);
        Ok(VmPages::new(self.pages(vms, Some(PAGE_OBJECTS)), pick))
    }

    /// The VMs that `selection` means, by path.
    ///
    /// # Errors
    ///
    /// Those of [`vm_pages`](Self::vm_pages) and of [`VmPages::next`].
    pub async fn select_vms(&self, selection: &VmSelection) -> Result<Vec<VmSummary>, Error> {
        let mut pages = self.vm_pages(selection).await?;
        let mut vms = Vec::new();
        while let Some(page) = pages.next().await? {
            vms.extend(page);
        }
        vms.sort_by(|a, b| (&a.path, &a.moref).cmp(&(&b.path, &b.moref)));
        Ok(vms)
    }

    /// All VMs the account may see, by path.
    ///
    /// # Errors
    ///
    /// Any failure of the calls.
    pub async fn vms(&self) -> Result<Vec<VmSummary>, Error> {
        self.select_vms(&VmSelection::all()).await
    }

    /// The one VM that `selector` means.
    ///
    /// # Errors
    ///
    /// [`Error::BadSelector`]; [`Error::VmAmbiguous`] also where a group of several is meant;
    /// else those of [`select_vms`](Self::select_vms).
    pub async fn find_vm(&self, selector: &str) -> Result<VmSummary, Error> {
        let selector: Selector = selector.parse()?;
        let selection = VmSelection {
            include: vec![selector],
            exclude: Vec::new(),
        };
        let mut vms = self.select_vms(&selection).await?;
        let text = selection.include.first().map(Selector::as_str);
        let wanted = text.unwrap_or_default().to_owned();
        match (vms.pop(), vms.is_empty()) {
            (Some(vm), true) => Ok(vm),
            (Some(vm), false) => {
                vms.push(vm);
                let describe = |vm: &VmSummary| format!("{} ({})", vm.path, vm.moref.id);
                let candidates = vms.iter().take(places::MAX_CANDIDATES).map(describe);
                Err(Error::VmAmbiguous {
                    wanted,
                    candidates: candidates.collect(),
                })
            }
            (None, _) => Err(Error::NothingSelected { wanted }),
        }
    }

    /// The numbers of the custom attributes that VMs may have, by name.
    async fn custom_attributes(&self) -> Result<HashMap<String, i32>, Error> {
        let Some(manager) = &self.inner.content.custom_fields_manager else {
            return Ok(HashMap::new());
        };
        let read: AttributeNames = self.properties(manager, &["field"]).await?;
        Ok(read.by_name)
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
}

/// The custom attributes that are defined, while they are read.
#[derive(Debug, Default)]
pub(super) struct AttributeNames {
    by_name: HashMap<String, i32>,
}

impl Properties for AttributeNames {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        if path != "field" {
            return Ok(());
        }
        r.children(value, |r, tag| {
            let (mut key, mut name, mut kind) = (None, String::new(), None);
            r.children(tag, |r, tag| {
                match tag.name.as_str() {
                    "key" => key = Some(r.number(tag)?),
                    "name" => name = r.text(tag)?,
                    "managedObjectType" => kind = Some(r.text(tag)?),
                    _ => {}
                }
                Ok(())
            })?;
            let is_for_vms = kind.is_none_or(|kind| kind.is_empty() || kind == "VirtualMachine");
            if let Some(key) = key.filter(|_| is_for_vms) {
                self.by_name.insert(name, key);
            }
            Ok(())
        })
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

#[cfg(test)]
mod tests;
