//! Making VMs.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use vmdk::{Adapter, CreateOptions};

use crate::datastore_path::{DatastorePath, check_name};
use crate::image::Image;
use crate::made::Made;
use crate::slot::{MAX_DISKS, Slot};
use crate::state::LabLock;
use crate::time::timestamp;
use crate::{
    Disk, DiskSpec, Error, Folder, FolderKind, Kind, Lab, Link, PowerState, Provisioning,
    Quiescing, Site, Tracking, Vm, VmSpec, random, vmx,
};

/// 62 TiB, the largest disk of a VM.
const MAX_CAPACITY_BYTES: u64 = 62 << 40;
const DISK_MODES: [&str; 6] = [
    "persistent",
    "nonpersistent",
    "undoable",
    "independent_persistent",
    "independent_nonpersistent",
    "append",
];

impl Lab {
    /// Makes a VM with its disks as thin VMFS flat files and copies images in, zeros left out.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`], [`Error::InvalidSpec`], [`Error::AlreadyExists`] for a VM of that
    /// name, [`Error::NotFound`] for an unknown datastore, [`Error::Disk`], [`Error::Io`].
    pub fn add_vm(&self, spec: VmSpec) -> Result<Vm, Error> {
        let lock = self.lock()?;
        let names = self.names()?;
        self.add_named(&lock, &names, spec)
    }

    /// Makes many VMs, as [`Lab::add_vm`] does with one, without reading all others for each.
    /// When one fails, those before it are there.
    ///
    /// # Errors
    ///
    /// As [`Lab::add_vm`].
    pub fn add_vms(&self, specs: impl IntoIterator<Item = VmSpec>) -> Result<usize, Error> {
        let lock = self.lock()?;
        let mut names = self.names()?;
        let mut count = 0;
        for spec in specs {
            let vm = self.add_named(&lock, &names, spec)?;
            names.insert((vm.folder, vm.name), vm.moref);
            count += 1;
        }
        Ok(count)
    }

    /// The VMs by inventory folder and name.
    pub(crate) fn names(&self) -> Result<Names, Error> {
        let vms = self.load_vms()?.into_iter();
        Ok(vms.map(|vm| ((vm.folder, vm.name), vm.moref)).collect())
    }

    fn add_named(&self, lock: &LabLock, names: &Names, mut spec: VmSpec) -> Result<Vm, Error> {
        check_name(&spec.name)?;
        if spec.disks.len() > MAX_DISKS {
            return refuse(
                "disks",
                format!("{} disks, a VM has room for {MAX_DISKS}", spec.disks.len()),
            );
        }
        let mut site = self.load_site()?;
        let moref = format!("vm-{}", site.next_vm);
        site.next_vm += 1;
        let folder = place(&mut site, spec.folder.as_deref())?;
        refuse_taken(names, &folder, &spec.name)?;

        let mut made = Made::default();
        let vmx = self.make_home(&site, &spec, &mut made)?;
        let slots = slots(&spec)?;
        let disks = std::mem::take(&mut spec.disks);
        let mut vm = describe(spec, moref, folder, &vmx, &site)?;
        for (disk, slot) in disks.iter().zip(slots) {
            let disk = self.make_disk(&site, &vm, &slot, disk, &mut made)?;
            vm.disks.push(disk);
        }
        self.write_companions(&vm)?;
        self.store_site(lock, &site)?;
        self.store_vm(lock, &vm)?;
        made.keep();
        Ok(vm)
    }

    /// Makes a disk of a VM, where its specification says, or under the next free name.
    pub(crate) fn make_disk(
        &self,
        site: &Site,
        vm: &Vm,
        slot: &Slot,
        spec: &DiskSpec,
        made: &mut Made,
    ) -> Result<Disk, Error> {
        check_mode(&spec.mode)?;
        let home = DatastorePath::parse(&vm.vmx_path)?;
        let file = if let Some(file) = &spec.file {
            DatastorePath::parse(file)?
        } else {
            let datastore = spec.datastore.as_deref().unwrap_or(&home.datastore);
            self.free_disk_file(&home.on(datastore), vm.disks.len())?
        };
        if site.datastore(&file.datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, &file.datastore));
        }
        let path = file.under(self.root());
        if path.exists() {
            return Err(Error::AlreadyExists {
                kind: Kind::File,
                id: file.to_string(),
            });
        }
        self.make_folder_of(&file, made)?;
        made.add(&path);
        made.add(
            file.sibling(format!("{}-flat.vmdk", file.stem()))
                .under(self.root()),
        );
        let disk_uuid = random::disk_uuid()?;
        let capacity_bytes = make_files(&path, spec, &disk_uuid)?;
        Ok(Disk {
            device_key: slot.device_key,
            label: vm.next_label(),
            controller_key: slot.controller_key,
            unit_number: slot.unit_number,
            capacity_bytes,
            disk_uuid,
            mode: spec.mode.clone(),
            datastore: file.datastore.clone(),
            chain: vec![Link {
                file: file.to_string(),
                content_id: random::content_id()?,
                tracking: None,
            }],
            change_id: None,
            encrypted: spec.encrypted,
            raw_mapping: spec.raw_mapping || spec.raw_physical,
            raw_physical: spec.raw_physical,
            shared_bus: spec.shared_bus,
            provisioning: spec.provisioning,
            attached: None,
        })
    }

    /// The next free name for a disk beside a .vmx file.
    fn free_disk_file(&self, home: &DatastorePath, first: usize) -> Result<DatastorePath, Error> {
        let stem = home.file.strip_suffix(".vmx").unwrap_or(&home.file);
        let mut files =
            (first..=first + MAX_DISKS * 2).map(|index| home.sibling(disk_file(stem, index)));
        let free = files.find(|file| !file.under(self.root()).exists());
        free.map_or_else(|| refuse("disks", "no free file name".into()), Ok)
    }
}

/// The VMs by inventory folder and name.
pub(crate) type Names = HashMap<(String, String), String>;

/// Refuses a name that another VM of the inventory folder has.
pub(crate) fn refuse_taken(names: &Names, folder: &str, name: &str) -> Result<(), Error> {
    match names.get(&(folder.to_owned(), name.to_owned())) {
        None => Ok(()),
        Some(vm) => Err(Error::DuplicateName {
            name: name.into(),
            vm: vm.clone(),
        }),
    }
}

/// Refuses a disk mode that there is not.
pub(crate) fn check_mode(mode: &str) -> Result<(), Error> {
    if DISK_MODES.contains(&mode) {
        return Ok(());
    }
    let known = DISK_MODES.join(", ");
    refuse("disk mode", format!("{mode:?} is none of {known}"))
}

/// Name of the descriptor of a disk.
fn disk_file(vm: &str, index: usize) -> String {
    match index {
        0 => format!("{vm}.vmdk"),
        index => format!("{vm}_{index}.vmdk"),
    }
}

fn refuse<T>(what: &'static str, reason: String) -> Result<T, Error> {
    Err(Error::InvalidSpec { what, reason })
}

/// The slots of the disks of a VM.
fn slots(spec: &VmSpec) -> Result<Vec<Slot>, Error> {
    if let Some(number) = spec.scsi_controllers.iter().find(|number| **number > 3) {
        return refuse(
            "scsi_controllers",
            format!("{number} is not within 0 and 3"),
        );
    }
    let mut taken: Vec<Slot> = Vec::new();
    for disk in &spec.disks {
        let wanted = disk.controller.map(i32::from);
        let free = Slot::all(disk.bus).find(|slot| {
            let number = disk.bus.number(slot.controller_key);
            wanted.is_none_or(|wanted| wanted == number) && !taken.contains(slot)
        });
        match free {
            Some(slot) => taken.push(slot),
            None => return refuse("disk controller", "no free unit there".into()),
        }
    }
    Ok(taken)
}

/// Finds the inventory folder of a moref, or that of a name under the VM folder, which is made when
/// missing. Returns its moref.
fn place(site: &mut Site, name: Option<&str>) -> Result<String, Error> {
    let Some(name) = name else {
        return Ok(Site::VM_FOLDER.into());
    };
    let named = site.folder(name);
    if let Some(folder) = named.filter(|folder| folder.kind() == FolderKind::Vms) {
        return Ok(folder.moref.clone());
    }
    check_name(name)?;
    let there =
        |folder: &&Folder| folder.name == name && folder.parent.as_deref() == Some(Site::VM_FOLDER);
    if let Some(folder) = site.folders.iter().find(there) {
        return Ok(folder.moref.clone());
    }
    let moref = format!("group-v{}", site.next_folder);
    site.next_folder += 1;
    site.folders.push(Folder {
        moref: moref.clone(),
        name: name.into(),
        parent: Some(Site::VM_FOLDER.into()),
    });
    Ok(moref)
}

/// Makes the files of a disk and returns its capacity in bytes.
pub(crate) fn make_files(path: &Path, spec: &DiskSpec, disk_uuid: &str) -> Result<u64, Error> {
    let image = spec.image.as_deref().map(Image::open).transpose()?;
    let image_bytes = image.as_ref().map_or(0, |image| {
        image.sectors().saturating_mul(vmdk::SECTOR_BYTES)
    });
    let capacity_bytes = if spec.capacity_bytes == 0 {
        image_bytes
    } else {
        spec.capacity_bytes
    };
    if capacity_bytes == 0 || capacity_bytes > MAX_CAPACITY_BYTES {
        return refuse(
            "disk capacity",
            format!("{capacity_bytes} bytes is not within 512 and 62 TiB"),
        );
    }
    if !capacity_bytes.is_multiple_of(vmdk::SECTOR_BYTES) {
        return refuse(
            "disk capacity",
            format!("{capacity_bytes} bytes is no multiple of 512"),
        );
    }
    if image_bytes > capacity_bytes {
        return refuse(
            "disk capacity",
            format!("the image has {image_bytes} bytes, the disk {capacity_bytes}"),
        );
    }
    let options = CreateOptions {
        adapter: Adapter::LsiLogic,
        uuid: Some(vmx::ddb_uuid(disk_uuid)),
        thin: spec.provisioning == Provisioning::Thin,
        ..CreateOptions::new(capacity_bytes / vmdk::SECTOR_BYTES)
    };
    let mut disk = vmdk::create_vmfs_flat(path, &options).map_err(Error::disk("make", path))?;
    if let Some(image) = image {
        image.copy_into(&mut disk, path)?;
    }
    Ok(capacity_bytes)
}

/// A new VM without disks.
pub(crate) fn describe(
    spec: VmSpec,
    moref: String,
    folder: String,
    vmx: &DatastorePath,
    site: &Site,
) -> Result<Vm, Error> {
    Ok(Vm {
        moref,
        instance_uuid: random::uuid()?,
        bios_uuid: random::uuid()?,
        hardware_version: spec.hardware_version,
        power_state: if spec.powered_on {
            PowerState::PoweredOn
        } else {
            PowerState::PoweredOff
        },
        host: site.host.moref.clone(),
        folder,
        pool: None,
        vmx_path: vmx.to_string(),
        name: spec.name,
        guest_id: "otherLinux64Guest".into(),
        memory_mib: 2048,
        cpus: 2,
        annotation: spec.annotation,
        change_version: timestamp(),
        change_tracking: Tracking::default(),
        change_tracking_supported: spec.change_tracking_supported,
        disks: Vec::new(),
        scsi_controllers: spec.scsi_controllers,
        extra_config: BTreeMap::new(),
        other_devices: BTreeMap::new(),
        settings: BTreeMap::new(),
        controller_types: BTreeMap::new(),
        snapshots: Vec::new(),
        current_snapshot: None,
        disabled_methods: Vec::new(),
        consolidation_needed: false,
        is_template: spec.is_template,
        quiescing: Quiescing::default(),
        lay_elsewhere: false,
        question: None,
        booted: spec.powered_on.then(timestamp),
    })
}
