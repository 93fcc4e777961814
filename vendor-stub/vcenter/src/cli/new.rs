//! `vcenter-stub new`.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use lab::{Bus, DatastoreKind, DatastoreSpec, DiskSpec, Lab, Provisioning, SiteSpec, Vm, VmSpec};

use super::size;

/// Make a lab.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  vcenter-stub new lab --vm app01 --disk 1G --disk image.raw
  vcenter-stub new lab --datastore fast:vmfs:5 --datastore share:nfs --vm app01 --disk 1G,eager,nvme,on=share
  vcenter-stub new large --vms 10000")]
pub(super) struct New {
    /// Folder of the new lab.
    lab: PathBuf,
    /// Name of the VM.
    #[arg(long, value_name = "NAME", required_unless_present = "vms")]
    vm: Option<String>,
    /// A disk: a size such as 256M, or a raw or VMDK image to copy in. May be repeated.
    ///
    /// Words may follow, divided by commas: thin, lazy, eager or cloned for its space; scsi, ide,
    /// sata or nvme for its controller; rdm or prdm for a raw device mapping, virtual or physical;
    /// encrypted; independent, to be left out of snapshots; on=NAME for its datastore.
    #[arg(long, value_name = "SIZE|IMAGE", required_unless_present = "vms")]
    disk: Vec<String>,
    /// A datastore: its name and its kind, vmfs, nfs, vsan, local or vvol. Of a VMFS a version may
    /// follow, and the size of its blocks in MiB. May be repeated; VMs go to the first.
    #[arg(long, value_name = "NAME:KIND[:VERSION[:MIB]]")]
    datastore: Vec<String>,
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
        let mut spec = SiteSpec {
            bare_host: self.esxi,
            ..SiteSpec::default()
        };
        if !self.datastore.is_empty() {
            let datastores = self.datastore.iter().map(|text| datastore(text));
            spec.datastores = datastores.collect::<anyhow::Result<_>>()?;
        }
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

/// A disk. What follows the last comma is part of the name of an image, unless it is a known word.
fn disk(text: &str) -> DiskSpec {
    if let Some((rest, word)) = text.rsplit_once(',') {
        let mut spec = disk(rest);
        if apply(&mut spec, word) {
            return spec;
        }
    }
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

/// Lets a word count for a disk. Tells whether it is a known one.
fn apply(spec: &mut DiskSpec, word: &str) -> bool {
    match word {
        "thin" => spec.provisioning = Provisioning::Thin,
        "lazy" => spec.provisioning = Provisioning::LazyThick,
        "eager" => spec.provisioning = Provisioning::EagerThick,
        "cloned" => spec.provisioning = Provisioning::ClonedThick,
        "scsi" => spec.bus = Bus::Scsi,
        "ide" => spec.bus = Bus::Ide,
        "sata" => spec.bus = Bus::Sata,
        "nvme" => spec.bus = Bus::Nvme,
        "rdm" => spec.raw_mapping = true,
        "prdm" => spec.raw_physical = true,
        "encrypted" => spec.encrypted = true,
        "independent" => spec.mode = "independent_persistent".into(),
        _ => match word.strip_prefix("on=") {
            Some(name) => spec.datastore = Some(name.to_owned()),
            None => return false,
        },
    }
    true
}

fn datastore(text: &str) -> anyhow::Result<DatastoreSpec> {
    let wrong = || format!("{text:?} is no NAME:KIND[:VERSION[:MIB]]");
    let mut parts = text.split(':');
    let name = parts.next().filter(|name| !name.is_empty());
    let name = name.with_context(wrong)?;
    let kind = match parts.next() {
        Some("vmfs") => DatastoreKind::Vmfs,
        Some("nfs") => DatastoreKind::Nfs,
        Some("vsan") => DatastoreKind::Vsan,
        Some("local") => DatastoreKind::Local,
        Some("vvol") => DatastoreKind::Vvol,
        _ => bail!(wrong()),
    };
    let spec = DatastoreSpec::new(name, kind);
    let numbers: Vec<u8> = parts
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(wrong)?;
    match numbers[..] {
        [] => Ok(spec),
        [version] => Ok(spec.formatted(version, 1)),
        [version, block_mib] => Ok(spec.formatted(version, block_mib)),
        _ => bail!(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_behind_a_disk_say_what_it_is() {
        let found = disk("1M,eager,nvme,encrypted,on=share");
        assert_eq!((found.capacity_bytes, found.image), (1 << 20, None));
        assert_eq!(
            (found.provisioning, found.bus),
            (Provisioning::EagerThick, Bus::Nvme)
        );
        assert!(found.encrypted && found.datastore.as_deref() == Some("share"));
        let found = disk("2M,prdm,independent");
        assert!(found.raw_physical && found.mode == "independent_persistent");
        // An image may have commas in its name.
        let found = disk("a,b.raw,sata");
        assert_eq!(found.image, Some(PathBuf::from("a,b.raw")));
        assert_eq!(found.bus, Bus::Sata);
        assert_eq!(disk("1M,nosuch").image, Some(PathBuf::from("1M,nosuch")));
    }

    #[test]
    fn datastores_have_kinds_and_formats() {
        let found = datastore("old:vmfs:3:8").unwrap();
        assert_eq!(
            (found.name.as_str(), found.kind),
            ("old", DatastoreKind::Vmfs)
        );
        assert_eq!(
            found.vmfs.map(|vmfs| (vmfs.version, vmfs.block_mib)),
            Some((3, 8))
        );
        assert_eq!(datastore("x:nfs").unwrap().kind, DatastoreKind::Nfs);
        for wrong in ["x", ":nfs", "x:ext4", "x:vmfs:six", "x:vmfs:3:8:1"] {
            assert!(datastore(wrong).is_err(), "{wrong}");
        }
    }
}
