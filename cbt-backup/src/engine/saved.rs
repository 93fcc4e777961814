//! What is kept of a VM beside its disks, as files of the point ("vSphere API reference, 7.1").

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    disk_run::DiskReport,
    error::{Error, chain},
    monitor::{Event, Monitor},
    site::Site,
};
use crate::{
    repo::NewFile,
    vsphere::{DatastoreFile, DatastorePath, Host, Moref, SnapshotConfig, Vm},
};

/// The configuration as vSphere gave it.
pub const CONFIG_FILE: &str = "config.xml";
/// The variables of the firmware.
pub const NVRAM_FILE: &str = "nvram";
/// Names of what lay around the VM.
pub const SURROUNDINGS_FILE: &str = "surroundings.json";
/// The disk database of each disk.
pub const DISKS_FILE: &str = "disks.json";

/// No NVRAM is longer; those of EFI are some hundred KiB.
const MAX_NVRAM_BYTES: usize = 16 << 20;

/// Names of what lay around a VM: references mean nothing to another server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Surroundings {
    version: u32,
    server: String,
    product: String,
    host: Option<String>,
    host_product: Option<String>,
    folder: String,
    resource_pool: Option<String>,
    vapp: Option<String>,
    datastores: Vec<String>,
    networks: Vec<String>,
}

/// The configuration of the snapshot, the NVRAM and the names around the VM. What can't be had is
/// told, and missing: no run fails for it.
pub fn files(
    site: &Site,
    vm: &Vm,
    host: &Host,
    config: SnapshotConfig,
    monitor: &dyn Monitor,
) -> Vec<NewFile> {
    let mut files = vec![NewFile {
        name: CONFIG_FILE.to_owned(),
        content: config.raw_xml,
    }];
    let missing = |what: &str, error: &Error| {
        let message = format!("{what} could not be saved: {}", chain(error));
        monitor.event(&Event::warning("not-saved", message));
    };
    if let Some(path) = &vm.nvram_path {
        match nvram(site, vm, path) {
            Ok(content) if content.is_empty() => {}
            Ok(content) => files.push(NewFile {
                name: NVRAM_FILE.to_owned(),
                content,
            }),
            Err(error) => missing("the NVRAM (firmware settings, virtual TPM)", &error),
        }
    }
    match surroundings(site, vm, host) {
        Ok(around) => files.extend(json(SURROUNDINGS_FILE, &around)),
        Err(error) => missing("the names of pool, datastores and networks", &error),
    }
    files
}

/// The disk databases of the disks that were read.
pub fn disk_databases(disks: &[DiskReport]) -> Option<NewFile> {
    #[derive(Serialize)]
    struct Disks<'a> {
        version: u32,
        disks: BTreeMap<i32, &'a BTreeMap<String, String>>,
    }
    let known = disks.iter().filter(|disk| !disk.database.is_empty());
    let disks: BTreeMap<_, _> = known
        .map(|disk| (disk.device_key, &disk.database))
        .collect();
    if disks.is_empty() {
        return None;
    }
    json(DISKS_FILE, &Disks { version: 1, disks })
}

/// The file lies on a datastore whose datacenter has to be named to a vCenter.
fn nvram(site: &Site, vm: &Vm, path: &str) -> Result<Vec<u8>, Error> {
    let path: DatastorePath = path.parse()?;
    let names = site.ask(site.client.names(&vm.datastores))?;
    let by_name = names.iter().find(|(_, name)| *name == path.datastore());
    let datastore = by_name
        .map(|(moref, _)| moref)
        .or_else(|| vm.datastores.first());
    let datacenter_path = match datastore {
        Some(datastore) => site.ask(site.client.datacenter_path(datastore))?,
        None => None,
    };
    let file = DatastoreFile {
        path,
        datacenter_path,
    };
    site.ask(site.client.download_file(&file, None, MAX_NVRAM_BYTES))
}

fn surroundings(site: &Site, vm: &Vm, host: &Host) -> Result<Surroundings, Error> {
    let mut found = site.ask(site.client.surroundings(&[vm.moref()]))?;
    let around = found.remove(&vm.moref()).unwrap_or_default();
    let mut wanted: Vec<Moref> = Vec::new();
    wanted.extend(around.host.clone());
    wanted.extend(around.pool.clone());
    wanted.extend(around.vapp.clone());
    wanted.extend(around.datastores.iter().cloned());
    wanted.extend(around.networks.iter().cloned());
    let names = site.ask(site.client.names(&wanted))?;
    let name = |moref: &Option<Moref>| moref.as_ref().and_then(|moref| names.get(moref).cloned());
    let all = |morefs: &[Moref]| {
        let mut all: Vec<String> = morefs
            .iter()
            .filter_map(|m| names.get(m).cloned())
            .collect();
        all.sort();
        all
    };
    Ok(Surroundings {
        version: 1,
        server: site.client.server().host().to_owned(),
        product: site.client.about().full_name.clone(),
        host: name(&around.host),
        host_product: (!host.product.is_empty()).then(|| host.product.clone()),
        folder: vm.folder_path.clone(),
        resource_pool: name(&around.pool),
        vapp: name(&around.vapp),
        datastores: all(&around.datastores),
        networks: all(&around.networks),
    })
}

fn json(name: &str, value: &impl Serialize) -> Option<NewFile> {
    // Plain texts and numbers: there is nothing in them that JSON can't say.
    let content = serde_json::to_vec_pretty(value).ok()?;
    Some(NewFile {
        name: name.to_owned(),
        content,
    })
}
