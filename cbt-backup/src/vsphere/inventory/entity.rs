//! Objects of the inventory while they are read.

use crate::vsphere::moref::Moref;
use crate::vsphere::property::{Properties, PropertySpec};
use crate::vsphere::vm::PowerState;
use crate::vsphere::xml::{Reader, Tag, XmlError};

/// What of a VM a list needs.
const VM_PATHS: &[&str] = &[
    "name",
    "parent",
    "parentVApp",
    "resourcePool",
    "datastore",
    "config.uuid",
    "config.instanceUuid",
    "config.template",
    "config.changeTrackingEnabled",
    "runtime.powerState",
    "runtime.connectionState",
    "runtime.host",
];

/// An object of the inventory while it is read.
#[derive(Debug, Default)]
pub(in crate::vsphere) struct Entity {
    /// As sent, escaped.
    pub(in crate::vsphere) name: String,
    pub(in crate::vsphere) parent: Option<Moref>,
    /// The folder of a vApp that is not inside another.
    pub(super) parent_folder: Option<Moref>,
    pub(super) parent_vapp: Option<Moref>,
    pub(super) pool: Option<Moref>,
    pub(super) host: Option<Moref>,
    pub(super) datastores: Vec<Moref>,
    pub(super) bios_uuid: Option<String>,
    pub(super) instance_uuid: Option<String>,
    pub(super) is_template: bool,
    pub(in crate::vsphere) change_tracking_enabled: Option<bool>,
    pub(super) power_state: PowerState,
    pub(super) connection_state: String,
    /// Keys and values of custom attributes.
    pub(super) attributes: Vec<(i32, String)>,
}

impl Properties for Entity {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        match path {
            "name" => self.name = r.text(value)?,
            "parent" => self.parent = Some(r.moref(value)?),
            "parentFolder" => self.parent_folder = Some(r.moref(value)?),
            "parentVApp" => self.parent_vapp = Some(r.moref(value)?),
            "resourcePool" => self.pool = Some(r.moref(value)?),
            "runtime.host" => self.host = Some(r.moref(value)?),
            "datastore" => r.children(value, |r, tag| {
                self.datastores.push(r.moref(tag)?);
                Ok(())
            })?,
            "config.uuid" => self.bios_uuid = Some(r.text(value)?),
            "config.instanceUuid" => self.instance_uuid = Some(r.text(value)?),
            "config.template" => self.is_template = r.boolean(value)?,
            "config.changeTrackingEnabled" => {
                self.change_tracking_enabled = Some(r.boolean(value)?);
            }
            "runtime.powerState" => self.power_state = PowerState::from_text(r.text(value)?),
            "runtime.connectionState" => self.connection_state = r.text(value)?,
            "customValue" => r.children(value, |r, tag| {
                self.attributes.push(read_attribute(r, tag)?);
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    }
}

/// A `CustomFieldStringValue`: the number of the attribute, and the text.
fn read_attribute(r: &mut Reader<'_>, tag: &Tag) -> Result<(i32, String), XmlError> {
    let (mut key, mut text) = (None, String::new());
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "key" => key = Some(r.number(tag)?),
            "value" => text = r.leaf(tag)?.unwrap_or_default(),
            _ => {}
        }
        Ok(())
    })?;
    let key = key.ok_or(XmlError::Missing {
        element: "key",
        inside: "customValue",
    })?;
    Ok((key, text))
}

/// What is asked of VMs.
pub(super) fn vm_properties(with_attributes: bool) -> PropertySpec {
    let mut wanted = PropertySpec::new("VirtualMachine", VM_PATHS);
    if with_attributes {
        wanted.paths.push("customValue".to_owned());
    }
    wanted
}

/// The kinds of places, which a view lists with those derived from them: clusters, vApps and
/// clusters of datastores.
pub(super) const PLACE_KINDS: &[&str] = &[
    "Folder",
    "Datacenter",
    "ComputeResource",
    "ResourcePool",
    "HostSystem",
    "Datastore",
];

/// What is asked of places.
pub(super) fn place_properties() -> Vec<PropertySpec> {
    let place = |kind: &&str| PropertySpec::new(*kind, &["name", "parent"]);
    let mut wanted: Vec<PropertySpec> = PLACE_KINDS.iter().map(place).collect();
    let vapp = PropertySpec::new("VirtualApp", &["name", "parent", "parentFolder"]);
    wanted.push(vapp);
    wanted
}
