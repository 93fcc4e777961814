//! HotAdd: a disk of one VM, or of none, is attached to the proxy, the VM that the library runs in
//! ("VDDK API reference, 4.6").
//!
//! The disk becomes a device of the proxy. For reading a redo log is made over it, on its own
//! datastore. Both stay when the process dies, and keep the source's snapshots from being removed
//! until [`Lab::clean_up_hot_add`].

mod attached;
mod loose;
mod rules;

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;

pub use attached::HotAdded;
pub use rules::HotAddRefusal;

use crate::datastore_path::DatastorePath;
use crate::made::Made;
use crate::slot::Slot;
use crate::state::{LabLock, open_lock_file, remove_if_there};
use crate::{
    Attachment, Bus, Disk, Error, Kind, Lab, Link, Machine, Provisioning, Site, Vm, random,
};

/// What to attach.
#[derive(Clone, Copy, Debug)]
pub struct HotAddSpec<'a> {
    /// Moref of the VM whose disk it is.
    pub vm: &'a str,
    /// Moref of the snapshot that names the disk; `None` = the running state.
    pub snapshot: Option<&'a str>,
    /// Datastore path of the link.
    pub file: &'a str,
    /// Attach the link itself, not a redo log over it.
    pub write: bool,
    /// Where the process keeps its state; see [`Attachment`].
    pub state_folder: Option<&'a str>,
}

/// A device that the proxy is to get.
#[derive(Clone, Copy, Debug)]
struct Wanted<'a> {
    /// The disk; its chain ends with the link that is attached.
    disk: &'a Disk,
    /// Datastore path of that link.
    file: &'a str,
    write: bool,
    source_vm: Option<&'a str>,
    state_folder: Option<&'a str>,
}

/// What was cleaned up. A disk that belongs to no VM counts as one, under its datastore path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleanedUp {
    /// VMs of which no disk is attached any more.
    pub cleaned: BTreeSet<String>,
    /// VMs of which a disk is still attached.
    pub remaining: BTreeSet<String>,
}

impl Lab {
    /// Attaches a disk to the proxy.
    ///
    /// # Errors
    ///
    /// [`Error::HotAdd`] with the rule that forbids it, [`Error::NotFound`] for a VM, a snapshot
    /// or a file that does not exist, [`Error::Disk`], [`Error::Io`].
    pub fn hot_add(&self, spec: HotAddSpec<'_>) -> Result<HotAdded, Error> {
        let lock = self.lock()?;
        let site = self.load_site()?;
        let refused = |reason| Error::HotAdd { reason };
        let (proxy, source) = (self.proxy(&site)?, self.load_vm(spec.vm)?);
        let position = |disk: &Disk| disk.chain.iter().position(|link| link.file == spec.file);
        let disks = source.disks_of(spec.snapshot)?;
        let found = disks.iter().find_map(|disk| Some((disk, position(disk)?)));
        let (disk, position) = found.ok_or_else(|| Error::not_found(Kind::File, spec.file))?;
        rules::check(&site, &source, disk, &proxy).map_err(refused)?;
        let disk = Disk {
            chain: disk.chain[..=position].to_vec(),
            ..disk.clone()
        };
        let wanted = Wanted {
            disk: &disk,
            file: spec.file,
            write: spec.write,
            source_vm: Some(spec.vm),
            state_folder: spec.state_folder,
        };
        self.attach(&lock, proxy, wanted)
    }

    /// The VM that this machine is.
    fn proxy(&self, site: &Site) -> Result<Vm, Error> {
        match &site.machine {
            Machine::Proxy { vm } => self.load_vm(vm),
            other => Err(Error::HotAdd {
                reason: rules::no_proxy(other),
            }),
        }
    }

    /// Makes a disk a device of the proxy.
    fn attach(&self, lock: &LabLock, mut proxy: Vm, wanted: Wanted<'_>) -> Result<HotAdded, Error> {
        let slot = rules::free_slot(&proxy).map_err(|reason| Error::HotAdd { reason })?;
        let alive = self.alive(&proxy.moref, slot.device_key)?;
        let mut made = Made::default();
        let device = self.device(wanted, &slot, &mut made)?;
        let path = match device.top() {
            Some(link) => self.path_of(&link.file)?,
            None => return Err(Error::not_found(Kind::File, wanted.file)),
        };
        proxy.disks.push(device);
        self.store_vm(lock, &proxy)?;
        made.keep();
        Ok(HotAdded {
            lab: self.clone(),
            proxy: proxy.moref,
            device_key: slot.device_key,
            path,
            alive,
        })
    }

    /// Takes away what dead processes left attached to the proxy, as far as they kept their state
    /// in this folder. What a living process uses stays and counts as remaining. Nothing is done
    /// on a machine that is no proxy.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when files cannot be removed, [`Error::Json`].
    pub fn clean_up_hot_add(&self, state_folder: Option<&str>) -> Result<CleanedUp, Error> {
        let lock = self.lock()?;
        let mut done = CleanedUp::default();
        let Machine::Proxy { vm } = self.load_site()?.machine else {
            return Ok(done);
        };
        let mut proxy = self.load_vm(&vm)?;
        let left: Vec<(i32, String)> = attachments(&proxy)
            .filter(|(_, attachment)| attachment.state_folder.as_deref() == state_folder)
            .map(|(device_key, attachment)| (device_key, attachment.source().to_owned()))
            .collect();
        for (device_key, source) in left {
            let alive_file = self.alive_file(&vm, device_key);
            let alive = open_lock_file(&alive_file)?;
            if alive.try_lock().is_err() {
                done.remaining.insert(source);
                continue;
            }
            self.take_away(&lock, &mut proxy, device_key)?;
            remove_if_there(&alive_file)?;
            done.cleaned.insert(source);
        }
        let CleanedUp { cleaned, remaining } = &mut done;
        cleaned.retain(|vm| !remaining.contains(vm));
        Ok(done)
    }

    /// The links that are attached to another VM than their own.
    pub(crate) fn attached_files(&self) -> Result<BTreeSet<String>, Error> {
        let vms = self.load_vms()?;
        let disks = vms.iter().flat_map(|vm| &vm.disks);
        let attached = disks.filter(|disk| disk.attached.is_some());
        let links = attached.flat_map(|disk| &disk.chain);
        Ok(links.map(|link| link.file.clone()).collect())
    }

    /// The new device of the proxy.
    fn device(&self, wanted: Wanted<'_>, slot: &Slot, made: &mut Made) -> Result<Disk, Error> {
        let disk = wanted.disk;
        let mut chain = disk.chain.clone();
        for link in &mut chain {
            link.tracking = None;
        }
        let redo_log = if wanted.write {
            None
        } else {
            let link = self.make_redo_log(wanted.file, made)?;
            let file = link.file.clone();
            chain.push(link);
            Some(file)
        };
        Ok(Disk {
            device_key: slot.device_key,
            label: format!("Hard disk {}", slot.device_key - 1999),
            controller_key: slot.controller_key,
            unit_number: slot.unit_number,
            capacity_bytes: disk.capacity_bytes,
            disk_uuid: disk.disk_uuid.clone(),
            // So the proxy's own snapshots leave it alone.
            mode: if wanted.write {
                "independent_persistent".into()
            } else {
                "independent_nonpersistent".into()
            },
            datastore: disk.datastore.clone(),
            chain,
            change_id: None,
            encrypted: disk.encrypted,
            raw_mapping: false,
            raw_physical: false,
            shared_bus: false,
            provisioning: Provisioning::Thin,
            attached: Some(Attachment {
                source_vm: wanted.source_vm.map(Into::into),
                file: wanted.file.into(),
                redo_log,
                process: std::process::id(),
                state_folder: wanted.state_folder.map(Into::into),
            }),
        })
    }

    /// Makes a redo log over a link, beside it.
    fn make_redo_log(&self, file: &str, made: &mut Made) -> Result<Link, Error> {
        let parent = DatastorePath::parse(file)?;
        let number = random::content_id()?;
        let child = parent.sibling(format!("{}-hotadd-{number}.vmdk", parent.stem()));
        let path = child.under(self.root());
        made.add(&path);
        vmdk::create_child(&parent.under(self.root()), &path).map_err(Error::disk("make", path))?;
        Ok(Link {
            file: child.to_string(),
            content_id: number,
            tracking: None,
        })
    }

    /// Takes an attached device away from the proxy. The redo log goes first: were it left, it
    /// would be nobody's.
    fn take_away(&self, lock: &LabLock, proxy: &mut Vm, device_key: i32) -> Result<(), Error> {
        let gone = || Error::not_found(Kind::Disk, device_key.to_string());
        let redo_log = attachments(proxy)
            .find(|(key, _)| *key == device_key)
            .map(|(_, attachment)| attachment.redo_log.clone())
            .ok_or_else(gone)?;
        if let Some(redo_log) = redo_log {
            remove_if_there(&self.path_of(&redo_log)?)?;
        }
        proxy.disks.retain(|disk| disk.device_key != device_key);
        self.store_vm(lock, proxy)
    }

    /// Says that this process lives.
    fn alive(&self, proxy: &str, device_key: i32) -> Result<File, Error> {
        let path = self.alive_file(proxy, device_key);
        let file = open_lock_file(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(_) => Err(Error::InUse { path }),
        }
    }

    fn alive_file(&self, proxy: &str, device_key: i32) -> PathBuf {
        let name = format!("hotadd-{proxy}-{device_key}");
        self.root().join("holds").join(name)
    }
}

/// The attached devices of a proxy.
fn attachments(proxy: &Vm) -> impl Iterator<Item = (i32, &Attachment)> {
    proxy
        .disks
        .iter()
        .filter_map(|disk| Some((disk.device_key, disk.attached.as_ref()?)))
}

impl Bus {
    /// Can HotAdd attach a disk of this bus?
    fn can_be_hot_added(self) -> bool {
        self == Self::Scsi
    }
}
