//! A site with one VM, and the stand-in library that reads from it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lab::{DiskSpec, Fault, KitSpec, Lab, SiteSpec, SnapshotSpec, VmSpec};
use vddk::{ConnectOptions, ConnectParams, Library, LibraryOptions, Secret};

/// Bytes of the one disk: no multiple of 64 KiB.
pub(crate) const DISK_BYTES: u64 = 5 * 1024 * 1024 + 1536;

/// Runs a test in a process of its own: starts this very binary again for that one test.
pub(crate) fn in_own_process(name: &str, test: impl FnOnce()) {
    if std::env::var_os("IN_OWN_PROCESS").is_some() {
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("IN_OWN_PROCESS", "1")
        // What a thread's cache keeps counts as allocated, and fills up slowly.
        .env("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name} failed: {text}\n{errors}");
    assert!(
        text.contains("1 passed"),
        "no test is called {name}: {text}"
    );
}

/// An example of this package: cargo puts it beside the folder of this test.
pub(crate) fn example_program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().with_file_name("examples").join(name);
    assert!(
        program.is_file(),
        "{} is not built: `cargo test -p vddk` without a filter does it, and so does \
         `cargo build -p vddk --examples`",
        program.display()
    );
    program
}

/// The site. Everything goes away with it.
pub(crate) struct Kit {
    folder: tempfile::TempDir,
    pub(crate) lab: Lab,
    pub(crate) image: Vec<u8>,
    pub(crate) vm: String,
    installed: PathBuf,
}

impl Kit {
    /// A VM with one disk, half of it data and half of it hole, and change tracking on.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut image = vec![0_u8; DISK_BYTES as usize];
        for (index, byte) in image.iter_mut().enumerate().take(3 * 1024 * 1024 + 700) {
            *byte = (index / 512) as u8 ^ (index % 251) as u8;
        }
        let last = image.len() - 1;
        image[last] = 0xEE;
        let raw = folder.path().join("disk.raw");
        fs::write(&raw, &image).unwrap();
        let lab = Lab::create(&folder.path().join("lab"), SiteSpec::default()).unwrap();
        let library = std::env::current_exe()
            .unwrap()
            .with_file_name("libvixDiskLib.so");
        let installed = lab.install_kit(&library).unwrap();
        let disk = DiskSpec {
            capacity_bytes: DISK_BYTES,
            image: Some(raw),
            ..DiskSpec::default()
        };
        let vm = lab
            .add_vm(VmSpec {
                name: "app01".to_owned(),
                disks: vec![disk],
                powered_on: true,
                ..VmSpec::default()
            })
            .unwrap();
        Self {
            folder,
            lab,
            image,
            vm: vm.moref,
            installed,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where the kit with the library is.
    pub(crate) fn installed(&self) -> &Path {
        &self.installed
    }

    /// Adds a line to the stand-in's settings, for instance `async = "inline"`.
    pub(crate) fn set(&self, line: &str) {
        let path = self.installed.join("standin.toml");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{text}\n{line}\n")).unwrap();
    }

    /// Takes a function out of this site's copy of the library, as if the release had none.
    pub(crate) fn hide(&self, function: &str) {
        let settings = self.installed.join("standin.toml");
        let text = fs::read_to_string(&settings).unwrap();
        let spec = KitSpec {
            hidden: vec![function.to_owned()],
            ..KitSpec::default()
        };
        let installed = self.installed.join("lib64").join(spec.file_name());
        self.lab.install_kit_as(&installed, &spec).unwrap();
        fs::write(settings, text).unwrap();
    }

    pub(crate) fn fault(&self, fault: Fault) {
        self.lab.set_faults(&[fault]).unwrap();
    }

    pub(crate) fn options(&self) -> LibraryOptions {
        LibraryOptions {
            location: Some(self.installed.clone()),
            ..LibraryOptions::default()
        }
    }

    pub(crate) fn load(&self) -> Library {
        Library::load(self.options()).unwrap()
    }

    pub(crate) fn params(&self) -> ConnectParams {
        self.params_with("stand-in", &self.lab.thumbprint_sha1().unwrap())
    }

    pub(crate) fn params_with(&self, password: &str, thumbprint: &str) -> ConnectParams {
        ConnectParams::builder()
            .server("127.0.0.1")
            .thumbprint(thumbprint)
            .user("backup@vsphere.local", Secret::new(password.to_owned()))
            .vm_moref(&self.vm)
            .build()
            .unwrap()
    }

    /// Makes a snapshot: its id, and the frozen disk's path.
    pub(crate) fn snapshot(&self) -> (String, String) {
        let snapshot = self
            .lab
            .create_snapshot(&self.vm, &SnapshotSpec::named("backup"))
            .unwrap();
        let file = snapshot.disks[0].chain.last().unwrap().file.clone();
        (snapshot.moref, file)
    }

    pub(crate) fn connect_options(snapshot: &str) -> ConnectOptions {
        ConnectOptions::read_only(snapshot, "nbdssl".parse().unwrap())
    }

    /// The library's calls so far, by name.
    pub(crate) fn calls(&self) -> Vec<String> {
        let entries = self.lab.journal().entries().unwrap();
        entries
            .into_iter()
            .filter(|entry| entry.who == "vixdisklib")
            .map(|entry| entry.call)
            .collect()
    }

    /// How often a function was called and answered success.
    pub(crate) fn succeeded(&self, call: &str) -> usize {
        let entries = self.lab.journal().entries().unwrap();
        let done = entries
            .iter()
            .filter(|entry| entry.call == call && entry.result["code"] == 0);
        done.count()
    }

    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|one| *one == call).count()
    }
}
