//! The site: what exists besides VMs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Behaviour, CustomField, Datastore, DatastoreKind, DatastoreSpec, Error, Kind, Machine,
    NumberedRole, Permission, custom_field, random,
};

/// A site to make.
#[derive(Clone)]
pub struct SiteSpec {
    /// Login name of the only user.
    pub user: String,
    /// Password of that user.
    pub password: String,
    /// Greatest number of areas in one answer of `changed_areas`.
    pub page_extents: usize,
    /// Greatest number of bytes one answer examines; `None` = no limit. A small number makes
    /// pages without areas in the middle of a disk.
    pub page_span_bytes: Option<u64>,
    /// Idle sessions end after this time.
    pub session_idle_secs: u64,
    /// The datastores, at least one. VMs go to the first unless they say otherwise.
    pub datastores: Vec<DatastoreSpec>,
    /// API version of the vCenter.
    pub api_version: String,
    /// The server is an ESXi host and no vCenter.
    pub bare_host: bool,
    /// How a host treats the NFC link of a client that died. `None`: it frees the link at once.
    /// Otherwise it notices nothing: the disk stays locked, unless the client had set NFC
    /// time-outs, for as long as those say times this number. So 1.0 is what VMware documents,
    /// and tests that do not want to wait take less.
    pub nfc_time_scale: Option<f64>,
}

impl SiteSpec {
    /// The same site with these datastores.
    #[must_use]
    pub fn with_datastores(mut self, datastores: impl IntoIterator<Item = DatastoreSpec>) -> Self {
        self.datastores = datastores.into_iter().collect();
        self
    }
}

impl Default for SiteSpec {
    fn default() -> Self {
        Self {
            user: "backup@vsphere.local".into(),
            password: "stand-in".into(),
            page_extents: 2000,
            page_span_bytes: None,
            session_idle_secs: 1800,
            datastores: vec![DatastoreSpec::new("datastore1", DatastoreKind::Vmfs)],
            api_version: "8.0.2.0".into(),
            bare_host: false,
            nfc_time_scale: None,
        }
    }
}

impl fmt::Debug for SiteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SiteSpec")
            .field("user", &self.user)
            .field("datastores", &self.datastores)
            .field("api_version", &self.api_version)
            .finish_non_exhaustive()
    }
}

/// A user of the vCenter.
#[derive(Clone, Serialize, Deserialize)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Password, in the clear: the lab guards nothing.
    pub password: String,
    /// What the user may do, and where; `None` = everything everywhere.
    #[serde(default)]
    pub permissions: Option<Vec<Permission>>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("permissions", &self.permissions)
            .finish_non_exhaustive()
    }
}

/// A datacenter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Datacenter {
    /// `datacenter-3`.
    pub moref: String,
    /// `DC0`.
    pub name: String,
    /// Moref of the folder it is in; `None` = the root folder.
    #[serde(default)]
    pub parent: Option<String>,
}

/// The only host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Host {
    /// `host-16`.
    pub moref: String,
    /// `esx01.lab.test`.
    pub name: String,
    /// Version of ESXi.
    pub version: String,
    /// Build number of ESXi.
    pub build: String,
}

/// The compute resource the host belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ComputeResource {
    /// `domain-s8`.
    pub moref: String,
    /// The name of its host.
    pub name: String,
}

/// A resource pool.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ResourcePool {
    /// `resgroup-9`.
    pub moref: String,
    /// `Resources`.
    pub name: String,
    /// Moref of the pool it is in; `None` for that of the compute resource.
    #[serde(default)]
    pub parent: Option<String>,
    /// Its settings, as the server keeps them.
    #[serde(default)]
    pub settings: Option<serde_json::Value>,
}

/// A network that cards are connected to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Network {
    /// `network-15`.
    pub moref: String,
    /// `VM Network`.
    pub name: String,
}

/// An inventory folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Folder {
    /// `group-d1`, `group-v4` and so on.
    pub moref: String,
    /// Its name.
    pub name: String,
    /// Moref of the folder or datacenter above; `None` for the root folder.
    pub parent: Option<String>,
}

/// The site of a lab, without its VMs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Site {
    /// Instance UUID of the vCenter.
    pub instance_uuid: String,
    /// Who may log in.
    pub users: Vec<User>,
    /// API version of the vCenter.
    pub api_version: String,
    /// Version of the vCenter.
    pub version: String,
    /// Build number of the vCenter.
    pub build: String,
    /// The datacenter that has everything.
    pub datacenter: Datacenter,
    /// Datacenters that clients made.
    #[serde(default)]
    pub more_datacenters: Vec<Datacenter>,
    /// The only compute resource.
    pub compute_resource: ComputeResource,
    /// The only host.
    pub host: Host,
    /// The resource pool of the compute resource.
    pub pool: ResourcePool,
    /// Resource pools that clients made.
    #[serde(default)]
    pub more_pools: Vec<ResourcePool>,
    /// Folders of the compute resource, of datastores and of networks, by their morefs, where they are
    /// not the usual ones.
    #[serde(default)]
    pub places: BTreeMap<String, String>,
    /// All datastores.
    pub datastores: Vec<Datastore>,
    /// All networks.
    #[serde(default)]
    pub networks: Vec<Network>,
    /// The root folder, the four folders of each datacenter, and those made in them.
    pub folders: Vec<Folder>,
    /// Greatest number of areas in one answer of `changed_areas`.
    pub page_extents: usize,
    /// Greatest number of bytes one answer examines.
    pub page_span_bytes: Option<u64>,
    /// Idle sessions end after this time.
    pub session_idle_secs: u64,
    /// The server is an ESXi host and no vCenter.
    #[serde(default)]
    pub bare_host: bool,
    /// The machine that the library runs on.
    #[serde(default)]
    pub machine: Machine,
    /// As in [`SiteSpec`].
    #[serde(default)]
    pub nfc_time_scale: Option<f64>,
    /// What is not the same on every site.
    #[serde(default)]
    pub behaviour: Behaviour,
    /// Definitions of custom attributes.
    #[serde(default)]
    pub custom_fields: Vec<CustomField>,
    /// Values of custom attributes, by the moref of their object and the number of the attribute.
    #[serde(default)]
    pub custom_values: BTreeMap<String, BTreeMap<i32, String>>,
    /// Roles that clients made.
    #[serde(default)]
    pub roles: Vec<NumberedRole>,
    #[serde(default = "first_role")]
    pub(crate) next_role: i32,
    #[serde(default = "first_custom_field")]
    pub(crate) next_custom_field: i32,
    pub(crate) next_vm: u32,
    pub(crate) next_snapshot: u32,
    pub(crate) next_folder: u32,
}

impl Site {
    /// Moref of the root folder.
    pub const ROOT_FOLDER: &str = "group-d1";
    /// Moref of the VM folder of the datacenter.
    pub const VM_FOLDER: &str = "group-v4";
    /// Moref of the host folder of the datacenter.
    pub const HOST_FOLDER: &str = "group-h5";
    /// Moref of the datastore folder of the datacenter.
    pub const DATASTORE_FOLDER: &str = "group-s6";
    /// Moref of the network folder of the datacenter.
    pub const NETWORK_FOLDER: &str = "group-n7";

    /// The datastore of that name.
    pub fn datastore(&self, name: &str) -> Option<&Datastore> {
        self.datastores
            .iter()
            .find(|datastore| datastore.name == name)
    }

    /// The size of the blocks that a datastore gives space out by, where it has any.
    pub(crate) fn block_bytes(&self, datastore: &str) -> Option<u64> {
        let vmfs = self.datastore(datastore)?.vmfs?;
        Some(vmfs.block_bytes())
    }

    /// The number that the next VM gets.
    pub fn next_vm_number(&self) -> u32 {
        self.next_vm
    }

    /// The datastore of that managed object id.
    pub fn datastore_by_moref(&self, moref: &str) -> Option<&Datastore> {
        self.datastores
            .iter()
            .find(|datastore| datastore.moref == moref)
    }

    /// A new site after a specification whose names were checked.
    pub(crate) fn new(spec: SiteSpec) -> Result<Self, Error> {
        Self::check(&spec)?;
        let host = "esx01.lab.test";
        let datastores = (17..)
            .zip(spec.datastores)
            .map(|(number, datastore)| Datastore {
                moref: format!("datastore-{number}"),
                name: datastore.name,
                kind: datastore.kind,
                lun: datastore.lun,
                vmfs: datastore.vmfs,
            })
            .collect();
        Ok(Self {
            instance_uuid: random::uuid()?,
            users: vec![User {
                name: spec.user,
                password: spec.password,
                permissions: None,
            }],
            version: spec
                .api_version
                .split('.')
                .take(3)
                .collect::<Vec<_>>()
                .join("."),
            api_version: spec.api_version,
            build: "22617221".into(),
            datacenter: Datacenter {
                moref: "datacenter-3".into(),
                name: "DC0".into(),
                parent: None,
            },
            more_datacenters: Vec::new(),
            compute_resource: ComputeResource {
                moref: "domain-s8".into(),
                name: host.into(),
            },
            host: Host {
                moref: "host-16".into(),
                name: host.into(),
                version: "8.0.2".into(),
                build: "22380479".into(),
            },
            pool: ResourcePool {
                moref: "resgroup-9".into(),
                name: "Resources".into(),
                parent: None,
                settings: None,
            },
            more_pools: Vec::new(),
            places: BTreeMap::new(),
            datastores,
            networks: vec![Network {
                moref: "network-15".into(),
                name: "VM Network".into(),
            }],
            folders: default_folders(),
            page_extents: spec.page_extents,
            page_span_bytes: spec.page_span_bytes,
            session_idle_secs: spec.session_idle_secs,
            bare_host: spec.bare_host,
            machine: Machine::Physical,
            nfc_time_scale: spec.nfc_time_scale,
            behaviour: Behaviour::default(),
            custom_fields: Vec::new(),
            custom_values: BTreeMap::new(),
            roles: Vec::new(),
            next_role: first_role(),
            next_custom_field: custom_field::FIRST_KEY,
            next_vm: 1021,
            next_snapshot: 2044,
            next_folder: 101,
        })
    }

    fn check(spec: &SiteSpec) -> Result<(), Error> {
        let refuse = |what, reason: &str| {
            Err(Error::InvalidSpec {
                what,
                reason: reason.into(),
            })
        };
        if spec.datastores.is_empty() {
            return refuse("datastores", "a site needs at least one");
        }
        if spec.page_extents == 0 {
            return refuse("page_extents", "a page needs room for at least one area");
        }
        if spec.page_span_bytes == Some(0) {
            return refuse("page_span_bytes", "a page must examine something");
        }
        if spec
            .nfc_time_scale
            .is_some_and(|scale| !scale.is_finite() || scale < 0.0)
        {
            return refuse("nfc_time_scale", "no number from 0 on");
        }
        for (position, datastore) in spec.datastores.iter().enumerate() {
            crate::datastore_path::check_name(&datastore.name)?;
            datastore.check()?;
            if spec.datastores[..position]
                .iter()
                .any(|other| other.name == datastore.name)
            {
                return Err(Error::AlreadyExists {
                    kind: Kind::Datastore,
                    id: datastore.name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// The number of the first role that a client makes.
fn first_role() -> i32 {
    1
}

/// The number of the first custom attribute, for a site that was made before there were any.
fn first_custom_field() -> i32 {
    custom_field::FIRST_KEY
}

/// The folders every vCenter has.
fn default_folders() -> Vec<Folder> {
    let folder = |moref: &str, name: &str, parent: Option<&str>| Folder {
        moref: moref.into(),
        name: name.into(),
        parent: parent.map(Into::into),
    };
    let datacenter = Some("datacenter-3");
    vec![
        folder(Site::ROOT_FOLDER, "Datacenters", None),
        folder(Site::VM_FOLDER, "vm", datacenter),
        folder(Site::HOST_FOLDER, "host", datacenter),
        folder(Site::DATASTORE_FOLDER, "datastore", datacenter),
        folder(Site::NETWORK_FOLDER, "network", datacenter),
    ]
}
