//! Disks that are added once the VM is made.

use super::{ConfigSpec, bad};
use crate::vsphere::device::Controller;
use crate::vsphere::error::Error;
use crate::vsphere::xml::Node;

/// A disk that can't be made together with its VM, as it lies on another datastore. It is added
/// by a call of its own ("vSphere API reference, 7.4").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaterDisk {
    change: Node,
    /// Type and bus of its controller, if that is added with the VM.
    controller: Option<(String, i64)>,
}

impl LaterDisk {
    pub(super) fn new(change: Node, controller: Option<(String, i64)>) -> Self {
        Self { change, controller }
    }

    /// The change that adds it to the VM that was made. `controllers` are that VM's: the server
    /// has given them keys of its own.
    ///
    /// # Errors
    ///
    /// [`Error::BadConfig`] if the disk's controller is not among them.
    pub fn spec(&self, controllers: &[Controller]) -> Result<ConfigSpec, Error> {
        let mut change = self.change.clone();
        if let Some((kind, bus)) = &self.controller {
            let is_it =
                |c: &&Controller| c.kind.as_str() == kind && i64::from(c.bus_number) == *bus;
            let controller = controllers.iter().find(is_it);
            let key = controller.map(|controller| controller.key).ok_or_else(|| {
                bad(&format!(
                    "the new VM lacks the controller {kind} of bus {bus}"
                ))
            })?;
            let devices = change.children.iter_mut().filter(|n| n.name == "device");
            let fields = devices.flat_map(|device| device.children.iter_mut());
            for field in fields.filter(|field| field.name == "controllerKey") {
                field.text = key.to_string();
            }
        }
        Ok(ConfigSpec::of(vec![change]))
    }
}
