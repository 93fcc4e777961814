//! Building nbdkit's server, its VDDK plugin and its dummy VixDiskLib from Debian's source package.

use std::fs;
use std::path::{Path, PathBuf};

use super::Nbdkit;
use crate::clients::debian;
use crate::clients::process::{foreign, must};
use crate::output::line;

/// What of nbdkit is not needed here. Options that a release does not know only make it warn.
const CONFIGURE: [&str; 17] = [
    "--disable-dependency-tracking",
    "--disable-static",
    "--disable-libguestfs-tests",
    "--disable-perl",
    "--disable-python",
    "--disable-ocaml",
    "--disable-rust",
    "--disable-tcl",
    "--disable-lua",
    "--disable-golang",
    "--disable-torrent",
    "--without-manpages",
    "--without-curl",
    "--without-ssh",
    "--without-iso",
    "--without-libvirt",
    "--without-gnutls",
];
/// The folders to build, in order. The null plugin is what nbdkit's own tests start first.
const FOLDERS: [&str; 7] = [
    "common/replacements",
    "common/utils",
    "common/protocol",
    "server",
    "plugins/null",
    "plugins/zero",
    "plugins/vddk",
];
/// The file that says that everything was built.
const DONE: &str = "built-by-cargo-xtask";

/// nbdkit, built now or by an earlier run.
///
/// # Errors
///
/// When the source cannot be had or does not build.
pub(super) fn have(tools: &Path) -> anyhow::Result<Nbdkit> {
    let source = debian::source(tools, "nbdkit")?;
    let nbdkit = Nbdkit {
        built: folder(tools),
        source: source.folder,
        version: source.version,
    };
    if is_done(&nbdkit.built) {
        return Ok(nbdkit);
    }
    debian::need_compiler()?;
    line("  building nbdkit");
    if nbdkit.built.exists() {
        fs::remove_dir_all(&nbdkit.built)?;
    }
    fs::create_dir(&nbdkit.built)?;
    let mut configure = foreign(nbdkit.source.join("configure"));
    must(configure.args(CONFIGURE).current_dir(&nbdkit.built))?;
    for folder in FOLDERS {
        make(&nbdkit.built.join(folder), &[])?;
    }
    // The program of the top folder is what nbdkit's tests call.
    make(&nbdkit.built, &["nbdkit"])?;
    make(&nbdkit.built.join("tests"), &["libvixDiskLib.la"])?;
    fs::write(nbdkit.built.join(DONE), "")?;
    Ok(nbdkit)
}

/// Where it is built.
pub(super) fn folder(tools: &Path) -> PathBuf {
    tools.join("debian/nbdkit/build")
}

/// True when all of it was built there.
pub(super) fn is_done(built: &Path) -> bool {
    built.join(DONE).is_file()
}

fn make(folder: &Path, targets: &[&str]) -> anyhow::Result<()> {
    let mut make = foreign("make");
    // A make above us has another job server.
    make.env_remove("MAKEFLAGS").env_remove("MFLAGS");
    must(make.args(["-s", "-j2", "-C"]).arg(folder).args(targets))?;
    Ok(())
}
