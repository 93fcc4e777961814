//! Loading: the capability dump, and starting again with another `LD_LIBRARY_PATH`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use lab::KitSpec;

use super::{Nbdkit, managed};
use crate::clients::ground::Ground;
use crate::clients::process::{hear, must};
use crate::output::line;

/// The functions that the dump lists, when the library has them all.
const FUNCTIONS: usize = 23;
/// What of them came with 6.7; nbdkit goes without them.
const OPTIONAL_FUNCTIONS: usize = 3;

/// Checks what the plugin finds in the kit, and that it loads it without help from outside.
///
/// # Errors
///
/// When something is missing or not as it must be.
pub(super) fn check(nbdkit: &Nbdkit, ground: &Ground) -> anyhow::Result<()> {
    capabilities(nbdkit, &ground.kit, 8, FUNCTIONS)?;
    for outside in [None, Some("/nonexistent/one:/nonexistent/two")] {
        starts_again(nbdkit, &ground.kit, outside)?;
    }
    releases(nbdkit, ground)
}

/// Kits that pose as each release: found by their SONAME, and read from.
fn releases(nbdkit: &Nbdkit, ground: &Ground) -> anyhow::Result<()> {
    let plugin = fs::read(nbdkit.plugin())?;
    let name = b"libvixDiskLib.so.9";
    let knows_9 = plugin.windows(name.len()).any(|window| window == name);
    let of = |major| KitSpec {
        major,
        ..KitSpec::default()
    };
    let specs = [KitSpec::release_6_5(), of(6), of(7), of(9)];
    for (number, spec) in specs.iter().enumerate() {
        let folder = ground.scratch(&format!("nbdkit-release-{number}"))?;
        let kit = folder.join("kit");
        ground
            .stage
            .lab
            .install_kit_in(&ground.library, spec, &kit)?;
        if spec.major == 9 && !knows_9 {
            is_not_found(nbdkit, &kit)?;
            continue;
        }
        let functions = if spec.hidden.is_empty() {
            FUNCTIONS
        } else {
            FUNCTIONS - OPTIONAL_FUNCTIONS
        };
        capabilities(nbdkit, &kit, spec.major, functions)?;
        let out = folder.join("out.raw");
        managed::read(nbdkit, ground, &kit, &out)?;
        ground.must_be_true(&out)?;
        fs::remove_dir_all(&folder)?;
    }
    line("  read from each of them, byte for byte");
    Ok(())
}

/// A release of nbdkit that does not know 9 says which name it could not load.
fn is_not_found(nbdkit: &Nbdkit, kit: &Path) -> anyhow::Result<()> {
    let mut command = nbdkit.command(kit);
    let said = hear(command.args(["file=/nonexistent.vmdk", "--run", "true"]))?;
    if said.success || !said.text.contains("libvixDiskLib.so.8") {
        bail!("a kit of release 9 alone was not refused:\n{}", said.text);
    }
    line("  release 9: not known to this nbdkit, which says so");
    Ok(())
}

/// The capability dump of a kit with that interface number.
fn capabilities(nbdkit: &Nbdkit, kit: &Path, major: u32, functions: usize) -> anyhow::Result<()> {
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
    if found != functions {
        bail!("{found} functions found, not {functions}:\n{text}");
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
