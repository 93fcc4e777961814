//! `standin.toml`: which lab the library belongs to and how it behaves.

use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use lab::{Lab, Performance};
use vddk_sys as sys;

use crate::error::Failure;

const FILE_NAME: &str = "standin.toml";

/// Longer files are no settings.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Where an asynchronous request completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Order {
    /// On a thread of the disk, in the order of the requests.
    Thread,
    /// On the calling thread, before the call returns.
    Inline,
    /// On a thread of the disk, in an order of its own.
    Shuffled,
}

/// What the library was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// The lab; `None` = local disks only.
    pub(crate) lab: Option<Lab>,
    /// Where asynchronous requests complete; `None` = for a disk of the lab on its thread, for a
    /// local file inline, as the real library does ("VDDK API reference", 7.2).
    pub(crate) order: Option<Order>,
    /// How fast the hosts are, unless the lab says otherwise.
    pub(crate) performance: Performance,
    /// One journal line for each read and write.
    pub(crate) journal_reads: bool,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    lab: Option<PathBuf>,
    #[serde(rename = "async")]
    order: Option<Order>,
    #[serde(default)]
    performance: Performance,
    #[serde(default)]
    journal_reads: bool,
}

impl Script {
    /// Finds the settings: beside the loaded file or one level up, in `lib_dir`, through the
    /// environment. None of them = local disks only.
    ///
    /// # Errors
    ///
    /// `VIX_E_DISK_SUBSYSTEM_INIT_FAIL` when what was found is no settings file or names no lab.
    pub(crate) fn find(lib_dir: Option<&str>) -> Result<Self, Failure> {
        let mut folders = Vec::new();
        if let Some(file) = own_file() {
            folders.extend(file.ancestors().skip(1).take(2).map(Path::to_owned));
        }
        folders.extend(lib_dir.map(PathBuf::from));
        for folder in folders {
            let file = folder.join(FILE_NAME);
            if file.is_file() {
                return Self::read(&file);
            }
        }
        match std::env::var_os("VDDK_STANDIN_LAB") {
            Some(root) => Self::of_lab(Path::new(&root)),
            None => Ok(Self::default()),
        }
    }

    /// The lab in `root`, with the settings of its kit if it has one.
    fn of_lab(root: &Path) -> Result<Self, Failure> {
        let file = root.join("kit").join(FILE_NAME);
        if file.is_file() {
            return Self::read(&file);
        }
        let lab = Lab::open(root).map_err(|error| unusable(root, &error))?;
        Ok(Self {
            lab: Some(lab),
            ..Self::default()
        })
    }

    fn read(file: &Path) -> Result<Self, Failure> {
        let length = std::fs::metadata(file).map_err(|error| unusable(file, &error))?;
        if length.len() > MAX_FILE_BYTES {
            return Err(unusable(file, &"longer than 64 KiB"));
        }
        let text = std::fs::read_to_string(file).map_err(|error| unusable(file, &error))?;
        let settings: Settings = toml::from_str(&text).map_err(|error| unusable(file, &error))?;
        let lab = match settings.lab {
            None => None,
            Some(lab) => {
                let root = file.parent().unwrap_or(Path::new("")).join(lab);
                Some(Lab::open(&root).map_err(|error| unusable(file, &error))?)
            }
        };
        Ok(Self {
            lab,
            order: settings.order,
            performance: settings.performance,
            journal_reads: settings.journal_reads,
        })
    }
}

fn unusable(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::new(
        sys::VIX_E_DISK_SUBSYSTEM_INIT_FAIL,
        format!("{} is unusable: {why}", path.display()),
    )
}

/// The file this code was loaded from, by the name it was loaded with.
pub(crate) fn own_file() -> Option<PathBuf> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    let here = own_file as fn() -> Option<PathBuf> as *const libc::c_void;
    // SAFETY: `here` is an address in this object, and `info` is writable and large enough.
    if unsafe { libc::dladdr(here, info.as_mut_ptr()) } == 0 {
        return None;
    }
    // SAFETY: all-zero bytes are a valid `Dl_info` (null pointers), whatever `dladdr` filled in.
    let info = unsafe { info.assume_init() };
    if info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: `dladdr` says that the name is a string; it belongs to the loader's entry of this
    // object, which is loaded as long as this code runs.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(OsStr::from_bytes(name.to_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Script, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        std::fs::write(&file, text).unwrap();
        Script::read(&file)
    }

    #[test]
    fn settings_are_read_and_unknown_ones_refused() {
        let script = read("async = \"shuffled\"\njournal_reads = true\n").unwrap();
        assert!(script.lab.is_none());
        assert_eq!(script.order, Some(Order::Shuffled));
        assert!(script.journal_reads);
        let script = read("[performance]\nlatency_us = 1000\n").unwrap();
        assert_eq!((script.order, script.performance.latency_us), (None, 1000));

        for bad in [
            "async = \"never\"",
            "asink = \"inline\"",
            "lab = \"no/lab/here\"",
            "[performance]\nlatency = 1",
            "= =",
        ] {
            let failure = read(bad).unwrap_err();
            assert_eq!(failure.code, sys::VIX_E_DISK_SUBSYSTEM_INIT_FAIL, "{bad}");
            assert!(failure.message.contains(FILE_NAME), "{}", failure.message);
        }
    }

    #[test]
    fn own_file_is_the_file_of_this_code() {
        let file = own_file().unwrap().canonicalize().unwrap();
        let program = std::env::current_exe().unwrap();
        assert_eq!(file, program.canonicalize().unwrap());
    }
}
