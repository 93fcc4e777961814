//! Programs in C, compiled against the header and linked to the stand-in library, as other
//! products are built with VMware's kit.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use cbt_tests::stand_in_library;
use lab::{DiskSpec, Entry, Lab, SiteSpec, Snapshot, SnapshotSpec, Vm, VmSpec};
use tempfile::TempDir;

/// 2 MiB and three sectors.
const CAPACITY_SECTORS: u64 = 4096 + 3;
/// Where the guest writes, and what.
const WRITTEN_SECTOR: u64 = 256;
const WRITTEN_BYTE: u8 = 17;
/// A chunk of allocated blocks, in sectors.
const CHUNK_SECTORS: u64 = 128;

/// A way to compile. What is not required is skipped, loudly, where it is missing.
struct Compiler {
    program: &'static str,
    options: &'static [&'static str],
    required: bool,
}

const COMPILERS: [Compiler; 4] = [
    Compiler {
        program: "gcc",
        options: &["-std=c99", "-D_POSIX_C_SOURCE=200809L"],
        required: true,
    },
    Compiler {
        program: "g++",
        options: &["-std=c++11", "-x", "c++"],
        required: false,
    },
    Compiler {
        program: "clang",
        options: &["-std=c99", "-D_POSIX_C_SOURCE=200809L"],
        required: false,
    },
    Compiler {
        program: "clang++",
        options: &["-std=c++11", "-x", "c++"],
        required: false,
    },
];

impl Compiler {
    #[expect(clippy::print_stderr, reason = "a part that is skipped is said so")]
    fn is_there(&self) -> bool {
        let version = Command::new(self.program).arg("--version").output();
        let there = version.is_ok_and(|version| version.status.success());
        assert!(there || !self.required, "{} is missing", self.program);
        if !there {
            eprintln!("skipped: {} is missing", self.program);
        }
        there
    }

    /// Compiles `tests/c/<name>.c` and links it to the kit's library.
    fn build(&self, name: &str, site: &Site) -> Result<PathBuf> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let program = site.folder.path().join(format!("{name}-{}", self.program));
        let lib64 = site.kit.join("lib64");
        let output = Command::new(self.program)
            .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1"])
            .arg("-I")
            .arg(root.join("vddk-sys/include"))
            .args(self.options)
            .arg(root.join("tests/c").join(name).with_extension("c"))
            .args(["-x", "none", "-L"])
            .arg(&lib64)
            .arg("-l:libvixDiskLib.so.8")
            .arg(format!("-Wl,-rpath,{}", lib64.display()))
            .arg("-o")
            .arg(&program)
            .output()?;
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && messages.is_empty(),
            "{} does not take {name}.c:\n{messages}",
            self.program
        );
        Ok(program)
    }
}

/// A lab with a running VM that has a snapshot, and one that is off.
struct Site {
    folder: TempDir,
    lab: Lab,
    kit: PathBuf,
    running: Vm,
    snapshot: Snapshot,
    off: Vm,
}

impl Site {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let lab = Lab::create(&folder.path().join("lab"), SiteSpec::default())?;
        let kit = lab.install_kit(&stand_in_library()?)?;
        let vm = |name: &str, powered_on| {
            let spec = VmSpec {
                name: name.to_owned(),
                powered_on,
                disks: vec![DiskSpec {
                    capacity_bytes: CAPACITY_SECTORS * 512,
                    ..DiskSpec::default()
                }],
                ..VmSpec::default()
            };
            lab.add_vm(spec)
        };
        let (running, off) = (vm("running", true)?, vm("off", false)?);
        let write = |vm: &Vm, sector: u64| {
            let content = [WRITTEN_BYTE; 512];
            lab.guest_write(&vm.moref, 2000, sector * 512, &content)
        };
        write(&running, WRITTEN_SECTOR)?;
        write(&off, 0)?;
        let snapshot = lab.create_snapshot(&running.moref, &SnapshotSpec::named("backup"))?;
        Ok(Self {
            folder,
            lab,
            kit,
            running,
            snapshot,
            off,
        })
    }

    /// Runs a client with the options that both have.
    fn run(&self, program: &Path, vm: &str, disk: &str, more: &[&str]) -> Result<Run> {
        let thumbprint = self.lab.thumbprint_sha1()?;
        let vm = format!("moref={vm}");
        let user = &self.lab.site()?.users[0];
        let child = Command::new(program)
            .arg("--libdir")
            .arg(&self.kit)
            .args(["--server", "127.0.0.1", "--user", &user.name])
            .args(["--thumbprint", &thumbprint, "--vm", &vm, "--disk", disk])
            .args(more)
            .env("CLIENT_PASSWORD", &user.password)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pid = child.id();
        let output = child.wait_with_output()?;
        let journal = self.lab.journal().entries()?;
        Ok(Run {
            output,
            journal: journal
                .into_iter()
                .filter(|entry| entry.pid == pid)
                .collect(),
        })
    }
}

/// What a client did.
struct Run {
    output: Output,
    /// Its calls, as the library saw them.
    journal: Vec<Entry>,
}

impl Run {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    fn errors(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    #[track_caller]
    fn expect_code(&self, code: i32) {
        let (text, errors) = (self.text(), self.errors());
        assert_eq!(self.output.status.code(), Some(code), "{text}\n{errors}");
    }

    #[track_caller]
    fn expect_line(&self, line: &str) {
        let text = self.text();
        assert!(
            text.lines().any(|there| there == line),
            "no {line:?} in:\n{text}"
        );
    }

    /// Names without `VixDiskLib_`, and codes; a call without a code counts as 0.
    fn calls(&self) -> Vec<(&str, u64)> {
        let code = |entry: &Entry| entry.result["code"].as_u64().unwrap_or(0);
        self.journal
            .iter()
            .map(|entry| (entry.call.trim_start_matches("VixDiskLib_"), code(entry)))
            .collect()
    }
}

/// The file that a snapshot, or the VM, names for its first disk.
fn newest_file(disks: &[lab::Disk]) -> Result<String> {
    let link = disks.first().and_then(|disk| disk.chain.last());
    Ok(link.context("there is no disk")?.file.clone())
}

#[test]
fn a_c_client_uses_every_group_of_calls() -> Result<()> {
    let site = Site::new()?;
    let disk = newest_file(&site.snapshot.disks)?;
    let (snapshot, sector) = (site.snapshot.moref.clone(), WRITTEN_SECTOR.to_string());
    for compiler in COMPILERS.iter().filter(|compiler| compiler.is_there()) {
        let program = compiler.build("client", &site)?;
        let local = program.with_extension("vmdk");
        let more = ["--snapshot", &snapshot, "--sector", &sector, "--local"];
        let more: Vec<&str> = more.into_iter().chain(local.to_str()).collect();
        let run = site.run(&program, &site.running.moref, &disk, &more)?;
        run.expect_code(0);
        for line in [
            "functions: 43",
            "transports: file:san:hotadd:nbdssl:nbd",
            "capacity: 4096 sectors, 1 links, sectors of 512 bytes",
            "transport: file",
            "allocated: 0+128",
            "allocated: 512+128",
            "metadata adapterType = lsilogic",
            "transport: nbdssl",
            &format!("capacity: {CAPACITY_SECTORS} sectors, 1 links, sectors of 512 bytes"),
            &format!("sector {WRITTEN_SECTOR} holds {WRITTEN_BYTE}"),
            &format!("allocated: {WRITTEN_SECTOR}+{CHUNK_SECTORS}"),
            "done",
        ] {
            run.expect_line(line);
        }
        assert!(!local.exists(), "the local disk is removed again");
        let exit = run.journal.last().context("no calls")?;
        assert_eq!(exit.call, "VixDiskLib_Exit");
        for left in [
            "open_disks",
            "open_connections",
            "unfreed_infos",
            "unfreed_block_lists",
        ] {
            assert_eq!(exit.args[left], 0, "{left}");
        }
    }
    Ok(())
}

#[test]
fn a_c_client_fails_over_what_goes_wrong() -> Result<()> {
    let site = Site::new()?;
    let program = COMPILERS[0].build("client", &site)?;
    let local = program.with_extension("vmdk");
    let more = ["--snapshot", "snapshot-none", "--sector", "0", "--local"];
    let more: Vec<&str> = more.into_iter().chain(local.to_str()).collect();
    let run = site.run(&program, &site.running.moref, "[x] y.vmdk", &more)?;
    run.expect_code(1);
    let errors = run.errors();
    assert!(errors.contains("ConnectEx answered 13003"), "{errors}");
    site.run(&program, "vm-1", "[x] y.vmdk", &[])?
        .expect_code(2);
    Ok(())
}

#[test]
fn the_guides_example_runs_call_by_call() -> Result<()> {
    let site = Site::new()?;
    let disk = newest_file(&site.off.disks)?;
    for compiler in COMPILERS.iter().filter(|compiler| compiler.is_there()) {
        let program = compiler.build("guide", &site)?;
        let run = site.run(&program, &site.off.moref, &disk, &[])?;
        run.expect_code(0);
        run.expect_line(&format!("first byte: {WRITTEN_BYTE}"));
        run.expect_line("done");
        let steps: Vec<_> = [
            ("Init", 0),
            ("Connect", 0),
            ("Open", 0),
            ("GetMetadataKeys", 24),
            ("GetMetadataKeys", 0),
            // The journal sums reads up when the disk is closed.
            ("Read", 0),
            ("Close", 0),
            ("Disconnect", 0),
            ("Exit", 0),
        ]
        .into();
        assert_eq!(run.calls(), steps);
        let init = &run.journal[0].args;
        assert_eq!((&init["major"], &init["minor"]), (&1.into(), &0.into()));
    }
    Ok(())
}
