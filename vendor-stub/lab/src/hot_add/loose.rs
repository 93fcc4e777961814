//! HotAdd of disks that belong to no VM ("VDDK API reference, 4.9").

use vmdk::OpenOptions;

use super::{HotAdded, Wanted, rules};
use crate::datastore_path::DatastorePath;
use crate::{Disk, Error, Lab, Link, random};

impl Lab {
    /// Attaches a disk to the proxy that nothing refers to; `write` and `state_folder` are as in
    /// [`HotAddSpec`](crate::HotAddSpec). No snapshot is needed.
    ///
    /// # Errors
    ///
    /// [`Error::HotAdd`] with the rule that forbids it, [`Error::NotFound`] for what is no datastore
    /// path, [`Error::InUse`] for a file that a VM or a first-class disk has, also by an earlier
    /// attachment, [`Error::Disk`], [`Error::Io`].
    pub fn hot_add_loose(
        &self,
        file: &str,
        write: bool,
        state_folder: Option<&str>,
    ) -> Result<HotAdded, Error> {
        let lock = self.lock()?;
        let site = self.load_site()?;
        let proxy = self.proxy(&site)?;
        rules::check_loose(&site).map_err(|reason| Error::HotAdd { reason })?;
        let disk = self.loose_disk(file)?;
        let wanted = Wanted {
            disk: &disk,
            file,
            write,
            source_vm: None,
            state_folder,
        };
        self.attach(&lock, proxy, wanted)
    }

    /// A disk that nothing refers to, as a VM would have it.
    fn loose_disk(&self, file: &str) -> Result<Disk, Error> {
        let path = self.loose_disk_file(file)?;
        let opened = vmdk::Disk::open(&path, OpenOptions::default());
        let capacity_sectors = opened
            .map_err(Error::disk("open", path))?
            .capacity_sectors();
        Ok(Disk {
            // The slot on the proxy decides these.
            device_key: 0,
            label: String::new(),
            controller_key: 0,
            unit_number: 0,
            capacity_bytes: capacity_sectors * vmdk::SECTOR_BYTES,
            disk_uuid: random::disk_uuid()?,
            mode: "persistent".into(),
            datastore: DatastorePath::parse(file)?.datastore,
            chain: vec![Link {
                file: file.into(),
                content_id: random::content_id()?,
                tracking: None,
            }],
            change_id: None,
            encrypted: false,
            raw_mapping: false,
            raw_physical: false,
            shared_bus: false,
            provisioning: crate::Provisioning::Thin,
            attached: None,
        })
    }
}
