//! Disks on datastores, made and changed for themselves and not as part of a VM.

use std::path::{Path, PathBuf};

use vmdk::{CreateOptions, OpenOptions};

use crate::datastore_path::DatastorePath;
use crate::existing_disk::disk_uuid;
use crate::growth::{check_growth, grow_files};
use crate::made::Made;
use crate::provision::make_files;
use crate::{Disk, DiskSpec, Error, Kind, Lab, PowerState, random};

impl Lab {
    /// Makes a disk that belongs to no VM. Its folder exists.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a datastore or folder and for what is no datastore path,
    /// [`Error::AlreadyExists`], [`Error::InvalidSpec`], [`Error::Disk`], [`Error::Io`].
    pub fn create_virtual_disk(&self, path: &str, spec: &DiskSpec) -> Result<(), Error> {
        let _lock = self.lock()?;
        let (place, file) = self.new_disk(path)?;
        let mut made = Made::default();
        made.add(&file);
        made.add(
            place
                .sibling(format!("{}-flat.vmdk", place.stem()))
                .under(self.root()),
        );
        make_files(&file, spec, &random::disk_uuid()?)?;
        made.keep();
        Ok(())
    }

    /// Deletes a disk with all its files.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Locked`] while somebody has it open or a running VM writes to
    /// it, [`Error::Disk`].
    pub fn delete_virtual_disk(&self, path: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let file = self.idle_disk(path)?;
        vmdk::unlink(&file).map_err(Error::disk("delete", &file))?;
        self.forget_hold(&file)
    }

    /// Makes a disk larger.
    ///
    /// # Errors
    ///
    /// As [`Lab::delete_virtual_disk`]; [`Error::InvalidSpec`] for a capacity it cannot grow to.
    pub fn extend_virtual_disk(&self, path: &str, capacity_bytes: u64) -> Result<(), Error> {
        let _lock = self.lock()?;
        let file = self.idle_disk(path)?;
        let disk = open(&file, false)?;
        check_growth(disk.capacity_sectors() * vmdk::SECTOR_BYTES, capacity_bytes)?;
        let mut made = Made::default();
        grow_files(&file, capacity_bytes, &mut made)?;
        made.keep();
        Ok(())
    }

    /// Moves a disk with all its files. With `force` it takes the place of another.
    ///
    /// # Errors
    ///
    /// As [`Lab::delete_virtual_disk`], for both places; [`Error::AlreadyExists`] without `force`.
    pub fn move_virtual_disk(&self, from: &str, to: &str, force: bool) -> Result<(), Error> {
        let _lock = self.lock()?;
        let file = self.idle_disk(from)?;
        let target = self.target(to, force)?;
        vmdk::rename(&file, &target).map_err(Error::disk("move", &file))
    }

    /// Copies what a disk holds, all its links together. With `force` the copy takes the place of
    /// another disk.
    ///
    /// # Errors
    ///
    /// As [`Lab::move_virtual_disk`].
    pub fn copy_virtual_disk(&self, from: &str, to: &str, force: bool) -> Result<(), Error> {
        let _lock = self.lock()?;
        let file = self.idle_disk(from)?;
        let target = self.target(to, force)?;
        let source = open(&file, false)?;
        let options = CreateOptions {
            uuid: Some(crate::vmx::ddb_uuid(&random::disk_uuid()?)),
            thin: source.descriptor().ddb("thinProvisioned") == Some("1"),
            ..CreateOptions::new(source.capacity_sectors())
        };
        vmdk::copy(
            &source,
            &target,
            vmdk::DiskKind::VmfsFlat,
            &options,
            &mut |_, _| {},
        )
        .map(drop)
        .map_err(Error::disk("copy", &file))
    }

    /// The UUID of a disk, as in `backing.uuid`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a disk, [`Error::Disk`].
    pub fn virtual_disk_uuid(&self, path: &str) -> Result<Option<String>, Error> {
        let disk = open(&self.disk_file(path)?, false)?;
        Ok(disk.descriptor().ddb("uuid").and_then(disk_uuid))
    }

    /// Gives a disk another UUID, in any form that has its 32 digits.
    ///
    /// # Errors
    ///
    /// As [`Lab::delete_virtual_disk`]; [`Error::InvalidSpec`] for what is no UUID.
    pub fn set_virtual_disk_uuid(&self, path: &str, uuid: &str) -> Result<(), Error> {
        let _lock = self.lock()?;
        let uuid = disk_uuid(uuid).ok_or_else(|| Error::InvalidSpec {
            what: "uuid",
            reason: format!("{uuid:?} has not 32 digits"),
        })?;
        let file = self.idle_disk(path)?;
        open(&file, true)?
            .set_metadata("uuid", &crate::vmx::ddb_uuid(&uuid))
            .map_err(Error::disk("write to", &file))
    }

    /// What a disk holds, all its links together, as a stream-optimised VMDK of that name; `None` if
    /// it could take more bytes than that.
    ///
    /// # Errors
    ///
    /// [`Error::Disk`] when it cannot be read.
    pub fn disk_as_stream(
        &self,
        descriptor: &Path,
        name: &str,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let disk = open(descriptor, false)?;
        let failed = |error| Error::disk("read", descriptor)(error);
        let needed = disk
            .space_needed_bytes(vmdk::DiskKind::StreamOptimized)
            .map_err(failed)?;
        if needed > max_bytes {
            return Ok(None);
        }
        let options = CreateOptions::new(disk.capacity_sectors());
        disk.write_stream(Vec::new(), name, &options, &mut |_, _| {})
            .map(Some)
            .map_err(failed)
    }

    /// The file of a disk that exists.
    fn disk_file(&self, path: &str) -> Result<PathBuf, Error> {
        let place = DatastorePath::parse(path)?;
        if self.load_site()?.datastore(&place.datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, &place.datastore));
        }
        let file = place.under(self.root());
        if file.is_file() {
            Ok(file)
        } else {
            Err(Error::not_found(Kind::File, path))
        }
    }

    /// The file of a disk that nobody uses.
    fn idle_disk(&self, path: &str) -> Result<PathBuf, Error> {
        let file = self.disk_file(path)?;
        let locked = || Error::Locked { file: path.into() };
        for vm in self.load_vms()? {
            let runs = vm.power_state == PowerState::PoweredOn;
            let mut tops = vm.disks.iter().filter_map(Disk::top);
            if runs && tops.any(|link| link.file == path) {
                return Err(locked());
            }
        }
        match self.try_merging(&file)? {
            Some(_) => Ok(file),
            None => Err(locked()),
        }
    }

    /// The file of a disk that is not there, in a folder that is.
    fn new_disk(&self, path: &str) -> Result<(DatastorePath, PathBuf), Error> {
        let place = DatastorePath::parse(path)?;
        if self.load_site()?.datastore(&place.datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, &place.datastore));
        }
        let file = place.under(self.root());
        if place.file.strip_suffix(".vmdk").is_none() || !file.parent().is_some_and(Path::is_dir) {
            return Err(Error::not_found(Kind::File, path));
        }
        if file.exists() {
            return Err(Error::AlreadyExists {
                kind: Kind::File,
                id: path.into(),
            });
        }
        Ok((place, file))
    }

    /// The file for a disk that may take the place of another.
    fn target(&self, path: &str, force: bool) -> Result<PathBuf, Error> {
        match self.new_disk(path) {
            Err(Error::AlreadyExists { .. }) if force => {
                let file = self.idle_disk(path)?;
                vmdk::unlink(&file).map_err(Error::disk("delete", &file))?;
                Ok(file)
            }
            other => other.map(|(_, file)| file),
        }
    }
}

fn open(file: &Path, write: bool) -> Result<vmdk::Disk, Error> {
    let options = OpenOptions {
        write,
        ..OpenOptions::default()
    };
    vmdk::Disk::open(file, options).map_err(Error::disk("open", file))
}
