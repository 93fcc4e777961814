//! The bench: one small world in a temporary folder.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anyhow::{Context, Result};
use lab::{
    DatastoreKind, DatastoreSpec, DiskChange, DiskSpec, Fault, Lab, SiteSpec, SnapshotSpec,
    VmChange, VmSpec,
};
use tempfile::TempDir;
use vcenter_stub::{Options, VCenter};

use crate::{Calls, Frozen, Outcome, Run, Shadow, Touched, mixed, program, stand_in_library};

/// The VM's name.
pub const VM: &str = "app01";
/// The user of the stand-in vCenter.
pub const USER: &str = "backup@vsphere.local";
/// The user's password; its middle is what a search looks for, whatever escapes the rest.
pub const PASSWORD: &str = "<p&ss'8KqVault\"wörd>";
/// The passphrase of the repository.
pub const PASSPHRASE: &str = "correct 7mZstable battery";

/// How a bench is made.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// Capacity of each disk in bytes.
    pub capacities_bytes: Vec<u64>,
    /// Disks, by their number, that lie on the second datastore.
    pub elsewhere: Vec<u8>,
    /// Greatest number of areas in one answer about changes.
    pub page_extents: usize,
    /// Can changes be tracked?
    pub change_tracking_supported: bool,
    /// What the disks lie on.
    pub datastore: DatastoreKind,
    /// Is the server a bare ESXi host and no vCenter?
    pub bare_host: bool,
    /// How long a task of the server takes, in milliseconds.
    pub task_duration_ms: u64,
}

impl Default for BenchOptions {
    /// Two disks; the second ends three sectors behind a grain.
    fn default() -> Self {
        Self {
            capacities_bytes: vec![24 << 20, (9 << 20) + 3 * 512],
            elsewhere: Vec::new(),
            page_extents: 2000,
            change_tracking_supported: true,
            datastore: DatastoreKind::Vmfs,
            bare_host: false,
            task_duration_ms: 5,
        }
    }
}

/// One small world. Everything it has lies in a temporary folder and goes away with it.
#[derive(Debug)]
pub struct Bench {
    /// The simulated site.
    pub lab: Lab,
    /// The VM's managed object id.
    pub vm: String,
    /// Grains that guest writes touched since a test cleared it.
    pub touched: Touched,
    pub(crate) vcenter: VCenter,
    /// The folder of the library's kit, for `--vddk`.
    pub kit: PathBuf,
    pub(crate) shadow: Shadow,
    /// The disks as they were when the run of a point began.
    pub(crate) points: BTreeMap<String, Frozen>,
    pub(crate) killed: Vec<u32>,
    runs: AtomicU32,
    /// Faults are ordered, which count calls.
    pub(crate) counts_calls: AtomicBool,
    program: &'static Path,
    folder: TempDir,
}

/// A snapshot that somebody made, with the disks as they were.
#[derive(Clone, Debug)]
pub struct UserSnapshot {
    /// Its id.
    pub moref: String,
    frozen: Frozen,
}

impl Bench {
    /// A bench as most tests want it.
    ///
    /// # Errors
    ///
    /// When something cannot be set up.
    pub fn new() -> Result<Self> {
        Self::with(&BenchOptions::default())
    }

    /// A bench of another kind.
    ///
    /// # Errors
    ///
    /// When something cannot be set up.
    pub fn with(options: &BenchOptions) -> Result<Self> {
        let program = program()?;
        let folder = tempfile::tempdir()?;
        let root = folder.path();
        for name in ["home", "images", "output", "restored", "secret", "state"] {
            fs::create_dir(root.join(name))?;
        }
        fs::write(root.join("secret/password"), PASSWORD)?;
        fs::write(root.join("secret/passphrase"), PASSPHRASE)?;
        let lab = Lab::create(&root.join("lab"), site(options))?;
        let kit = lab.install_kit(&stand_in_library()?)?;
        let mut shadow = Shadow::new(root.join("shadow"))?;
        let mut disks = Vec::new();
        for (index, capacity_bytes) in (0_u8..).zip(&options.capacities_bytes) {
            let image = root.join("images").join(index.to_string());
            fs::write(
                &image,
                mixed(u64::from(index), usize::try_from(*capacity_bytes)?),
            )?;
            shadow.follow(2000 + i32::from(index), &image)?;
            disks.push(DiskSpec {
                image: Some(image),
                datastore: options
                    .elsewhere
                    .contains(&index)
                    .then(|| "datastore2".to_owned()),
                ..DiskSpec::default()
            });
        }
        let vm = lab.add_vm(VmSpec {
            name: VM.to_owned(),
            disks,
            change_tracking_supported: options.change_tracking_supported,
            ..VmSpec::default()
        })?;
        let mut server = Options::default();
        server.task_duration_ms = options.task_duration_ms;
        let vcenter = VCenter::start(lab.clone(), server)?;
        Ok(Self {
            lab,
            vm: vm.moref,
            touched: Touched::default(),
            vcenter,
            kit,
            shadow,
            points: BTreeMap::new(),
            killed: Vec::new(),
            runs: AtomicU32::new(0),
            counts_calls: AtomicBool::new(false),
            program,
            folder,
        })
    }

    /// A path in the bench's folder. There are `repository`, `state`, `secret`, `output`, `lab`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The guest writes to a disk; lab and shadow both get it. Offset and length are multiples of
    /// 512 bytes.
    ///
    /// # Errors
    ///
    /// When either refuses.
    pub fn guest_write(&mut self, device_key: i32, offset_bytes: u64, data: &[u8]) -> Result<()> {
        self.lab
            .guest_write(&self.vm, device_key, offset_bytes, data)?;
        self.shadow.write(device_key, offset_bytes, data)?;
        self.touched
            .mark(device_key, offset_bytes, data.len() as u64);
        Ok(())
    }

    /// The guest gives a range up, which then reads as zeros.
    ///
    /// # Errors
    ///
    /// When lab or shadow refuses.
    pub fn guest_unmap(
        &mut self,
        device_key: i32,
        offset_bytes: u64,
        length_bytes: u64,
    ) -> Result<()> {
        self.lab
            .guest_unmap(&self.vm, device_key, offset_bytes, length_bytes)?;
        self.shadow.write(
            device_key,
            offset_bytes,
            &vec![0; usize::try_from(length_bytes)?],
        )?;
        self.touched.mark(device_key, offset_bytes, length_bytes);
        Ok(())
    }

    /// Somebody makes a disk larger.
    ///
    /// # Errors
    ///
    /// When the lab refuses.
    pub fn grow(&mut self, device_key: i32, capacity_bytes: u64) -> Result<()> {
        let disks = vec![DiskChange::Grow {
            device_key,
            capacity_bytes,
        }];
        let change = VmChange {
            disks,
            ..VmChange::default()
        };
        self.lab.reconfigure(&self.vm, change)?;
        self.shadow.grow(device_key, capacity_bytes)
    }

    /// Somebody makes a snapshot of the VM.
    ///
    /// # Errors
    ///
    /// When the lab refuses.
    pub fn take_snapshot(&mut self, name: &str) -> Result<UserSnapshot> {
        let made = self
            .lab
            .create_snapshot(&self.vm, &SnapshotSpec::named(name))?;
        Ok(UserSnapshot {
            moref: made.moref,
            frozen: self.shadow.freeze()?,
        })
    }

    /// The VM is taken back to a snapshot past the vCenter, and the shadow follows.
    ///
    /// # Errors
    ///
    /// When the lab refuses.
    pub fn revert(&mut self, to: &UserSnapshot) -> Result<()> {
        self.lab.revert_to_snapshot(&to.moref)?;
        self.was_reverted(to)
    }

    /// The shadow follows a revert that was made by other means.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn was_reverted(&mut self, to: &UserSnapshot) -> Result<()> {
        self.shadow.go_back(&to.frozen)
    }

    /// The stand-in vCenter.
    pub fn vcenter(&self) -> &VCenter {
        &self.vcenter
    }

    /// The capacity of a disk in bytes.
    ///
    /// # Errors
    ///
    /// When there is no such disk.
    pub fn capacity_bytes(&self, device_key: i32) -> Result<u64> {
        let vm = self.lab.vm(&self.vm)?;
        Ok(vm.disk(device_key).context("no such disk")?.capacity_bytes)
    }

    /// Orders faults, in place of those ordered before. They count calls: while there are any, backups read
    /// one disk after the other, unless a test says otherwise.
    ///
    /// # Errors
    ///
    /// When the lab refuses them.
    pub fn order(&self, faults: &[Fault]) -> Result<()> {
        self.counts_calls
            .store(!faults.is_empty(), Ordering::Relaxed);
        Ok(self.lab.set_faults(faults)?)
    }

    /// Everything the stand-ins were asked so far.
    ///
    /// # Errors
    ///
    /// When the journal cannot be read.
    pub fn calls(&self) -> Result<Calls> {
        Ok(Calls::new(self.lab.journal().entries()?))
    }

    /// Fails the test unless vSphere is as it was before all runs, and no run left a ledger.
    ///
    /// # Errors
    ///
    /// When the lab cannot be read.
    ///
    /// # Panics
    ///
    /// When something is left.
    #[track_caller]
    pub fn assert_put_back(&self) -> Result<()> {
        self.assert_vm_clean()?;
        self.calls()?.assert_ended(&self.killed);
        Ok(())
    }

    /// The part of [`Bench::assert_put_back`] that looks at the VM and the ledgers, not at the calls.
    ///
    /// # Errors
    ///
    /// When the lab cannot be read.
    ///
    /// # Panics
    ///
    /// When something is left.
    pub fn assert_vm_clean(&self) -> Result<()> {
        let vm = self.lab.vm(&self.vm)?;
        assert!(
            vm.snapshots.is_empty(),
            "snapshots are left: {:?}",
            vm.snapshots
        );
        assert!(
            vm.disabled_methods.is_empty(),
            "still disabled: {:?}",
            vm.disabled_methods
        );
        assert!(!vm.consolidation_needed, "links are left");
        let ledgers = self.path("state/ledger");
        if ledgers.exists() {
            assert_eq!(fs::read_dir(ledgers)?.count(), 0, "a ledger is left");
        }
        Ok(())
    }

    /// The processes of the program that were killed.
    pub fn killed(&self) -> &[u32] {
        &self.killed
    }

    /// Runs the program with exactly these arguments.
    ///
    /// # Errors
    ///
    /// When it cannot be started, or hangs.
    pub fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Outcome> {
        self.start(arguments)?.wait()
    }

    /// Starts the program with exactly these arguments. Of the environment it gets `PATH` only,
    /// and a home of its own.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Result<Run> {
        let mut command = Command::new(self.program);
        command.args(arguments);
        self.start_command(command)
    }

    /// As [`Bench::start`], in a shell that runs `before` first, such as a `ulimit`.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_after(&self, before: &str, arguments: &[OsString]) -> Result<Run> {
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{before}; exec \"$0\" \"$@\"")])
            .arg(self.program);
        command.args(arguments);
        self.start_command(command)
    }

    /// Starts any command with the environment that the program gets.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn start_command(&self, mut command: Command) -> Result<Run> {
        command
            .env_clear()
            .env("HOME", self.path("home"))
            // Tests look for a second or so, and not for minutes.
            .env("CBT_BACKUP_ASSUME_BEAT_SECONDS", "0")
            .current_dir(self.path("home"));
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        Run::start(command, &self.path("output").join(format!("run-{number}")))
    }
}

fn site(options: &BenchOptions) -> SiteSpec {
    SiteSpec {
        user: USER.to_owned(),
        password: PASSWORD.to_owned(),
        page_extents: options.page_extents,
        bare_host: options.bare_host,
        ..SiteSpec::default()
    }
    .with_datastores(
        ["datastore1", "datastore2"].map(|name| DatastoreSpec::new(name, options.datastore)),
    )
}
