//! What the guest of a VM does to its disks.

use vmdk::OpenOptions;

use crate::{Error, Kind, Lab, random};

impl Lab {
    /// The guest writes to a disk. Offset and length are multiples of 512. The grains are marked
    /// before the data are written. The power state is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Unaligned`], [`Error::OutOfRange`], [`Error::Disk`].
    pub fn guest_write(
        &self,
        vm: &str,
        device_key: i32,
        offset_bytes: u64,
        data: &[u8],
    ) -> Result<(), Error> {
        self.change_disk(vm, device_key, offset_bytes, data.len() as u64, |disk| {
            disk.write_at(offset_bytes / vmdk::SECTOR_BYTES, data)
        })
    }

    /// The guest gives up a range of a disk, which then reads as zeros. It counts as changed.
    ///
    /// # Errors
    ///
    /// As [`Lab::guest_write`].
    pub fn guest_unmap(
        &self,
        vm: &str,
        device_key: i32,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<(), Error> {
        self.change_disk(vm, device_key, offset_bytes, length_bytes, |disk| {
            disk.unmap(
                offset_bytes / vmdk::SECTOR_BYTES,
                length_bytes / vmdk::SECTOR_BYTES,
            )
        })
    }

    fn change_disk(
        &self,
        vm: &str,
        device_key: i32,
        offset_bytes: u64,
        length_bytes: u64,
        change: impl FnOnce(&mut vmdk::Disk) -> Result<(), vmdk::Error>,
    ) -> Result<(), Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(vm)?;
        let disk = vm
            .disks
            .iter_mut()
            .find(|disk| disk.device_key == device_key)
            .ok_or_else(|| Error::not_found(Kind::Disk, device_key.to_string()))?;
        check_range(offset_bytes, length_bytes, disk.capacity_bytes)?;
        self.mark_written(disk, offset_bytes, length_bytes)?;
        let link = disk
            .chain
            .last_mut()
            .ok_or_else(|| Error::not_found(Kind::Disk, device_key.to_string()))?;
        link.content_id = random::content_id()?;
        let descriptor = self.path_of(&link.file)?;
        self.store_vm(&lock, &vm)?;

        let options = OpenOptions {
            write: true,
            ..OpenOptions::default()
        };
        vmdk::Disk::open(&descriptor, options)
            .and_then(|mut disk| change(&mut disk))
            .map_err(Error::disk("write to", descriptor))
    }
}

/// Refuses what is no part of a disk, or no whole sectors.
pub(crate) fn check_range(
    offset_bytes: u64,
    length_bytes: u64,
    capacity_bytes: u64,
) -> Result<(), Error> {
    if !(offset_bytes | length_bytes).is_multiple_of(vmdk::SECTOR_BYTES) {
        return Err(Error::Unaligned {
            offset_bytes,
            length_bytes,
        });
    }
    match offset_bytes.checked_add(length_bytes) {
        Some(end) if end <= capacity_bytes => Ok(()),
        _ => Err(Error::OutOfRange {
            offset_bytes,
            length_bytes,
            capacity_bytes,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_checked_without_overflow() {
        assert!(check_range(512, 512, 1024).is_ok());
        assert!(check_range(1024, 0, 1024).is_ok());
        assert!(matches!(
            check_range(1, 512, 1024),
            Err(Error::Unaligned { .. })
        ));
        assert!(matches!(
            check_range(0, 100, 1024),
            Err(Error::Unaligned { .. })
        ));
        for (offset, length) in [(512, 1024), (1536, 0), (u64::MAX - 511, 512)] {
            assert!(matches!(
                check_range(offset, length, 1024),
                Err(Error::OutOfRange { .. })
            ));
        }
    }
}
