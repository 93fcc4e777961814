//! Attaching a disk that exists on a datastore.

use std::fs;
use std::path::Path;

use vmdk::OpenOptions;

use crate::datastore_path::DatastorePath;
use crate::provision::check_mode;
use crate::slot::Slot;
use crate::{Disk, Error, Kind, Lab, Link, PowerState, Provisioning, Site, Vm, random};

impl Lab {
    /// A disk on a datastore as a device of a VM. Its links are those that the file itself names.
    pub(crate) fn existing_disk(
        &self,
        site: &Site,
        vm: &Vm,
        slot: &Slot,
        (file, mode): (&str, &str),
    ) -> Result<Disk, Error> {
        check_mode(mode)?;
        let place = DatastorePath::parse(file)?;
        if site.datastore(&place.datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, &place.datastore));
        }
        let path = place.under(self.root());
        if !path.is_file() {
            return Err(Error::not_found(Kind::File, file));
        }
        self.refuse_attached(vm, file)?;
        if self.try_merging(&path)?.is_none() {
            return Err(Error::Locked { file: file.into() });
        }
        let content = vmdk::Disk::open(&path, OpenOptions::default());
        let content = content.map_err(Error::disk("open", &path))?;
        let mut chain = Vec::new();
        for link in content.link_paths() {
            chain.push(Link {
                file: self.place_of(link)?.to_string(),
                content_id: random::content_id()?,
                tracking: None,
            });
        }
        chain.reverse();
        let known = self.known_disk(file)?;
        let disk_uuid = match content.descriptor().ddb("uuid").and_then(disk_uuid) {
            Some(uuid) => uuid,
            None => random::disk_uuid()?,
        };
        let provisioning = match content.descriptor().ddb("thinProvisioned") {
            Some("1") => Provisioning::Thin,
            _ => Provisioning::LazyThick,
        };
        Ok(Disk {
            device_key: slot.device_key,
            label: vm.next_label(),
            controller_key: slot.controller_key,
            unit_number: slot.unit_number,
            capacity_bytes: content.capacity_sectors() * vmdk::SECTOR_BYTES,
            disk_uuid,
            mode: mode.into(),
            datastore: place.datastore,
            chain,
            change_id: None,
            encrypted: known.as_ref().is_some_and(|disk| disk.encrypted),
            raw_mapping: known.as_ref().is_some_and(|disk| disk.raw_mapping),
            raw_physical: known.as_ref().is_some_and(|disk| disk.raw_physical),
            shared_bus: false,
            provisioning: known.map_or(provisioning, |disk| disk.provisioning),
            attached: None,
        })
    }

    /// Refuses a file that a running VM writes to, or that this one has already.
    fn refuse_attached(&self, vm: &Vm, file: &str) -> Result<(), Error> {
        let is_mine = |vm: &Vm| {
            let mut tops = vm.disks.iter().filter_map(Disk::top);
            tops.any(|link| link.file == file)
        };
        let mut running = self.load_vms()?.into_iter();
        let mut running = running
            .by_ref()
            .filter(|other| other.power_state == PowerState::PoweredOn && other.moref != vm.moref);
        if is_mine(vm) || running.any(|other| is_mine(&other)) {
            return Err(Error::Locked { file: file.into() });
        }
        Ok(())
    }

    /// A disk of a VM, running or frozen, that has the file among its links.
    fn known_disk(&self, file: &str) -> Result<Option<Disk>, Error> {
        for vm in self.load_vms()? {
            let frozen = vm.snapshots.iter().flat_map(|snapshot| &snapshot.disks);
            let mut disks = vm.disks.iter().chain(frozen);
            let found = disks.find(|disk| disk.chain.iter().any(|link| link.file == file));
            if let Some(disk) = found {
                return Ok(Some(disk.clone()));
            }
        }
        Ok(None)
    }

    /// The datastore path of a file that another names.
    fn place_of(&self, file: &Path) -> Result<DatastorePath, Error> {
        let file = fs::canonicalize(file).map_err(Error::io("find", file))?;
        DatastorePath::of_file(self.root(), &file)
            .ok_or_else(|| Error::not_found(Kind::File, file.display().to_string()))
    }
}

/// `60 00 C2 9a ...-...` of the disk database as `6000C29a-...`.
pub(crate) fn disk_uuid(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let digits = digits.to_lowercase().replacen("6000c29", "6000C29", 1);
    (digits.len() == 32).then(|| random::dashed(&digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vmx::ddb_uuid;

    #[test]
    fn disk_uuids_come_back_from_the_disk_database() {
        let uuid = random::disk_uuid().unwrap();
        assert_eq!(disk_uuid(&ddb_uuid(&uuid)), Some(uuid));
        assert_eq!(disk_uuid("60 00"), None);
    }
}
