//! Local disks that nbdkit has VixDiskLib make.

use std::fs;

use anyhow::bail;

use super::{Nbdkit, managed, quoted};
use crate::clients::ground::{Ground, must_equal};
use crate::clients::process::{foreign, must};
use crate::output::line;

/// nbdkit's names for the kinds, each with an adapter and a hardware version.
const KINDS: [(&str, &str, &str); 4] = [
    ("monolithic-sparse", "scsi-buslogic", "esx4x"),
    ("monolithic-flat", "ide", "workstation5"),
    ("split-sparse", "scsi-lsilogic", "esx55"),
    ("split-flat", "scsi-lsilogic", "esx65"),
];

/// Makes a disk of each kind, fills it in the same run, and reads it back by nbdkit and
/// `qemu-img`.
///
/// # Errors
///
/// When a disk is not made or a byte differs.
pub(super) fn check(nbdkit: &Nbdkit, ground: &Ground) -> anyhow::Result<()> {
    let folder = ground.scratch("nbdkit-making")?;
    let size_bytes = fs::metadata(&ground.truth)?.len();
    for (kind, adapter, hardware) in KINDS {
        let file = folder.join(format!("{kind}.vmdk"));
        let at = format!("file={}", file.display());
        let options = [
            at.clone(),
            "create=true".into(),
            format!("create-size={size_bytes}"),
            format!("create-type={kind}"),
            format!("create-adapter-type={adapter}"),
            format!("create-hwversion={hardware}"),
        ];
        let client = format!("nbdcopy --flush {} \"$uri\"", quoted(&ground.truth));
        nbdkit.serve(&ground.kit, &options, &client)?;
        // What is there is never made anew.
        let again = nbdkit.try_serve(&ground.kit, &options, "nbdinfo \"$uri\"")?;
        if again.success || !again.text.contains("VixDiskLib_Create") {
            bail!("{kind} was made over a file that is there:\n{}", again.text);
        }
        let out = folder.join("out.raw");
        let read_only = ["-r".to_owned(), at];
        managed::copy_by(nbdkit, ground, &read_only, &out, "nbdcopy \"$uri\"")?;
        ground.must_be_true(&out)?;
        let mut convert = foreign("qemu-img");
        convert.args(["convert", "-f", "vmdk", "-O", "raw"]);
        must(convert.arg(&file).arg(&out))?;
        must_equal(&ground.truth, &out)?;
        line(&format!("  {kind}: made, filled, and read back"));
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}
