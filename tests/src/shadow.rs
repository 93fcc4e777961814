//! Plain copies of the disks, kept by plain writes: what every restore is compared with.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// How much is compared at a time, in bytes.
const STEP_BYTES: usize = 1 << 20;

/// A file for each disk, by device key. Never read through lab, library or `vmdk`.
#[derive(Debug)]
pub struct Shadow {
    folder: PathBuf,
    disks: BTreeMap<i32, File>,
    frozen: u32,
}

/// The disks as they were at one moment.
#[derive(Clone, Debug)]
pub struct Frozen {
    files: BTreeMap<i32, PathBuf>,
}

impl Shadow {
    /// No disks yet; the files go to `folder`.
    pub(crate) fn new(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            disks: BTreeMap::new(),
            frozen: 0,
        })
    }

    /// Copies a source image: from now on that disk is followed.
    pub(crate) fn follow(&mut self, device_key: i32, image: &Path) -> Result<()> {
        let path = self.live(device_key);
        fs::copy(image, &path).with_context(|| format!("failed to copy {}", image.display()))?;
        self.disks
            .insert(device_key, File::options().write(true).open(path)?);
        Ok(())
    }

    /// Writes as the guest did.
    pub(crate) fn write(&self, device_key: i32, offset_bytes: u64, data: &[u8]) -> Result<()> {
        let file = self
            .disks
            .get(&device_key)
            .with_context(|| format!("no disk {device_key}"))?;
        Ok(file.write_all_at(data, offset_bytes)?)
    }

    /// Copies the disks as they are now.
    pub(crate) fn freeze(&mut self) -> Result<Frozen> {
        self.frozen += 1;
        let mut files = BTreeMap::new();
        for device_key in self.disks.keys() {
            let path = self
                .folder
                .join(format!("{device_key}-at-{}.raw", self.frozen));
            fs::copy(self.live(*device_key), &path)?;
            files.insert(*device_key, path);
        }
        Ok(Frozen { files })
    }

    /// Makes a disk larger; the new part reads as zeros.
    pub(crate) fn grow(&self, device_key: i32, capacity_bytes: u64) -> Result<()> {
        let file = self
            .disks
            .get(&device_key)
            .with_context(|| format!("no disk {device_key}"))?;
        Ok(file.set_len(capacity_bytes)?)
    }

    /// Makes the disks again what they were.
    pub(crate) fn go_back(&self, to: &Frozen) -> Result<()> {
        for (device_key, path) in &to.files {
            fs::copy(path, self.live(*device_key))?;
        }
        Ok(())
    }

    fn live(&self, device_key: i32) -> PathBuf {
        self.folder.join(format!("{device_key}.raw"))
    }
}

impl Frozen {
    /// The disks, by device key.
    pub fn device_keys(&self) -> impl Iterator<Item = i32> {
        self.files.keys().copied()
    }

    /// Compares a restored file with a disk of that moment.
    ///
    /// # Errors
    ///
    /// When a file cannot be read, when lengths differ, and at the first byte that differs.
    pub fn compare(&self, device_key: i32, restored: &Path) -> Result<()> {
        self.compare_but(device_key, restored, &[])
    }

    /// As [`Frozen::compare`], of a disk part of which is lost: zeros must stand there.
    ///
    /// # Errors
    ///
    /// As [`Frozen::compare`].
    pub fn compare_but(&self, device_key: i32, restored: &Path, lost: &[Range<u64>]) -> Result<()> {
        let wanted = self
            .files
            .get(&device_key)
            .with_context(|| format!("no disk {device_key}"))?;
        compare(wanted, restored, lost)
            .with_context(|| format!("disk {device_key} in {}", restored.display()))
    }
}

fn compare(wanted: &Path, found: &Path, lost: &[Range<u64>]) -> Result<()> {
    let (mut wanted, mut found) = (File::open(wanted)?, File::open(found)?);
    let lengths = (wanted.metadata()?.len(), found.metadata()?.len());
    ensure!(
        lengths.0 == lengths.1,
        "{} bytes are expected, {} are there",
        lengths.0,
        lengths.1
    );
    let (mut left, mut right) = (vec![0; STEP_BYTES], vec![0; STEP_BYTES]);
    let mut at = 0;
    while at < lengths.0 {
        let step = usize::try_from(lengths.0 - at)
            .unwrap_or(STEP_BYTES)
            .min(STEP_BYTES);
        wanted.read_exact(&mut left[..step])?;
        let end = at + step as u64;
        for range in lost {
            let (from, to) = (range.start.clamp(at, end), range.end.clamp(at, end));
            left[usize::try_from(from - at)?..usize::try_from(to - at)?].fill(0);
        }
        found.read_exact(&mut right[..step])?;
        if let Some(index) = (0..step).find(|index| left[*index] != right[*index]) {
            let (offset, expected, there) = (at + index as u64, left[index], right[index]);
            bail!("byte {offset} is {there:#04x}, {expected:#04x} is expected");
        }
        at += step as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named_and_a_frozen_copy_stays() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        fs::write(&image, vec![1; STEP_BYTES + 700]).unwrap();
        let mut shadow = Shadow::new(folder.path().join("shadow")).unwrap();
        shadow.follow(2000, &image).unwrap();
        let before = shadow.freeze().unwrap();
        shadow.write(2000, STEP_BYTES as u64 + 9, &[2]).unwrap();
        let after = shadow.freeze().unwrap();

        before.compare(2000, &image).unwrap();
        let error = format!("{:#}", after.compare(2000, &image).unwrap_err());
        assert!(
            error.contains("byte 1048585 is 0x01, 0x02 is expected"),
            "{error}"
        );
        fs::write(&image, [1; 3]).unwrap();
        let error = format!("{:#}", before.compare(2000, &image).unwrap_err());
        assert!(
            error.contains("1049276 bytes are expected, 3 are there"),
            "{error}"
        );
        assert!(before.compare(2001, &image).is_err());
        assert_eq!(before.device_keys().collect::<Vec<_>>(), [2000]);
    }
}
