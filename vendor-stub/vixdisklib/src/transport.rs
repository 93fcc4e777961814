//! Which transport a disk gets.

mod hot_add;
mod nbd;
mod san;

use std::ffi::CStr;
use std::path::Path;

use lab::{Lab, Site, Vm};
use vddk_sys as sys;

use crate::config::Config;
use crate::error::Failure;
use crate::lease::Lease;
use crate::log;
use crate::open::Opened;
use crate::va_list::Arg;

/// What the library offers, and its order of preference when the caller names none.
pub(crate) const DEFAULT_LIST: &CStr = c"file:san:hotadd:nbdssl:nbd";

/// The transport of local files.
pub(crate) const FILE: &CStr = c"file";

/// A disk of the lab to open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) lab: &'a Lab,
    /// Whose disk it is.
    pub(crate) owner: Owner<'a>,
    /// Datastore path of the link.
    pub(crate) path: &'a str,
    /// The file behind it.
    pub(crate) file: &'a Path,
    pub(crate) write: bool,
    pub(crate) config: &'a Config,
}

/// Whose disk it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// A VM's.
    Vm(OfVm<'a>),
    /// It is a first-class disk.
    Itself,
    /// Nobody's: it lies on a datastore.
    Nobody,
}

/// The VM of a disk, and the disk's place in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OfVm<'a> {
    pub(crate) site: &'a Site,
    pub(crate) vm: &'a Vm,
    /// The disk, of the running state or of the snapshot.
    pub(crate) disk: &'a lab::Disk,
    /// Which link of its chain, from the base.
    pub(crate) position: usize,
    pub(crate) snapshot: Option<&'a str>,
}

impl Wanted<'_> {
    /// Adds to a lease that a disk is open for writing, if the lab is to hear of it.
    fn with_writing(&self, lease: Lease, disk: &vmdk::Disk) -> Lease {
        match self.owner {
            Owner::Vm(of) if self.write => {
                lease.with_writing(self.lab, &of.vm.moref, self.path, disk)
            }
            _ => lease,
        }
    }

    /// Options for opening the file.
    fn options(&self) -> vmdk::OpenOptions {
        vmdk::OpenOptions {
            write: self.write,
            ..vmdk::OpenOptions::default()
        }
    }

    /// Keeps a file from others.
    fn hold(&self, file: &Path) -> Result<lab::DiskHold, lab::Error> {
        if self.write {
            self.lab.disk_write_lock(file)
        } else {
            self.lab.disk_lock(file)
        }
    }
}

/// The failure of a transport that reaches disks of VMs only.
fn belongs_to_no_vm() -> Failure {
    let message = "the disk belongs to no VM";
    Failure::new(sys::VIX_E_DISK_NODEVICE, message)
}

/// The words of a colon list, lower case; the default list for null and for an empty text.
pub(crate) fn parse(list: Option<&str>) -> Vec<String> {
    let default = DEFAULT_LIST.to_str().unwrap_or_default();
    let list = list.filter(|list| !list.is_empty()).unwrap_or(default);
    let words = list.split(':').filter(|word| !word.is_empty());
    words.map(str::to_ascii_lowercase).collect()
}

/// Opens a disk by the first word that works ("VDDK API reference, 4.1"). Unknown words are
/// skipped, which is one of the two things the documents allow.
///
/// # Errors
///
/// That of the last word tried; `VIX_E_NOT_SUPPORTED` if no word fits a managed disk.
pub(crate) fn open(words: &[String], wanted: &Wanted<'_>) -> Result<Opened, Failure> {
    let mut failure = Failure::new(
        sys::VIX_E_NOT_SUPPORTED,
        format!("no transport for a managed disk in {:?}", words.join(":")),
    );
    for word in words {
        let attempt = match word.as_str() {
            "nbdssl" => nbd::open(wanted, c"nbdssl"),
            "nbd" => nbd::open(wanted, c"nbd"),
            "san" => san::open(wanted),
            "hotadd" => hot_add::open(wanted),
            "file" => continue,
            other => {
                let other = log::c_text(other);
                let args = [Arg::Text(&other)];
                log::info(c"VixDiskLib: transport %s is unknown, skipped\n", &args);
                continue;
            }
        };
        match attempt {
            Ok(opened) => return Ok(opened),
            Err(error) => {
                let (word, message) = (log::c_text(word), log::c_text(&error.message));
                let args = [Arg::Text(&word), Arg::Text(&message)];
                log::info(c"VixDiskLib: transport %s: %s\n", &args);
                failure = error;
            }
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_and_none_is_the_default() {
        assert_eq!(
            parse(Some("SAN:hotadd::NBDSSL")),
            ["san", "hotadd", "nbdssl"]
        );
        for none in [None, Some("")] {
            assert_eq!(parse(none), ["file", "san", "hotadd", "nbdssl", "nbd"]);
        }
    }
}
