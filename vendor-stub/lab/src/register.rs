//! Taking a VM into the inventory whose files exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::datastore_path::{DatastorePath, check_name};
use crate::existing_disk::disk_uuid;
use crate::guest_word::{id_of, word_of};
use crate::provision::{describe, refuse_taken};
use crate::slot::Slot;
use crate::{Bus, Error, Kind, Lab, Site, Vm, VmSpec, random, vmx};

/// The largest .vmx file that is read.
const MAX_VMX_BYTES: u64 = 1 << 20;
/// Keys of a .vmx file that say what has a place of its own.
const OWN_KEYS: [&str; 14] = [
    ".encoding",
    "config.version",
    "virtualHW.version",
    "displayName",
    "annotation",
    "guestOS",
    "memSize",
    "numvcpus",
    "uuid.bios",
    "uuid.location",
    "vc.uuid",
    "ctkEnabled",
    "nvram",
    vmx::GUEST_ID,
];

impl Lab {
    /// Takes a VM into an inventory folder by its .vmx file: name, hardware, disks, extra settings.
    /// Snapshots are not taken over. A file that lay elsewhere when it was written makes the VM ask,
    /// when it is powered on, whether it was moved or copied.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a file, folder or disk, [`Error::AlreadyExists`] if a VM has
    /// the file, [`Error::DuplicateName`], [`Error::InvalidName`], [`Error::InvalidSpec`] for a file
    /// that is no configuration, [`Error::Disk`], [`Error::Io`].
    pub fn register_vm(&self, path: &str, name: Option<&str>, folder: &str) -> Result<Vm, Error> {
        let lock = self.lock()?;
        let mut site = self.load_site()?;
        let place = DatastorePath::parse(path)?;
        if site.datastore(&place.datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, &place.datastore));
        }
        let vms = self.load_vms()?;
        if vms.iter().any(|vm| vm.vmx_path == path) {
            return Err(Error::AlreadyExists {
                kind: Kind::Vm,
                id: path.into(),
            });
        }
        let entries = read(&place.under(self.root()), path)?;
        let text = |key: &str| entries.get(key).cloned().unwrap_or_default();
        let name = name.map_or_else(|| text("displayName"), str::to_owned);
        check_name(&name)?;
        refuse_taken(&self.names()?, folder, &name)?;

        let spec = VmSpec {
            name,
            powered_on: false,
            hardware_version: number(&entries, "virtualHW.version")?,
            annotation: text("annotation"),
            ..VmSpec::default()
        };
        let moref = format!("vm-{}", site.next_vm);
        site.next_vm += 1;
        let mut vm = describe(spec, moref, folder.into(), &place, &site)?;
        let told = entries.get(vmx::GUEST_ID).cloned();
        let told = told.filter(|id| word_of(id) == text("guestOS"));
        vm.guest_id = told.unwrap_or_else(|| id_of(&text("guestOS")));
        vm.memory_mib = number(&entries, "memSize")?;
        vm.cpus = number(&entries, "numvcpus")?;
        if let Some(uuid) = plain_uuid(&text("uuid.bios")) {
            vm.bios_uuid = uuid;
        }
        let instance = plain_uuid(&text("vc.uuid"));
        let is_free = |uuid: &String| vms.iter().all(|other| other.instance_uuid != *uuid);
        if let Some(uuid) = instance.filter(is_free) {
            vm.instance_uuid = uuid;
        }
        vm.lay_elsewhere = text("uuid.location") != vmx::location(path);
        self.take_devices(&site, &mut vm, &entries)?;
        if text("ctkEnabled") == "TRUE" {
            vm.ask_for_tracking(true)?;
        }
        self.store_site(&lock, &site)?;
        self.store_vm(&lock, &vm)?;
        Ok(vm)
    }

    /// Attaches the disks that the entries name, and keeps the other entries.
    fn take_devices(
        &self,
        site: &Site,
        vm: &mut Vm,
        entries: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let home = DatastorePath::parse(&vm.vmx_path)?;
        let mut known: Vec<String> = OWN_KEYS.map(str::to_owned).to_vec();
        for bus in [Bus::Scsi, Bus::Sata, Bus::Nvme, Bus::Ide] {
            for slot in Slot::all(bus) {
                let controller = format!("{}{}", bus.word(), bus.number(slot.controller_key));
                let device = format!("{controller}:{}", slot.unit_number);
                let key = |part: &str| format!("{device}.{part}");
                known.extend([key("present"), key("fileName"), key("mode")]);
                known.extend(["present", "virtualDev"].map(|part| format!("{controller}.{part}")));
                let word = entries.get(&format!("{controller}.virtualDev"));
                if let Some(type_name) = word.and_then(|word| vmx::controller_type(word)) {
                    vm.controller_types
                        .insert(slot.controller_key, type_name.into());
                }
                let file = entries.get(&key("fileName"));
                let is_there = entries.get(&key("present")).is_some_and(|is| is == "TRUE");
                let Some(file) = file.filter(|_| is_there) else {
                    continue;
                };
                let file = if file.starts_with('[') {
                    file.clone()
                } else {
                    home.sibling(file.clone()).to_string()
                };
                let mode = entries.get(&key("mode")).map(|mode| mode.replace('-', "_"));
                let mode = mode.unwrap_or_else(|| "persistent".into());
                let disk = self.existing_disk(site, vm, &slot, (&file, &mode))?;
                vm.disks.push(disk);
            }
        }
        for (key, text) in entries {
            let number = key.strip_prefix(vmx::OTHER_DEVICE);
            let number = number.and_then(|number| number.parse::<i32>().ok());
            if let (Some(number), Ok(device)) = (number, serde_json::from_str(text)) {
                vm.other_devices.insert(number, device);
                known.push(key.clone());
            }
        }
        for (key, text) in entries {
            let name = key.strip_prefix(vmx::SETTING);
            if let (Some(name), Ok(setting)) = (name, serde_json::from_str(text)) {
                vm.settings.insert(name.to_owned(), setting);
                known.push(key.clone());
            }
        }
        let others = entries.iter().filter(|(key, _)| !known.contains(key));
        vm.extra_config = others
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        Ok(())
    }
}

fn read(file: &Path, path: &str) -> Result<BTreeMap<String, String>, Error> {
    let Ok(metadata) = fs::metadata(file) else {
        return Err(Error::not_found(Kind::File, path));
    };
    let refuse = |reason: &str| Error::InvalidSpec {
        what: "path",
        reason: reason.into(),
    };
    if !metadata.is_file() || metadata.len() > MAX_VMX_BYTES {
        return Err(refuse("no configuration file"));
    }
    let content = fs::read(file).map_err(Error::io("read", file))?;
    let text = String::from_utf8(content).map_err(|_| refuse("no text"))?;
    let entries = vmx::entries(&text);
    if entries.contains_key("config.version") {
        Ok(entries)
    } else {
        Err(refuse("no configuration file"))
    }
}

fn number(entries: &BTreeMap<String, String>, key: &'static str) -> Result<u32, Error> {
    let number = entries.get(key).and_then(|text| text.parse().ok());
    number.ok_or_else(|| Error::InvalidSpec {
        what: key,
        reason: "no number".into(),
    })
}

/// A UUID in the form of the API.
fn plain_uuid(text: &str) -> Option<String> {
    disk_uuid(text).map(|uuid| uuid.to_lowercase())
}

impl Vm {
    /// Makes a copy another VM than the one it was copied from.
    pub(crate) fn become_another(&mut self) -> Result<(), Error> {
        self.bios_uuid = random::uuid()?;
        self.instance_uuid = random::uuid()?;
        Ok(())
    }
}
