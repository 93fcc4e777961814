//! Local VMDK files: every kind that `qemu-img` makes, read and written.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;

use super::{Nbdkit, managed, quoted};
use crate::clients::ground::{Ground, must_equal};
use crate::clients::process::{foreign, must};
use crate::output::line;

/// The kinds, and whether VixDiskLib writes to them.
const KINDS: [(&str, bool); 5] = [
    ("monolithicSparse", true),
    ("monolithicFlat", true),
    ("twoGbMaxExtentSparse", true),
    ("twoGbMaxExtentFlat", true),
    ("streamOptimized", false),
];

/// Reads each kind with `nbdcopy` and `qemu-img`, and writes to those that can be written.
///
/// # Errors
///
/// When a byte differs, or a hole is none.
pub(super) fn check(nbdkit: &Nbdkit, ground: &Ground) -> anyhow::Result<()> {
    let folder = ground.scratch("nbdkit-local")?;
    for (kind, writable) in KINDS {
        let file = folder.join(format!("{kind}.vmdk"));
        convert(
            &ground.truth,
            "raw",
            &file,
            &["-O", "vmdk", "-o", &format!("subformat={kind}")],
        )?;
        reads(nbdkit, ground, &folder, &file)?;
        if writable {
            writes(nbdkit, ground, &folder, &file)?;
            line(&format!("  {kind}: read and written, byte for byte"));
        } else {
            line(&format!("  {kind}: read, byte for byte"));
        }
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}

fn reads(nbdkit: &Nbdkit, ground: &Ground, folder: &Path, file: &Path) -> anyhow::Result<()> {
    let out = folder.join("out.raw");
    let read_only = ["-r".to_owned(), option(file)];
    managed::copy_by(nbdkit, ground, &read_only, &out, "nbdcopy \"$uri\"")?;
    ground.must_be_true(&out)?;
    let qemu_img = "qemu-img convert -f raw -O raw \"$uri\"";
    managed::copy_by(nbdkit, ground, &read_only, &out, qemu_img)?;
    ground.must_be_true(&out)?;
    managed::check_map(nbdkit, ground, &read_only)
}

/// Writes another disk over a file, and reads it back by two ways.
fn writes(nbdkit: &Nbdkit, ground: &Ground, folder: &Path, file: &Path) -> anyhow::Result<()> {
    let other = other(ground, folder)?;
    let options = [option(file)];
    let client = format!("nbdcopy --flush {} \"$uri\"", quoted(&other));
    nbdkit.serve(&ground.kit, &options, &client)?;
    let out = folder.join("out.raw");
    managed::copy_by(nbdkit, ground, &options, &out, "nbdcopy \"$uri\"")?;
    must_equal(&other, &out)?;
    convert(file, "vmdk", &out, &["-O", "raw"])?;
    must_equal(&other, &out)
}

/// A disk of the same size that is data where the truth has holes and the other way round.
fn other(ground: &Ground, folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("other.raw");
    if !path.exists() {
        let mut bytes = fs::read(&ground.truth)?;
        let length = bytes.len();
        bytes.rotate_left(length / 3 / 512 * 512);
        fs::write(&path, bytes)?;
    }
    Ok(path)
}

fn option(file: &Path) -> String {
    format!("file={}", file.display())
}

fn convert(from: &Path, format: &str, to: &Path, options: &[&str]) -> anyhow::Result<()> {
    if format == "raw" && to.exists() {
        bail!("{} is there already", to.display());
    }
    let mut command = foreign("qemu-img");
    command.args(["convert", "-f", format]).args(options);
    must(command.arg(from).arg(to))?;
    Ok(())
}
