//! Opening a disk of a server: what holds for each of them.

use vddk_sys as sys;

use super::{Manner, Opened, of_vm, thumbprint, without_vm};
use crate::connection::{Connection, Object, Target};
use crate::error::Failure;
use crate::log;

/// Opens a disk of what the connection is for: thumbprint, name, state, then the first transport
/// that works.
pub(super) fn open(
    connection: &Connection,
    target: &Target,
    path: &str,
    manner: Manner,
) -> Result<Opened, Failure> {
    if manner.single_link {
        let message = "a single link of a managed disk";
        return Err(Failure::new(
            sys::VIX_E_NOT_SUPPORTED_ON_REMOTE_OBJECT,
            message,
        ));
    }
    thumbprint::check(target)?;
    let (lab, transports) = (&target.lab, &connection.transports);
    let opened = match &target.object {
        Object::Vm { moref, snapshot } => {
            of_vm::open(transports, lab, (moref, snapshot.as_deref()), path, manner)
        }
        Object::FirstClassDisk {
            id,
            datastore_moref,
            snapshot,
        } => {
            let disk = (id.as_str(), datastore_moref.as_str(), snapshot.as_deref());
            without_vm::open_first_class(transports, lab, disk, manner)
        }
        Object::DatastoreFolder { datastore, folder } => {
            without_vm::open_in_folder(transports, lab, (datastore, folder), path, manner)
        }
    }?;
    if manner.compressed && opened.transport != c"nbdssl" {
        log::info(
            c"VixDiskLib: compression is for nbdssl only, and is not used\n",
            &[],
        );
    }
    Ok(opened)
}
