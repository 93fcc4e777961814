//! What a login is for: a VM, a disk without one, a folder of a datastore, or the server alone.

use std::fmt;

use crate::Error;

/// What is connected to (VDDK API reference, 2.1 and 6.8).
///
/// Ids are those of the very server that is connected to: a vCenter and an ESXi host name one VM
/// differently.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// The server and no object on it: enough for [`Library::cleanup`](crate::Library::cleanup).
    Server,
    /// A VM by its managed object id, for instance `vm-16`, on ESXi `2`.
    Vm {
        /// The id, without `moref=`.
        moref: String,
    },
    /// A VM by its configuration file, the old form.
    VmPath {
        /// The file on its datastore, `app01/app01.vmx`.
        vmx_path: String,
        /// Inventory path of the datacenter.
        datacenter: String,
        /// Name of the datastore.
        datastore: String,
    },
    /// A disk that is managed by itself, from VDDK 6.7 on.
    FirstClassDisk {
        /// Its id.
        id: String,
        /// Managed object id of its datastore.
        datastore_moref: String,
        /// A snapshot of it.
        snapshot_id: Option<String>,
    },
    /// A folder of a datastore with disks that no VM owns, from VDDK 8.0.1 on. There are no
    /// snapshots and no tracking of changes (VDDK API reference, 4.9).
    DatastoreFolder {
        /// Managed object id of the datastore.
        datastore_moref: String,
        /// The folder.
        folder: String,
    },
}

impl Target {
    /// A VM by its managed object id.
    pub fn vm(moref: impl Into<String>) -> Self {
        Self::Vm {
            moref: moref.into(),
        }
    }

    /// What VDDK calls the `vmxSpec`; only VMs have one.
    pub(crate) fn vmx_spec(&self) -> Option<String> {
        match self {
            Self::Vm { moref } => Some(format!("moref={moref}")),
            Self::VmPath {
                vmx_path,
                datacenter,
                datastore,
            } => Some(format!("{vmx_path}?dcPath={datacenter}&dsName={datastore}")),
            _ => None,
        }
    }

    /// The id or path of the VM; others are none.
    pub(crate) fn vm_name(&self) -> Option<&str> {
        match self {
            Self::Vm { moref } => Some(moref),
            Self::VmPath { vmx_path, .. } => Some(vmx_path),
            _ => None,
        }
    }

    /// Refuses what is empty, or would mean something else to the library.
    pub(crate) fn check(&self) -> Result<(), Error> {
        // What has a meaning in a vmxSpec cannot be part of a name in it.
        let (parts, marks): (Vec<(&str, &str)>, &[char]) = match self {
            Self::Server => (vec![], &[]),
            Self::Vm { moref } => (vec![("VM id", moref)], &['=', '?', '&', '/', ' ']),
            Self::VmPath {
                vmx_path,
                datacenter,
                datastore,
            } => (
                vec![
                    ("VM path", vmx_path),
                    ("datacenter", datacenter),
                    ("datastore", datastore),
                ],
                &['?', '&'],
            ),
            Self::FirstClassDisk {
                id,
                datastore_moref,
                snapshot_id,
            } => {
                let snapshot = snapshot_id.as_deref().map(|id| ("snapshot id", id));
                let disk = [("disk id", id.as_str()), ("datastore id", datastore_moref)];
                (disk.into_iter().chain(snapshot).collect(), &[])
            }
            Self::DatastoreFolder {
                datastore_moref,
                folder,
            } => (
                vec![("datastore id", datastore_moref), ("folder", folder)],
                &[],
            ),
        };
        for (what, text) in parts {
            if text.is_empty() || text.contains(marks) || text.contains(char::is_control) {
                return Err(Error::Argument {
                    what: format!("{text:?} as {what}"),
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("the server"),
            Self::Vm { moref } => f.write_str(moref),
            Self::VmPath { vmx_path, .. } => f.write_str(vmx_path),
            Self::FirstClassDisk { id, .. } => write!(f, "first-class disk {id}"),
            Self::DatastoreFolder {
                datastore_moref,
                folder,
            } => write!(f, "folder {folder} of {datastore_moref}"),
        }
    }
}

/// The name of a disk for people, once it is sure that the library can open it so: a path, or
/// none on a connection for a first-class disk (VDDK API reference, 1.6). No target is for local
/// files.
pub(crate) fn disk_name<'a>(
    target: Option<&'a Target>,
    path: Option<&'a str>,
) -> Result<&'a str, Error> {
    let refused = |what: String| Err(Error::Argument { what });
    match (target, path) {
        (Some(Target::FirstClassDisk { id, .. }), None) => Ok(id),
        (Some(disk @ Target::FirstClassDisk { .. }), Some(path)) => {
            refused(format!("the path {path:?} for {disk}, which has none"))
        }
        (other, None) => refused(format!(
            "opening a first-class disk on a connection to {}",
            other.map_or("local files".to_owned(), ToString::to_string)
        )),
        (_, Some("")) => refused("an empty text as path of a disk".to_owned()),
        (None, Some(path)) if !path.starts_with('/') => refused(format!(
            "{path:?} as path of a local disk: it is not absolute"
        )),
        (_, Some(path)) => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::{Target, disk_name};

    #[test]
    fn a_vm_is_named_in_both_forms() {
        assert_eq!(
            Target::vm("vm-16").vmx_spec().as_deref(),
            Some("moref=vm-16")
        );
        let old = Target::VmPath {
            vmx_path: "MyVm/MyVm.vmx".into(),
            datacenter: "Path/to/DC".into(),
            datastore: "storage 1".into(),
        };
        assert!(old.check().is_ok());
        assert_eq!(
            old.vmx_spec().as_deref(),
            Some("MyVm/MyVm.vmx?dcPath=Path/to/DC&dsName=storage 1")
        );
        assert_eq!(Target::Server.vmx_spec(), None);
    }

    #[test]
    fn what_the_library_would_take_for_something_else_is_refused() {
        let path = |vmx_path: &str, datacenter: &str, datastore: &str| Target::VmPath {
            vmx_path: vmx_path.into(),
            datacenter: datacenter.into(),
            datastore: datastore.into(),
        };
        let disk = |id: &str, datastore: &str, snapshot: Option<&str>| Target::FirstClassDisk {
            id: id.into(),
            datastore_moref: datastore.into(),
            snapshot_id: snapshot.map(str::to_owned),
        };
        for wrong in [
            Target::vm(""),
            Target::vm("moref=vm-16"),
            Target::vm("a/b.vmx?dcPath=x&dsName=y"),
            Target::vm("vm-16\0"),
            path("", "dc", "ds"),
            path("a.vmx", "dc", ""),
            path("a.vmx?b", "dc", "ds"),
            path("a.vmx", "dc&dsName=other", "ds"),
            disk("", "datastore-1", None),
            disk("id", "", None),
            disk("id", "datastore-1", Some("")),
            Target::DatastoreFolder {
                datastore_moref: "datastore-1".into(),
                folder: String::new(),
            },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(disk("id", "datastore-1", Some("s")).check().is_ok());
    }

    #[test]
    fn a_path_and_a_first_class_disk_are_never_mixed_up() {
        let vm = Target::vm("vm-1");
        let disk = Target::FirstClassDisk {
            id: "fcd".into(),
            datastore_moref: "datastore-1".into(),
            snapshot_id: None,
        };
        let name = |target, path| disk_name(target, path).ok();
        assert_eq!(name(Some(&vm), Some("[d] a.vmdk")), Some("[d] a.vmdk"));
        assert_eq!(name(Some(&disk), None), Some("fcd"));
        assert_eq!(name(None, Some("/a.vmdk")), Some("/a.vmdk"));
        for (target, path) in [
            (Some(&disk), Some("[d] a.vmdk")),
            (Some(&vm), None),
            (Some(&vm), Some("")),
            (None, None),
            (None, Some("a.vmdk")),
            (None, Some("")),
        ] {
            assert_eq!(name(target, path), None, "{target:?} {path:?}");
        }
    }
}
