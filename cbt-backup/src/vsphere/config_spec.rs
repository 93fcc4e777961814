//! A saved configuration made into one to be created ("vSphere API reference, 7.2 to 7.4").
//!
//! What identifies the old VM, or belongs to its old place, is left out. What is left out though
//! a person may miss it is told in [`ConfigSpec::left_out`].

mod boot_order;
mod device;
mod disk;
mod encryption;
mod extra;
mod later;
mod network;
mod setting;

use std::collections::BTreeMap;
use std::fmt;

pub use boot_order::BootOrder;
pub use encryption::SpecEncryption;
pub use later::LaterDisk;
pub use network::Network;

use super::error::Error;
use super::xml::{Node, Reader};
use device::{Devices, Old};
use setting::{FIELDS, Source};

/// What the new VM is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpecOptions {
    /// Its name; else the old one.
    pub name: Option<String>,
    /// The datastore of its files, which also gets the disks that lay beside the old VM's.
    pub datastore: String,
    /// Datastores by the name of the old one; others get `datastore`.
    pub datastores: BTreeMap<String, String>,
    /// Networks by the name of the old one, or by the key of a distributed port group. A
    /// standard network that is not named here keeps its name.
    pub networks: BTreeMap<String, Network>,
    /// Keep the BIOS UUID: for the replacement of a VM that is lost, never for a second copy.
    pub keep_uuid: bool,
    /// Keep vCenter's UUID too: for a true replacement only.
    pub keep_instance_uuid: bool,
    /// Keep the addresses of network cards.
    pub keep_mac: bool,
    /// What becomes of encryption.
    pub encryption: SpecEncryption,
}

/// A `VirtualMachineConfigSpec`.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigSpec {
    fields: Vec<Node>,
    /// What is added afterwards, by a call each: disks that lie on other datastores than the VM.
    pub later: Vec<LaterDisk>,
    /// The order to boot from, which is set last: it names devices by keys that the server gives.
    pub boot_order: Option<BootOrder>,
    /// What was left out that somebody may miss, in words.
    pub left_out: Vec<String>,
}

impl fmt::Debug for ConfigSpec {
    /// Without the values: settings may hold what is nobody's business, such as sealed keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSpec")
            .field("fields", &self.fields.len())
            .field("later", &self.later.len())
            .field("boot_order", &self.boot_order)
            .field("left_out", &self.left_out)
            .finish()
    }
}

impl ConfigSpec {
    /// Makes the spec from the saved configuration `raw_xml`, as
    /// [`SnapshotConfig::raw_xml`](super::SnapshotConfig::raw_xml) has it.
    ///
    /// # Errors
    ///
    /// [`Error::BadConfig`] for what can't be read, or for devices that contradict each other.
    pub fn from_config(raw_xml: &[u8], options: &SpecOptions) -> Result<Self, Error> {
        let mut config = None;
        Reader::from_bytes(raw_xml)
            .and_then(|mut reader| {
                reader.document(|r, root| {
                    config = Some(r.node(root)?);
                    Ok(())
                })
            })
            .map_err(|source| Error::BadConfig {
                what: source.to_string(),
            })?;
        let config = config.ok_or_else(|| bad("it is empty"))?;
        Self::from_node(&config, options)
    }

    /// A spec that changes nothing but what is in `fields`, which are in the schema's order.
    fn of(fields: Vec<Node>) -> Self {
        Self {
            fields,
            later: Vec::new(),
            boot_order: None,
            left_out: Vec::new(),
        }
    }

    pub(super) fn fields(&self) -> &[Node] {
        &self.fields
    }

    fn from_node(config: &Node, options: &SpecOptions) -> Result<Self, Error> {
        let hardware = config
            .child("hardware")
            .ok_or_else(|| bad("it has no hardware"))?;
        let olds = Old::all(hardware)?;
        let devices = Devices::of(&olds, options)?;
        let mut spec = Self::of(Vec::new());
        for (name, source) in FIELDS {
            let field = match source {
                Source::Same => config.child(name),
                Source::Unless(usual) => config
                    .child(name)
                    .filter(|_| config.child_text(name) != Some(usual)),
                Source::Field(other) => config.child(other),
                Source::Hardware(other) => hardware.child(other),
                Source::Made => {
                    spec.fields.extend(made(name, config, options, &devices)?);
                    continue;
                }
            };
            spec.fields
                .extend(field.filter(|f| !f.is_empty()).map(|f| f.renamed(name)));
        }
        spec.later = devices.later;
        spec.boot_order = BootOrder::of(config, &olds);
        spec.left_out = devices.left_out;
        spec.left_out.extend(options.encryption.left_out(config));
        spec.left_out.extend(setting::left_out(config));
        Ok(spec)
    }
}

/// The fields that are not copied.
fn made(
    name: &str,
    config: &Node,
    options: &SpecOptions,
    devices: &Devices,
) -> Result<Vec<Node>, Error> {
    let kept = |field: &str, keep: bool| {
        let text = config.child_text(field).filter(|_| keep);
        text.map(|text| Node::leaf(field, text))
            .into_iter()
            .collect()
    };
    Ok(match name {
        "name" => {
            let old = config.child_text("name").unwrap_or_default();
            let name = options.name.as_deref().unwrap_or(old);
            if name.is_empty() {
                return Err(bad("it has no name"));
            }
            vec![Node::leaf("name", name)]
        }
        "uuid" => kept("uuid", options.keep_uuid),
        "instanceUuid" => kept("instanceUuid", options.keep_instance_uuid),
        "files" => {
            // The server chooses the folder: an old one may be taken.
            let path = format!("[{}]", options.datastore);
            vec![Node::of("files", vec![Node::leaf("vmPathName", path)])]
        }
        "deviceChange" => devices.now.clone(),
        "extraConfig" => extra::kept(config, options.encryption.keeps_bundle()),
        "vmProfile" => options.encryption.vm_profile(config),
        "crypto" => options.encryption.vm_crypto(config),
        "bootOptions" => boot_options(config),
        "sgxInfo" => setting::enclave_memory(config).into_iter().collect(),
        "virtualNuma" => setting::virtual_numa(config).into_iter().collect(),
        _ => Vec::new(),
    })
}

/// The boot order names devices by keys of the old VM: it is set afterwards.
fn boot_options(config: &Node) -> Vec<Node> {
    let Some(old) = config.child("bootOptions") else {
        return Vec::new();
    };
    let mut new = old.clone();
    new.children.retain(|child| child.name != "bootOrder");
    if new.children.is_empty() {
        Vec::new()
    } else {
        vec![new]
    }
}

fn bad(what: &str) -> Error {
    Error::BadConfig {
        what: what.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests;
