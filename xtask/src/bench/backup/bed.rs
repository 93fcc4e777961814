//! Where the program is measured: a lab with two VMs, and repositories.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context as _;
use lab::{DiskSpec, Fault, Lab, SiteSpec, VmSpec};
use tempfile::TempDir;

use crate::bench::image::Image;
use crate::bench::process::{Measured, measure};
use crate::stage::{Stage, write_secret};
use crate::workspace::Build;

/// The VM whose disk is the image.
pub(super) const SINGLE: &str = "single";
/// The VM whose disk begins as the image, and is twice as large.
pub(super) const TWICE: &str = "twice";
/// The VM that has the image on as many disks, a part on each.
pub(super) const EIGHT: &str = "eight";
const PARTS: u64 = 8;
pub(super) const DISK: i32 = 2000;
/// Where Linux keeps files in memory.
const MEMORY: &str = "/dev/shm";

pub(super) struct Bed {
    pub(super) folder: PathBuf,
    program: PathBuf,
    pub(super) kit: PathBuf,
    pub(super) stage: Stage,
}

/// A repository, and what opening it takes.
pub(super) struct Place {
    path: PathBuf,
    opening: Measured,
    /// Removed with it.
    _memory: Option<TempDir>,
}

impl Bed {
    pub(super) fn make(folder: &Path, build: &Build, image: &Image) -> anyhow::Result<Self> {
        let larger = folder.join("twice.img");
        let status = Command::new("cp")
            .arg("--sparse=always")
            .args([&image.path, &larger])
            .status()?;
        anyhow::ensure!(status.success(), "cp ended with {status}");
        let file = File::options().write(true).open(&larger)?;
        file.set_len(2 * file.metadata()?.len())?;
        let parts = parts(&image.path, folder)?;
        let disk = |image: &PathBuf| DiskSpec {
            image: Some(image.clone()),
            ..DiskSpec::default()
        };
        let vm = |name: &str, images: &[PathBuf]| VmSpec {
            name: name.to_owned(),
            disks: images.iter().map(disk).collect(),
            ..VmSpec::default()
        };
        let bed = Self::of(folder, build, |lab| {
            lab.add_vm(vm(SINGLE, std::slice::from_ref(&image.path)))?;
            lab.add_vm(vm(TWICE, std::slice::from_ref(&larger)))?;
            lab.add_vm(vm(EIGHT, &parts))?;
            Ok(())
        })?;
        for image in parts.iter().chain([&larger]) {
            fs::remove_file(image)?;
        }
        Ok(bed)
    }

    /// A bed with other VMs.
    pub(super) fn of(
        folder: &Path,
        build: &Build,
        fill: impl FnOnce(&Lab) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let stage = Stage::set(folder, SiteSpec::default(), fill)?;
        let kit = stage
            .lab
            .install_kit(&build.shared_library("vixDiskLib")?)
            .context("failed to install the stand-in library")?;
        write_secret(&folder.join("passphrase"), "for one run of a benchmark")?;
        Ok(Self {
            folder: folder.to_owned(),
            program: build.program("cbt-backup")?,
            kit,
            stage,
        })
    }

    pub(super) fn repository(&self, name: &str) -> anyhow::Result<Place> {
        self.place(self.folder.join(name), None)
    }

    /// A repository in memory, where the machine has so much room there.
    pub(super) fn repository_in_memory(&self, bytes: u64) -> anyhow::Result<Option<Place>> {
        let Some(memory) = folder_in_memory(bytes, "a repository in memory")? else {
            return Ok(None);
        };
        self.place(memory.path().join("repository"), Some(memory))
            .map(Some)
    }

    fn place(&self, path: PathBuf, memory: Option<TempDir>) -> anyhow::Result<Place> {
        let mut place = Place {
            path,
            opening: Measured::default(),
            _memory: memory,
        };
        self.run(&place, &["init".into()])?;
        place.opening = self.run(&place, &["list".into()])?;
        Ok(place)
    }

    /// One backup, without what opening the repository takes: deriving the key above all.
    pub(super) fn back_up(&self, place: &Place, vm: &str) -> anyhow::Result<Measured> {
        self.back_up_with(place, vm, &[])
    }

    /// As [`Bed::back_up`], with more options.
    pub(super) fn back_up_with(
        &self,
        place: &Place,
        vm: &str,
        options: &[&str],
    ) -> anyhow::Result<Measured> {
        let server = [
            ("--server", OsString::from(self.stage.vcenter.url())),
            ("--user", self.stage.user.clone().into()),
            (
                "--password-file",
                self.stage.password_file.clone().into_os_string(),
            ),
            (
                "--thumbprint",
                self.stage.vcenter.thumbprint_sha256().into(),
            ),
            ("--vddk", self.kit.clone().into_os_string()),
            ("--state-dir", self.folder.join("state").into_os_string()),
        ];
        let mut arguments = vec![OsString::from("backup"), vm.into()];
        for (name, value) in server {
            arguments.extend([name.into(), value]);
        }
        arguments.extend(options.iter().map(OsString::from));
        let measured = self.run(place, &arguments)?;
        Ok(measured.without(&place.opening))
    }

    /// The guests of the two VMs that are compared change the same hundredth of their data, each turn otherwise.
    pub(super) fn write(&self, image: &Image, turn: u8) -> anyhow::Result<()> {
        let vms = self.stage.lab.vms()?;
        for vm in vms.iter().filter(|vm| vm.name != EIGHT) {
            for (offset_bytes, data) in image.changes(turn) {
                let lab = &self.stage.lab;
                lab.guest_write(&vm.moref, DISK, offset_bytes, &data)?;
            }
        }
        Ok(())
    }

    /// Lets every read wait so long; `None`: no more.
    pub(super) fn delay_reads(&self, delay_ms: Option<u64>) -> anyhow::Result<()> {
        let slow = delay_ms.map(|delay_ms| Fault {
            call: "VixDiskLib_ReadAsync.callback".to_owned(),
            count: Some(0),
            delay_ms: Some(delay_ms),
            ..Fault::default()
        });
        Ok(self.stage.lab.set_faults(slow.as_slice())?)
    }

    /// Fails when the newest point is not what the guest left: the disk of a VM, and some of its bytes.
    pub(super) fn refuse_other(
        &self,
        place: &Place,
        vm: &str,
        written: impl Iterator<Item = (u64, Vec<u8>)>,
    ) -> anyhow::Result<()> {
        let to = self.folder.join("restored");
        let point = self.newest(place)?;
        let arguments = ["restore", &point, "--to"].map(OsString::from);
        let arguments = [&arguments[..], &[to.clone().into_os_string()]].concat();
        self.run(place, &arguments)?;
        let restored = File::open(to.join(format!("{vm}-disk-{DISK}.raw")))?;
        for (offset_bytes, data) in written {
            let mut found = vec![0; data.len()];
            restored.read_exact_at(&mut found, offset_bytes)?;
            anyhow::ensure!(found == data, "byte {offset_bytes} of {vm} is not restored");
        }
        Ok(fs::remove_dir_all(&to)?)
    }

    fn newest(&self, place: &Place) -> anyhow::Result<String> {
        let output = self
            .command(place, &["list".into(), "--json".into()])
            .output()?;
        let listed: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let points = listed["points"].as_array();
        let newest = points.and_then(|points| points.last()?["point"].as_str());
        Ok(newest.context("the list has no point")?.to_owned())
    }

    fn run(&self, place: &Place, arguments: &[OsString]) -> anyhow::Result<Measured> {
        measure(self.command(place, arguments), Stdio::null())
    }

    fn command(&self, place: &Place, arguments: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .arg("--repo")
            .arg(&place.path)
            .arg("--passphrase-file")
            .arg(self.folder.join("passphrase"));
        // What the user has set for real work must not lead the benchmark astray.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CBT_BACKUP_") {
                command.env_remove(name);
            }
        }
        command
    }
}

/// A folder where files are in memory, with so much room; `None`, said aloud, where there is none.
pub(super) fn folder_in_memory(bytes: u64, what: &str) -> anyhow::Result<Option<TempDir>> {
    let room = Command::new("df")
        .args(["--output=avail", "-B1", MEMORY])
        .stderr(Stdio::null())
        .output()?;
    let text = String::from_utf8_lossy(&room.stdout);
    let free = text
        .split_whitespace()
        .last()
        .and_then(|word| word.parse::<u64>().ok());
    if free.is_none_or(|free| free < bytes) {
        crate::output::skipped(&format!("{what} (too little room in {MEMORY})"));
        return Ok(None);
    }
    Ok(Some(TempDir::new_in(MEMORY)?))
}

/// The image in equal parts.
fn parts(image: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let bytes = fs::metadata(image)?.len() / PARTS;
    let part = |number: u64| {
        let path = folder.join(format!("part-{number}.img"));
        let status = Command::new("dd")
            .arg(format!("if={}", image.display()))
            .arg(format!("of={}", path.display()))
            .arg(format!("bs={bytes}"))
            .arg(format!("skip={number}"))
            .args(["count=1", "conv=sparse", "status=none"])
            .status()?;
        anyhow::ensure!(status.success(), "dd ended with {status}");
        // It may end with a hole.
        File::options().write(true).open(&path)?.set_len(bytes)?;
        Ok(path)
    };
    (0..PARTS).map(part).collect()
}
