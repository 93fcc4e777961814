//! The managed object reference: how the server names its objects.

use std::fmt;

/// A reference to an object of the server: its managed type and an opaque id.
///
/// Ids are stable while the object is registered, and mean nothing to another server
/// ("vsphere-api.md" 1.8).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Moref {
    /// The managed type, such as `VirtualMachine`.
    pub kind: String,
    /// The opaque id, such as `vm-1021`; a plain number on a stand-alone host.
    pub id: String,
}

impl Moref {
    /// A reference to the object `id` of the managed type `kind`.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            kind: kind.into(),
            id: id.into(),
        }
    }

    /// A reference to a virtual machine.
    pub fn vm(id: impl Into<String>) -> Self {
        Self::new("VirtualMachine", id)
    }

    /// A reference to a snapshot of a virtual machine.
    pub fn snapshot(id: impl Into<String>) -> Self {
        Self::new("VirtualMachineSnapshot", id)
    }

    /// The only object with a well-known id: where every conversation starts.
    pub(super) fn service_instance() -> Self {
        Self::new("ServiceInstance", "ServiceInstance")
    }
}

impl fmt::Display for Moref {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.id)
    }
}
