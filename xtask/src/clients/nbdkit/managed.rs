//! A disk of the lab by VM, snapshot and thumbprint, and what a wrong login or thumbprint gives.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::{Nbdkit, quoted};
use crate::clients::ground::Ground;
use crate::clients::process::tail;
use crate::output::line;
use crate::stage::write_secret;

/// Reads the disk as it was when the snapshot was made, and tries wrong secrets.
///
/// # Errors
///
/// When a byte differs, or a refusal is not the one expected.
pub(super) fn check(nbdkit: &Nbdkit, ground: &Ground) -> anyhow::Result<()> {
    let folder = ground.scratch("nbdkit-managed")?;
    let thumbprint = ground.stage.lab.thumbprint_sha1()?;
    let password = ground.stage.password_file.as_path();
    let right = options(ground, password, &thumbprint);

    let since = ground.journal(0)?.len();
    let out = folder.join("out.raw");
    copy_by(
        nbdkit,
        ground,
        &right,
        &out,
        "nbdcopy --connections=4 \"$uri\"",
    )?;
    ground.must_be_true(&out)?;
    let client = "qemu-img convert -f raw -O raw \"$uri\"";
    copy_by(nbdkit, ground, &right, &out, client)?;
    ground.must_be_true(&out)?;
    check_map(nbdkit, ground, &right)?;
    with_more_options(nbdkit, ground, &folder, &right)?;
    ground.must_be_tidy(since)?;
    line("  disk of the lab by snapshot: read, byte for byte, and everything freed");

    let wrong_thumbprint = thumbprint.replace(['A', '1'], "0");
    let wrong = options(ground, password, &wrong_thumbprint);
    refused(
        nbdkit,
        ground,
        &wrong,
        &["VixDiskLib_Open", "\"Unknown error\" can be caused"],
    )?;
    let wrong_password = folder.join("wrong-password");
    write_secret(&wrong_password, "not the password")?;
    let wrong = options(ground, &wrong_password, &thumbprint);
    refused(nbdkit, ground, &wrong, &["VixDiskLib_ConnectEx"])?;
    line("  wrong thumbprint: refused by Open; wrong password: refused by ConnectEx");
    Ok(())
}

/// The options that nbdkit only passes on: none of them may change a byte.
fn with_more_options(
    nbdkit: &Nbdkit,
    ground: &Ground,
    folder: &Path,
    right: &[String],
) -> anyhow::Result<()> {
    let config = folder.join("vixdisklib.conf");
    std::fs::write(&config, "vixDiskLib.nfc.LogLevel=1\n")?;
    let out = folder.join("out.raw");
    for more in [
        "compression=zlib".to_owned(),
        "compression=fastlz".to_owned(),
        "compression=skipz".to_owned(),
        format!("config={}", config.display()),
    ] {
        let options = [right, &[more]].concat();
        copy_by(nbdkit, ground, &options, &out, "nbdcopy \"$uri\"")?;
        ground.must_be_true(&out)?;
    }
    line("  the same with each compression and with a configuration file");

    // nbdkit does not align its buffers. Without the library's own buffering that is an invalid
    // argument since 6.7 ("VDDK API reference", 7.5).
    let options = [right, &["unbuffered=true".to_owned()]].concat();
    let client = format!("nbdcopy \"$uri\" {}", quoted(&out));
    let said = nbdkit.try_serve(&ground.kit, &options, &client)?;
    if said.success
        || !said
            .text
            .contains("VixDiskLib_ReadAsync: One of the arguments")
    {
        bail!(
            "buffers that are not aligned must be refused:\n{}",
            tail(&said.text)
        );
    }
    line("  unbuffered: its buffers are not aligned, and are refused");
    Ok(())
}

/// Reads the disk with another kit.
pub(super) fn read(nbdkit: &Nbdkit, ground: &Ground, kit: &Path, out: &Path) -> anyhow::Result<()> {
    let thumbprint = ground.stage.lab.thumbprint_sha1()?;
    let options = options(ground, &ground.stage.password_file, &thumbprint);
    nbdkit.serve(kit, &options, &format!("nbdcopy \"$uri\" {}", quoted(out)))?;
    Ok(())
}

fn options(ground: &Ground, password_file: &Path, thumbprint: &str) -> Vec<String> {
    let address = ground.stage.vcenter.address();
    vec![
        "-r".into(),
        format!("server={}", address.ip()),
        format!("port={}", address.port()),
        format!("user={}", ground.stage.user),
        format!("password=+{}", password_file.display()),
        format!("thumbprint={thumbprint}"),
        format!("vm=moref={}", ground.vm),
        format!("snapshot={}", ground.snapshot),
        "transports=nbdssl".into(),
        format!("file={}", ground.disk),
    ]
}

/// Lets a client copy the disk to a file.
pub(super) fn copy_by(
    nbdkit: &Nbdkit,
    ground: &Ground,
    options: &[String],
    out: &Path,
    client: &str,
) -> anyhow::Result<()> {
    if out.exists() {
        std::fs::remove_file(out)?;
    }
    nbdkit.serve(&ground.kit, options, &format!("{client} {}", quoted(out)))?;
    Ok(())
}

/// Compares the map that nbdkit gives with the truth: it covers the disk, and its holes are zero.
pub(super) fn check_map(
    nbdkit: &Nbdkit,
    ground: &Ground,
    options: &[String],
) -> anyhow::Result<()> {
    let text = nbdkit.serve(&ground.kit, options, "nbdinfo --json --map \"$uri\"")?;
    let json = text.get(text.find('[').unwrap_or(0)..=text.rfind(']').unwrap_or(0));
    let map: Vec<Value> = serde_json::from_str(json.unwrap_or_default())
        .with_context(|| format!("no map:\n{text}"))?;
    let truth = File::open(&ground.truth)?;
    let capacity_bytes = truth.metadata()?.len();
    let (mut at, mut holes) = (0, 0);
    for extent in &map {
        let number = |key: &str| extent[key].as_u64().with_context(|| format!("no {key}"));
        let (offset, length) = (number("offset")?, number("length")?);
        if offset != at {
            bail!("the map has a gap at {at}:\n{text}");
        }
        at += length;
        if number("type")? & 1 != 0 {
            holes += length;
            let mut bytes = vec![0; usize::try_from(length)?];
            truth.read_exact_at(&mut bytes, offset)?;
            if bytes.iter().any(|byte| *byte != 0) {
                bail!("{length} bytes at {offset} are no hole, though the map says so");
            }
        }
    }
    if at != capacity_bytes || holes == 0 {
        bail!("the map covers {at} of {capacity_bytes} bytes, {holes} of them holes:\n{text}");
    }
    Ok(())
}

/// Checks that a connection is refused with these words.
fn refused(
    nbdkit: &Nbdkit,
    ground: &Ground,
    options: &[String],
    words: &[&str],
) -> anyhow::Result<()> {
    let said = nbdkit.try_serve(&ground.kit, options, "nbdinfo \"$uri\"")?;
    if said.success {
        bail!("what must be refused was served:\n{}", said.text);
    }
    match words.iter().find(|word| !said.text.contains(**word)) {
        None => Ok(()),
        Some(word) => bail!("refused, but {word} is not said:\n{}", said.text),
    }
}
