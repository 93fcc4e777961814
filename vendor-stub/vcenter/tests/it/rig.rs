//! A lab with a server on it.

use lab::{DiskSpec, Lab, SiteSpec, VmSpec};
use tempfile::TempDir;
use vcenter_stub::{Options, VCenter};

use crate::client::Client;

pub(crate) const USER: &str = "backup@vsphere.local";
pub(crate) const PASSWORD: &str = "stand-in";
/// Capacity of the first disk: no multiple of the 64 KiB grain.
pub(crate) const CAPACITY_BYTES: u64 = (16 << 20) + 1536;

/// A lab in a temporary folder and a running server.
pub(crate) struct Rig {
    pub(crate) lab: Lab,
    pub(crate) vcenter: VCenter,
    pub(crate) vm: String,
    _folder: TempDir,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(&["app01"], SiteSpec::default(), 100)
    }

    pub(crate) fn with(names: &[&str], spec: SiteSpec, page_limit: usize) -> Self {
        Self::with_options(names, spec, |options| options.page_limit = page_limit)
    }

    pub(crate) fn with_options(
        names: &[&str],
        spec: SiteSpec,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(&folder.path().join("lab"), spec).unwrap();
        let disk = |capacity_bytes| DiskSpec {
            capacity_bytes,
            ..DiskSpec::default()
        };
        let mut first = None;
        for name in names {
            let vm = lab.add_vm(VmSpec {
                name: (*name).to_owned(),
                disks: vec![disk(CAPACITY_BYTES), disk(8 << 20)],
                ..VmSpec::default()
            });
            first.get_or_insert(vm.unwrap().moref);
        }
        let mut options = Options::default();
        options.task_duration_ms = 8;
        change(&mut options);
        let vcenter = VCenter::start(lab.clone(), options).unwrap();
        Self {
            lab,
            vcenter,
            vm: first.unwrap(),
            _folder: folder,
        }
    }

    /// A client without a session.
    pub(crate) fn stranger(&self) -> Client {
        Client::new(self.vcenter.address(), &self.lab.certificate_pem().unwrap())
    }

    /// A client that is logged in.
    pub(crate) fn client(&self) -> Client {
        let mut client = self.stranger();
        client.login(USER, PASSWORD).unwrap();
        client
    }

    /// The calls of the journal with their results, as `Method ok`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let entries = self.lab.journal().entries().unwrap();
        entries
            .iter()
            .filter(|entry| entry.who == "vcenter")
            .map(|entry| format!("{} {}", entry.call, entry.result.as_str().unwrap()))
            .collect()
    }
}
