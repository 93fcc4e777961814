//! Loading: the capability dump, and starting again with another `LD_LIBRARY_PATH`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::Nbdkit;
use crate::clients::ground::Ground;
use crate::clients::process::must;
use crate::output::line;

/// The functions that the dump lists; three of them are optional for nbdkit.
const FUNCTIONS: usize = 23;

/// Checks what the plugin finds in the kit, and that it loads it without help from outside.
///
/// # Errors
///
/// When something is missing or not as it must be.
pub(super) fn check(nbdkit: &Nbdkit, ground: &Ground) -> anyhow::Result<()> {
    capabilities(nbdkit, &ground.kit, 8)?;
    for outside in [None, Some("/nonexistent/one:/nonexistent/two")] {
        starts_again(nbdkit, &ground.kit, outside)?;
    }
    Ok(())
}

/// The capability dump of a kit with that interface number.
fn capabilities(nbdkit: &Nbdkit, kit: &Path, major: u32) -> anyhow::Result<()> {
    let text = must(nbdkit.command(kit).arg("--dump-plugin"))?;
    let dump: BTreeMap<&str, &str> = text.lines().filter_map(|l| l.split_once('=')).collect();
    let get = |key: &str| -> anyhow::Result<&str> {
        let value = dump.get(key).copied();
        value.with_context(|| format!("the dump has no {key}:\n{text}"))
    };
    let library = kit.join("lib64").join(format!("libvixDiskLib.so.{major}"));
    if get("vddk_library_version")? != major.to_string() {
        bail!("the version is not {major}:\n{text}");
    }
    if Path::new(get("vddk_dll")?) != library.canonicalize()? {
        bail!("the library is not {}:\n{text}", library.display());
    }
    if get("vddk_transport_modes")? != "file:san:hotadd:nbdssl:nbd" {
        bail!("other transports than expected:\n{text}");
    }
    let found = dump
        .iter()
        .filter(|(name, value)| name.starts_with("VixDiskLib_") && **value == "1");
    let found = found.count();
    if found != FUNCTIONS {
        bail!("{found} functions found, not {FUNCTIONS}:\n{text}");
    }
    line(&format!(
        "  --dump-plugin: version {major}, {found} functions"
    ));
    Ok(())
}

/// nbdkit must start itself again with the kit's folder in the path, and what it runs must see
/// the path of the outside.
fn starts_again(nbdkit: &Nbdkit, kit: &Path, outside: Option<&str>) -> anyhow::Result<()> {
    let mut command = nbdkit.command(kit);
    if let Some(outside) = outside {
        command.env("LD_LIBRARY_PATH", outside);
    }
    command.args(["-v", "file=/nonexistent.vmdk", "--run"]);
    let text = must(command.arg(r#"echo "inside=${LD_LIBRARY_PATH-unset}""#))?;
    if !text.contains("re-exec") {
        bail!("nbdkit did not start itself again:\n{text}");
    }
    let expected = format!("inside={}\n", outside.unwrap_or("unset"));
    // An unset path comes back empty: nbdkit hands the old value over as a text.
    let empty = outside.is_none() && text.contains("inside=\n");
    if !text.contains(&expected) && !empty {
        bail!("what nbdkit runs must see LD_LIBRARY_PATH as outside, {outside:?}:\n{text}");
    }
    line(&format!(
        "  started again, LD_LIBRARY_PATH inside as outside ({})",
        outside.unwrap_or("unset")
    ));
    Ok(())
}
