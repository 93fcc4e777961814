//! Making VMs.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use vmdk::{Adapter, CreateOptions};

use crate::datastore_path::{DatastorePath, check_name};
use crate::image::Image;
use crate::made::Made;
use crate::slot::{MAX_DISKS, Slot};
use crate::state::LabLock;
use crate::{
    Disk, DiskSpec, Error, Folder, Kind, Lab, Link, PowerState, Site, Tracking, Vm, VmSpec, random,
    vmx,
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
        let names = self.load_vms()?.into_iter().map(|vm| vm.name).collect();
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
        let names = self.load_vms()?.into_iter().map(|vm| vm.name);
        let mut names: HashSet<String> = names.collect();
        let mut count = 0;
        for spec in specs {
            let vm = self.add_named(&lock, &names, spec)?;
            names.insert(vm.name);
            count += 1;
        }
        Ok(count)
    }

    fn add_named(
        &self,
        lock: &LabLock,
        names: &HashSet<String>,
        spec: VmSpec,
    ) -> Result<Vm, Error> {
        check_name(&spec.name)?;
        if spec.disks.len() > MAX_DISKS {
            return refuse(
                "disks",
                format!("{} disks, a VM has room for {MAX_DISKS}", spec.disks.len()),
            );
        }
        let mut site = self.load_site()?;
        if names.contains(&spec.name) {
            return Err(Error::AlreadyExists {
                kind: Kind::Vm,
                id: spec.name,
            });
        }
        let home = home_datastore(&site)?;
        let moref = format!("vm-{}", site.next_vm);
        site.next_vm += 1;
        let folder = place(&mut site, spec.folder.as_deref())?;

        let mut made = Made::default();
        self.make_vm_folder(&home, &spec.name, &mut made)?;
        let disks = spec
            .disks
            .iter()
            .zip(slots(&spec)?)
            .enumerate()
            .map(|(index, (disk, slot))| {
                self.make_disk(&site, &spec.name, index, &slot, disk, &mut made)
            })
            .collect::<Result<_, _>>()?;
        let vm = describe(spec, moref, folder, &home, &site, disks)?;
        self.write_companions(&vm)?;
        self.store_site(lock, &site)?;
        self.store_vm(lock, &vm)?;
        made.keep();
        Ok(vm)
    }

    /// Makes the folder of a VM on a datastore, unless this VM has it already.
    fn make_vm_folder(&self, datastore: &str, name: &str, made: &mut Made) -> Result<(), Error> {
        let path = self.root().join("datastores").join(datastore).join(name);
        if path.exists() {
            return Err(Error::AlreadyExists {
                kind: Kind::Vm,
                id: name.into(),
            });
        }
        made.add(&path);
        fs::create_dir(&path).map_err(Error::io("make folder", path))
    }

    fn make_disk(
        &self,
        site: &Site,
        vm: &str,
        index: usize,
        slot: &Slot,
        spec: &DiskSpec,
        made: &mut Made,
    ) -> Result<Disk, Error> {
        let home = home_datastore(site)?;
        let datastore = spec.datastore.as_deref().unwrap_or(&home);
        if site.datastore(datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, datastore));
        }
        if !DISK_MODES.contains(&spec.mode.as_str()) {
            return refuse(
                "disk mode",
                format!("{:?} is none of {}", spec.mode, DISK_MODES.join(", ")),
            );
        }
        if !self
            .root()
            .join("datastores")
            .join(datastore)
            .join(vm)
            .exists()
        {
            self.make_vm_folder(datastore, vm, made)?;
        }
        let file = DatastorePath::new(datastore, vm, disk_file(vm, index));
        let disk_uuid = random::disk_uuid()?;
        let capacity_bytes = make_files(&file.under(self.root()), spec, &disk_uuid)?;
        Ok(Disk {
            device_key: slot.device_key,
            label: format!("Hard disk {}", index + 1),
            controller_key: slot.controller_key,
            unit_number: slot.unit_number,
            capacity_bytes,
            disk_uuid,
            mode: spec.mode.clone(),
            datastore: datastore.into(),
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

    /// Makes one more disk of a VM, under the next free name.
    pub(crate) fn make_next_disk(
        &self,
        site: &Site,
        vm: &Vm,
        slot: &Slot,
        spec: &DiskSpec,
        made: &mut Made,
    ) -> Result<Disk, Error> {
        let home = DatastorePath::parse(&vm.vmx_path)?;
        let spec = DiskSpec {
            datastore: spec
                .datastore
                .clone()
                .or_else(|| Some(home.datastore.clone())),
            ..spec.clone()
        };
        let folder = home.on(spec.datastore.as_deref().unwrap_or(&home.datastore));
        let free = (0..=MAX_DISKS * 2).find(|index| {
            let file = folder.sibling(disk_file(&home.folder, *index));
            !file.under(self.root()).exists()
        });
        let Some(index) = free else {
            return refuse("disks", "no free file name".into());
        };
        let mut disk = self.make_disk(site, &home.folder, index, slot, &spec, made)?;
        made.add(
            folder
                .sibling(disk_file(&home.folder, index))
                .under(self.root()),
        );
        disk.label = format!("Hard disk {}", vm.disks.len() + 1);
        Ok(disk)
    }

    /// Writes the small files that lie beside the disks of a VM.
    fn write_companions(&self, vm: &Vm) -> Result<(), Error> {
        let vmx = DatastorePath::parse(&vm.vmx_path)?;
        let stem = vmx.file.strip_suffix(".vmx").unwrap_or(&vmx.file);
        let mut files = vec![
            (vmx.clone(), vmx::text(vm).into_bytes()),
            (
                vmx.sibling(format!("{stem}.vmsd")),
                b".encoding = \"UTF-8\"\n".to_vec(),
            ),
        ];
        // A VM that was never on has no NVRAM ("vSphere Web Services API" section 3.5).
        if vm.power_state == PowerState::PoweredOn {
            let nvram = [
                b"MRVN\x01\0\0\0".as_slice(),
                vm.bios_uuid.as_bytes(),
                &[0; 8640],
            ]
            .concat();
            files.push((vmx.sibling(format!("{stem}.nvram")), nvram));
        }
        for (path, content) in files {
            let path = path.under(self.root());
            fs::write(&path, content).map_err(Error::io("write", path))?;
        }
        Ok(())
    }
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

/// The datastore VMs go to.
pub(crate) fn home_datastore(site: &Site) -> Result<String, Error> {
    let first = site
        .datastores
        .first()
        .map(|datastore| datastore.name.clone());
    first.ok_or_else(|| Error::not_found(Kind::Datastore, ""))
}

/// Finds the inventory folder of a name under the VM folder, or makes it. Returns its moref.
fn place(site: &mut Site, name: Option<&str>) -> Result<String, Error> {
    let Some(name) = name else {
        return Ok(Site::VM_FOLDER.into());
    };
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
        thin: true,
        ..CreateOptions::new(capacity_bytes / vmdk::SECTOR_BYTES)
    };
    let mut disk = vmdk::create_vmfs_flat(path, &options).map_err(Error::disk("make", path))?;
    if let Some(image) = image {
        image.copy_into(&mut disk, path)?;
    }
    Ok(capacity_bytes)
}

fn describe(
    spec: VmSpec,
    moref: String,
    folder: String,
    home: &str,
    site: &Site,
    disks: Vec<Disk>,
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
        vmx_path: DatastorePath::new(home, &spec.name, format!("{}.vmx", spec.name)).to_string(),
        name: spec.name,
        guest_id: "otherLinux64Guest".into(),
        memory_mib: 2048,
        cpus: 2,
        annotation: spec.annotation,
        change_version: jiff::Timestamp::now().to_string(),
        change_tracking: Tracking::default(),
        change_tracking_supported: spec.change_tracking_supported,
        disks,
        scsi_controllers: spec.scsi_controllers,
        extra_config: BTreeMap::new(),
        controller_types: BTreeMap::new(),
        snapshots: Vec::new(),
        current_snapshot: None,
        disabled_methods: Vec::new(),
        consolidation_needed: false,
    })
}
