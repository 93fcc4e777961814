//! `vcenter-stub new`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use lab::{DiskSpec, Lab, SiteSpec, Vm, VmSpec};

use super::size;

/// Make a lab.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vcenter-stub new lab --vm app01 --disk 1G --disk image.raw
  vcenter-stub new large --vms 10000")]
pub(super) struct New {
    /// Folder of the new lab.
    lab: PathBuf,
    /// Name of the VM.
    #[arg(long, value_name = "NAME", required_unless_present = "vms")]
    vm: Option<String>,
    /// A disk: a size such as 256M, or a raw or VMDK image to copy in. May be repeated.
    #[arg(long, value_name = "SIZE|IMAGE", required_unless_present = "vms")]
    disk: Vec<String>,
    /// Make that many VMs, named vm-00001 and on, in folders of a thousand.
    #[arg(long, value_name = "N", conflicts_with = "vm")]
    vms: Option<u32>,
    /// The site is a bare ESXi host, for the library too.
    #[arg(long)]
    esxi: bool,
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let disks: Vec<DiskSpec> = self.disk.iter().map(|text| disk(text)).collect();
        let spec = SiteSpec {
            bare_host: self.esxi,
            ..SiteSpec::default()
        };
        let (user, password) = (spec.user.clone(), spec.password.clone());
        let lab = Lab::create(&self.lab, spec)?;
        let mut out = std::io::stdout().lock();
        if let Some(name) = self.vm {
            let vm = lab.add_vm(VmSpec {
                name,
                disks,
                ..VmSpec::default()
            })?;
            show(&mut out, &vm)?;
        } else {
            let specs = (0..self.vms.unwrap_or_default()).map(|number| VmSpec {
                name: format!("vm-{:05}", number + 1),
                disks: disks.clone(),
                folder: Some(format!("Folder {:02}", number / 1000)),
                ..VmSpec::default()
            });
            let count = lab.add_vms(specs)?;
            writeln!(out, "{count} VMs")?;
        }
        writeln!(out, "user {user} password {password}")?;
        Ok(())
    }
}

fn show(out: &mut impl std::io::Write, vm: &Vm) -> std::io::Result<()> {
    writeln!(out, "{} {}", vm.moref, vm.name)?;
    for disk in &vm.disks {
        let file = disk.top().map_or("", |link| link.file.as_str());
        writeln!(
            out,
            "disk {} {} bytes {file}",
            disk.device_key, disk.capacity_bytes
        )?;
    }
    Ok(())
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
