//! The state files and the lock over them.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Kind, Lab, Site, Vm};

/// The lock of a lab, held until dropped or until the process ends.
#[derive(Debug)]
pub(crate) struct LabLock {
    /// The open file that carries the lock.
    _file: File,
}

/// Opens a lock file, making it when missing.
pub(crate) fn open_lock_file(path: &Path) -> Result<File, Error> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(Error::io("open", path))
}

/// Replaces a file by one of another content, so that a reader sees the old or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(content))
        .map_err(Error::io("write", &temporary))
        .and_then(|()| fs::rename(&temporary, path).map_err(Error::io("replace", path)));
    if written.is_err() {
        // The first error is the one worth telling.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Reads a file; `None` when there is none.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// Removes a file; no error when there is none.
pub(crate) fn remove_if_there(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    read_if_there(path)?
        .map(|content| {
            serde_json::from_slice(&content).map_err(|source| Error::Json {
                path: path.into(),
                source,
            })
        })
        .transpose()
}

/// Replaces a file by a value in JSON.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let mut content = serde_json::to_vec_pretty(value).map_err(|source| Error::Json {
        path: path.into(),
        source,
    })?;
    content.push(b'\n');
    replace(path, &content)
}

/// The number in a moref such as `vm-1021`; `None` for any other text, so that no text from
/// outside becomes part of a file name.
pub(crate) fn number_of(moref: &str) -> Option<u32> {
    let digits = moref.strip_prefix("vm-")?;
    let plain = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

impl Lab {
    /// Takes the lock for a change.
    pub(crate) fn lock(&self) -> Result<LabLock, Error> {
        let path = self.root().join("lock");
        let file = open_lock_file(&path)?;
        file.lock().map_err(Error::io("lock", path))?;
        Ok(LabLock { _file: file })
    }

    /// Takes the lock for a look at several files that belong together.
    pub(crate) fn lock_shared(&self) -> Result<LabLock, Error> {
        let path = self.root().join("lock");
        let file = open_lock_file(&path)?;
        file.lock_shared().map_err(Error::io("lock", path))?;
        Ok(LabLock { _file: file })
    }

    pub(crate) fn load_site(&self) -> Result<Site, Error> {
        let path = self.root().join("site.json");
        read_json(&path)?
            .ok_or_else(|| Error::not_found(Kind::Lab, self.root().display().to_string()))
    }

    /// Stores the site. The lock is the caller's proof that nobody else changes it.
    pub(crate) fn store_site(&self, _lock: &LabLock, site: &Site) -> Result<(), Error> {
        write_json(&self.root().join("site.json"), site)
    }

    pub(crate) fn load_vm(&self, moref: &str) -> Result<Vm, Error> {
        let not_found = || Error::not_found(Kind::Vm, moref);
        let mut name = Cow::Borrowed(moref);
        // An ESXi host calls its VMs by numbers.
        let is_number = moref.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && self.load_site()?.bare_host {
            name = Cow::Owned(format!("vm-{moref}"));
        }
        number_of(&name).ok_or_else(not_found)?;
        read_json(&self.vm_file(&name))?.ok_or_else(not_found)
    }

    /// Stores a VM. The lock is the caller's proof that nobody else changes it.
    pub(crate) fn store_vm(&self, _lock: &LabLock, vm: &Vm) -> Result<(), Error> {
        write_json(&self.vm_file(&vm.moref), vm)
    }

    /// All VMs, ordered by the number in their moref.
    pub(crate) fn load_vms(&self) -> Result<Vec<Vm>, Error> {
        let folder = self.root().join("vm");
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&folder).map_err(Error::io("list", &folder))? {
            let name = entry.map_err(Error::io("list", &folder))?.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
            numbers.extend(stem.and_then(number_of));
        }
        numbers.sort_unstable();
        numbers
            .iter()
            .map(|number| self.load_vm(&format!("vm-{number}")))
            .collect()
    }

    pub(crate) fn vm_file(&self, moref: &str) -> PathBuf {
        self.root().join("vm").join(format!("{moref}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_morefs_become_file_names() {
        assert_eq!(number_of("vm-1021"), Some(1021));
        for moref in [
            "",
            "vm-",
            "vm-01",
            "vm-+1",
            "vm-../x",
            "../site",
            "vm-99999999999",
            "snapshot-1",
        ] {
            assert_eq!(number_of(moref), None, "{moref}");
        }
    }

    #[test]
    fn replacing_keeps_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        replace(&path, b"1").unwrap();
        replace(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
