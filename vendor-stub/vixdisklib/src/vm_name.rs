//! How a `vmxSpec` names a VM ("VDDK API reference, 6.8").

use lab::{Lab, Vm};
use vddk_sys as sys;

use crate::error::Failure;

/// Keys before the managed object, whatever their case.
const KEYS: [&str; 2] = ["moref", "moid"];

/// The two forms of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum VmName<'a> {
    /// `moref=vm-16`.
    Moref(&'a str),
    /// `MyVm/MyVm.vmx?dcPath=Path/to/Datacenter&dsName=storage1`.
    Path {
        vmx: &'a str,
        datacenter: &'a str,
        datastore: &'a str,
    },
}

impl<'a> VmName<'a> {
    fn parse(vmx_spec: &'a str) -> Option<Self> {
        if let Some((vmx, query)) = vmx_spec.split_once('?') {
            let parts = query.split('&').filter_map(|part| part.split_once('='));
            let value = |key: &str| {
                let mut parts = parts.clone();
                parts.find(|(found, _)| *found == key).map(|part| part.1)
            };
            return Some(Self::Path {
                vmx,
                datacenter: value("dcPath")?,
                datastore: value("dsName")?,
            });
        }
        let (key, value) = vmx_spec.split_once('=')?;
        let known = KEYS.iter().any(|known| key.eq_ignore_ascii_case(known));
        (known && !value.is_empty()).then_some(Self::Moref(value))
    }
}

/// Finds the VM.
///
/// # Errors
///
/// 4000 for what names no VM of the lab.
pub(crate) fn find(lab: &Lab, vmx_spec: &str) -> Result<Vm, Failure> {
    let unknown = || Failure::new(sys::VIX_E_VM_NOT_FOUND, format!("no VM {vmx_spec:?}"));
    match VmName::parse(vmx_spec).ok_or_else(unknown)? {
        VmName::Moref(moref) => lab.vm(moref).map_err(|error| match error {
            // A name that can be no moref is no VM either.
            lab::Error::InvalidName { .. } => unknown(),
            error => error.into(),
        }),
        VmName::Path {
            vmx,
            datacenter,
            datastore,
        } => {
            if datacenter.trim_start_matches('/') != lab.site()?.datacenter.name {
                return Err(unknown());
            }
            let path = format!("[{datastore}] {vmx}");
            let mut vms = lab.vms()?.into_iter();
            vms.find(|vm| vm.vmx_path == path).ok_or_else(unknown)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::VmName;

    #[test]
    fn a_vm_is_named_by_its_moref_or_its_path() {
        for spec in ["moref=vm-16", "moRef=vm-16", "moid=vm-16"] {
            assert_eq!(VmName::parse(spec), Some(VmName::Moref("vm-16")));
        }
        let path = VmName::Path {
            vmx: "a b/a.vmx",
            datacenter: "x/y",
            datastore: "storage 1",
        };
        for query in ["dcPath=x/y&dsName=storage 1", "dsName=storage 1&dcPath=x/y"] {
            assert_eq!(
                VmName::parse(&format!("a b/a.vmx?{query}")),
                Some(path.clone())
            );
        }
        for other in [
            "",
            "vm-16",
            "moref=",
            "name=vm-16",
            "a.vmx?dcPath=x",
            "a.vmx?dsName=y",
        ] {
            assert_eq!(VmName::parse(other), None, "{other}");
        }
    }
}
