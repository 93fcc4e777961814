//! What programs that load VixDiskLib need: a kit, a VM with a snapshot, and the truth about it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lab::{DiskSpec, SiteSpec, SnapshotSpec, VmSpec};

use super::VM;
use crate::demo::compare::compare;
use crate::demo::content::{Content, write_image};
use crate::folder::Folder;
use crate::stage::Stage;
use crate::workspace::Build;

/// A capacity that is no multiple of a grain, nor of a page.
const CAPACITY_BYTES: u64 = (40 << 20) + 3 * 512;
/// Device key of the first disk.
const DISK: i32 = 2000;

/// A lab with one VM, one disk and one snapshot, and a kit to load.
#[derive(Debug)]
pub(super) struct Ground {
    /// The folder everything is in.
    pub(super) folder: Folder,
    /// The lab and its server.
    pub(super) stage: Stage,
    /// Where tools are kept between runs.
    pub(super) tools: PathBuf,
    /// The stand-in library as it was built.
    pub(super) library: PathBuf,
    /// The kit: the folder with `lib64`.
    pub(super) kit: PathBuf,
    /// The VM's id.
    pub(super) vm: String,
    /// The snapshot's id.
    pub(super) snapshot: String,
    /// The disk's file in the snapshot.
    pub(super) disk: String,
    /// The id of another VM, which is off and has no snapshot; its disk holds the same.
    pub(super) resting_vm: String,
    /// The file of that VM's disk.
    pub(super) resting_disk: String,
    /// What the disk must hold in the snapshot. Written with plain file calls only.
    pub(super) truth: PathBuf,
}

impl Ground {
    /// Prepares it all in `tools/ground`.
    ///
    /// # Errors
    ///
    /// When the library cannot be built or the lab cannot be made.
    pub(super) fn prepare(tools: &Path) -> anyhow::Result<Self> {
        let library = Build::packages(&["vixdisklib"])?.shared_library("vixDiskLib")?;
        let folder = Folder::claim(&tools.join("ground"))?;
        let truth = folder.path().join("truth.raw");
        write_image(&truth, CAPACITY_BYTES).context("failed to make an image")?;
        let disk = DiskSpec {
            image: Some(truth.clone()),
            ..DiskSpec::default()
        };
        let spec = VmSpec {
            name: VM.into(),
            disks: vec![disk],
            ..VmSpec::default()
        };
        let stage = Stage::set(folder.path(), SiteSpec::default(), |lab| {
            lab.add_vm(spec).context("failed to add the VM")?;
            Ok(())
        })?;
        let vm = super::moref(&stage)?;
        let mirror = File::options().write(true).open(&truth)?;
        for (offset, data) in writes() {
            stage.lab.guest_write(&vm, DISK, offset, &data)?;
            mirror.write_all_at(&data, offset)?;
        }
        let spec = SnapshotSpec::named("for the clients");
        let snapshot = stage.lab.create_snapshot(&vm, &spec)?;
        // From here on the running disk is another than the frozen one.
        stage.lab.guest_write(&vm, DISK, 0, &vec![0xEE; 64 << 10])?;
        let resting = stage.lab.add_vm(VmSpec {
            name: "resting".into(),
            powered_on: false,
            disks: vec![DiskSpec {
                image: Some(truth.clone()),
                ..DiskSpec::default()
            }],
            ..VmSpec::default()
        })?;
        let resting_disk = file(&resting.disks)?;
        let disk = file(&snapshot.disks)?;
        let kit = stage.lab.install_kit(&library)?;
        Ok(Self {
            folder,
            stage,
            tools: tools.to_path_buf(),
            library,
            kit,
            vm,
            snapshot: snapshot.moref,
            disk,
            resting_vm: resting.moref,
            resting_disk,
            truth,
        })
    }

    /// Compares a file with the truth.
    ///
    /// # Errors
    ///
    /// When a byte differs or the file cannot be read.
    pub(super) fn must_be_true(&self, found: &Path) -> anyhow::Result<()> {
        must_equal(&self.truth, found)
    }

    /// An empty folder for the files of one client.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub(super) fn scratch(&self, name: &str) -> anyhow::Result<PathBuf> {
        let place = self.folder.path().join(name);
        if place.exists() {
            fs::remove_dir_all(&place)?;
        }
        self.folder.subfolder(name)
    }

    /// What the library wrote to the journal since a line. Line 0 is the first.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub(super) fn journal(&self, since: usize) -> anyhow::Result<Vec<lab::Entry>> {
        let mut entries = self.stage.lab.journal().entries()?;
        Ok(entries.split_off(since.min(entries.len())))
    }

    /// Checks that the library was ended as often as it was started since a line of the journal,
    /// and that everything it gave out was freed. Connections and disks may still be open at an
    /// end: a server that is told to stop while a client leaves does not close them first.
    ///
    /// # Errors
    ///
    /// When something was not ended or not freed, naming it.
    pub(super) fn must_be_tidy(&self, since: usize) -> anyhow::Result<()> {
        let entries = self.journal(since)?;
        let calls = |name: &str| entries.iter().filter(|entry| entry.call == name).count();
        let begun = calls("VixDiskLib_Init") + calls("VixDiskLib_InitEx");
        let ended = calls("VixDiskLib_Exit");
        if begun == 0 || begun != ended {
            bail!("the library was started {begun} times and ended {ended} times");
        }
        for end in entries
            .iter()
            .filter(|entry| entry.call == "VixDiskLib_Exit")
        {
            for (what, count) in end.args.as_object().into_iter().flatten() {
                if what.starts_with("unfreed") && count != 0 {
                    bail!("at the end of process {}: {what} {count}", end.pid);
                }
            }
        }
        Ok(())
    }
}

/// The file that the first of some disks ends with.
/// The file that holds the top of the first disk.
pub(crate) fn file(disks: &[lab::Disk]) -> anyhow::Result<String> {
    let link = disks.first().and_then(lab::Disk::top);
    Ok(link.context("there is no disk")?.file.clone())
}

/// Compares two files.
///
/// # Errors
///
/// When a byte differs or one of them cannot be read.
pub(super) fn must_equal(expected: &Path, found: &Path) -> anyhow::Result<()> {
    let verdict = compare(expected, found)?;
    if !verdict.is_identical() {
        bail!("{}: {verdict}", found.display());
    }
    Ok(())
}

/// What the guest writes before the snapshot: here and there, over borders of grains, and the end.
fn writes() -> Vec<(u64, Vec<u8>)> {
    let places = [
        (0, 512),
        (3 << 20, 4096),
        ((4 << 20) - 512, 1024),
        ((13 << 20) + 512, 200 << 10),
        (CAPACITY_BYTES - 512, 512),
    ];
    let noise =
        |(seed, (offset, length)): (u64, (u64, u64))| (offset, Content::new(seed).noise(length));
    (100..).zip(places).map(noise).collect()
}
