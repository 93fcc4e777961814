//! The calls of `bareos_vadp_dumper`, made by `tests/clients/vadp_sequence.cc`.
//!
//! Debian has no source package of Bareos in any suite that was asked (11 to 13 and unstable). So the
//! sequence of that program is followed by one of ours, in C++ as it is.

use std::path::PathBuf;
use std::process::Command;

use anyhow::bail;

use super::Outcome;
use super::ground::Ground;
use super::process::{foreign, must, need};
use crate::output::line;
use crate::workspace;

const SOURCE: &str = "tests/clients/vadp_sequence.cc";

/// Dumps the disk of the lab, restores the dump to a local disk, and compares both.
///
/// # Errors
///
/// When a call fails or a byte differs.
pub(super) fn run(ground: &Ground) -> anyhow::Result<Outcome> {
    for (program, package) in [("g++", "g++"), ("qemu-img", "qemu-utils")] {
        if let Err(error) = need(program, package) {
            return Ok(Outcome::Skipped(format!("{error:#}")));
        }
    }
    let folder = ground.scratch("vadp")?;
    let program = build(ground)?;
    let since = ground.journal(0)?.len();
    let (out, meta) = (folder.join("out.raw"), folder.join("out.meta"));
    let mut dump = Command::new(&program);
    dump.arg("dump")
        .arg(&ground.kit)
        .arg(ground.stage.vcenter.address().ip().to_string())
        .arg(&ground.stage.user)
        .arg(&ground.stage.password_file)
        .arg(ground.stage.lab.thumbprint_sha1()?)
        .arg(format!("moref={}", ground.vm))
        .args([&ground.snapshot, &ground.disk])
        .args([&out, &meta]);
    let text = must(&mut dump)?;
    if !text.contains("transport: nbdssl\n") {
        bail!("another transport than expected:\n{text}");
    }
    ground.must_be_true(&out)?;
    let vm = ground.stage.lab.vm(&ground.vm)?;
    if !vm.disabled_methods.is_empty() {
        bail!(
            "moving the VM is still forbidden: {:?}",
            vm.disabled_methods
        );
    }
    line("  dumped with its metadata, byte for byte");

    let restored = folder.join("restored.vmdk");
    let mut restore = Command::new(&program);
    restore.arg("restore").arg(&ground.kit).arg(&restored);
    must(restore.args([&out, &meta]))?;
    let back = folder.join("back.raw");
    let mut convert = foreign("qemu-img");
    convert.args(["convert", "-f", "vmdk", "-O", "raw"]);
    must(convert.arg(&restored).arg(&back))?;
    ground.must_be_true(&back)?;
    ground.must_be_tidy(since)?;
    line("  restored to a new disk from another thread, byte for byte");
    Ok(Outcome::Passed)
}

fn build(ground: &Ground) -> anyhow::Result<PathBuf> {
    let root = workspace::root()?;
    let lib64 = ground.kit.join("lib64");
    let program = ground.folder.path().join("vadp/vadp_sequence");
    let mut compile = foreign("g++");
    compile
        .args(["-std=c++11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
        .args(["-O1", "-pthread", "-I"])
        .args([root.join("vddk-sys/include"), root.join(SOURCE)])
        .arg("-L")
        .arg(&lib64)
        .arg("-l:libvixDiskLib.so.8")
        .arg(format!("-Wl,-rpath,{}", lib64.display()))
        .arg("-o")
        .arg(&program);
    must(&mut compile)?;
    Ok(program)
}
