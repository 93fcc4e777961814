//! `vcenter-stub new`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use lab::{DiskSpec, Lab, SiteSpec, VmSpec};

use super::size;

/// Make a lab with one VM.
#[derive(Debug, Args)]
#[command(after_help = "Example: vcenter-stub new lab --vm app01 --disk 1G --disk image.raw")]
pub(super) struct New {
    /// Folder of the new lab.
    lab: PathBuf,
    /// Name of the VM.
    #[arg(long, value_name = "NAME")]
    vm: String,
    /// A disk: a size such as 256M, or a raw or VMDK image to copy in. May be repeated.
    #[arg(long, value_name = "SIZE|IMAGE", required = true)]
    disk: Vec<String>,
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let disks = self.disk.iter().map(|text| disk(text)).collect();
        let spec = SiteSpec::default();
        let (user, password) = (spec.user.clone(), spec.password.clone());
        let lab = Lab::create(&self.lab, spec)?;
        let vm = lab.add_vm(VmSpec {
            name: self.vm,
            disks,
            ..VmSpec::default()
        })?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} {}", vm.moref, vm.name)?;
        for disk in &vm.disks {
            let file = disk.top().map_or("", |link| link.file.as_str());
            writeln!(
                out,
                "disk {} {} bytes {file}",
                disk.device_key, disk.capacity_bytes
            )?;
        }
        writeln!(out, "user {user} password {password}")?;
        Ok(())
    }
}

fn disk(text: &str) -> DiskSpec {
    match size::parse(text) {
        Ok(capacity_bytes) => DiskSpec {
            capacity_bytes,
            ..DiskSpec::default()
        },
        Err(_) => DiskSpec {
            image: Some(PathBuf::from(text)),
            ..DiskSpec::default()
        },
    }
}
