//! `clients`: programs of other people against the stand-ins.

mod debian;
mod dummy;
mod govc;
pub(crate) mod ground;
mod gvddk;
mod libvirt;
pub(crate) mod nbdkit;
pub(crate) mod process;
mod pyvmomi;
mod vadp;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use ground::Ground;
use lab::{DiskSpec, SiteSpec, VmSpec};

use crate::folder::Folder;
use crate::output::{line, skipped};
use crate::stage::Stage;
use crate::workspace;

const VM: &str = "app01";
/// A capacity that is no multiple of a grain.
const CAPACITY_BYTES: u64 = (64 << 20) + 3 * 512;
/// Small, so that a few writes make several pages.
const PAGE_EXTENTS: usize = 50;

/// Run programs of other people against the stand-in vCenter and the stand-in VixDiskLib.
///
/// Tools that are missing are fetched into the target folder where pip, go and apt can do that.
#[derive(Debug, Default, Args)]
pub(crate) struct Clients {
    /// Fail when a tool cannot be had, in place of skipping it
    #[arg(long)]
    strict: bool,
    /// Run this one only; may be repeated
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(NAMES))]
    only: Vec<String>,
}

/// How the run of one client ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// It found nothing wrong.
    Passed,
    /// The tool could not be had, and why.
    Skipped(String),
}

/// What became of the clients. One that finds something wrong ends the run.
#[derive(Debug, Default)]
struct Tally {
    run: usize,
    missing: Vec<&'static str>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} run, {} skipped", self.run, self.missing.len())
    }
}

impl Clients {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a client finds something wrong, or a tool is missing and `--strict` is given.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let tools = tools()?;
        let wanted = |name: &str| self.only.is_empty() || self.only.iter().any(|one| one == name);
        let mut tally = Tally::default();
        if NAMES[..SOAP.len()].iter().any(|name| wanted(name)) {
            let folder = Folder::claim(&tools.join("stage"))?;
            let stage = set_stage(&folder)?;
            for (name, client) in SOAP.iter().filter(|(name, _)| wanted(name)) {
                tally.note(name, || client(&stage, &tools))?;
            }
        }
        if NAMES[SOAP.len()..].iter().any(|name| wanted(name)) {
            let ground = Ground::prepare(&tools)?;
            for (name, client) in LIBRARY.iter().filter(|(name, _)| wanted(name)) {
                tally.note(name, || client(&ground))?;
            }
        }
        line(&format!("clients: {tally}"));
        if self.strict && !tally.missing.is_empty() {
            bail!("could not be had: {}", tally.missing.join(", "));
        }
        Ok(())
    }
}

impl Tally {
    /// Runs a client and counts it.
    fn note(
        &mut self,
        name: &'static str,
        client: impl FnOnce() -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<()> {
        line(&format!("{name}:"));
        match client().with_context(|| format!("{name} is not content"))? {
            Outcome::Passed => {
                line(&format!("{name}: passed"));
                self.run += 1;
            }
            Outcome::Skipped(why) => {
                skipped(&format!("{name}: {why}"));
                self.missing.push(name);
            }
        }
        Ok(())
    }
}

/// Where tools are kept between runs.
pub(crate) fn tools() -> anyhow::Result<PathBuf> {
    Ok(workspace::target()?.join("clients"))
}

type SoapClient = fn(&Stage, &Path) -> anyhow::Result<Outcome>;
type LibraryClient = fn(&Ground) -> anyhow::Result<Outcome>;

/// The clients that talk to the stand-in vCenter.
const SOAP: [(&str, SoapClient); 3] = [
    ("pyVmomi", pyvmomi::run),
    ("govc", govc::run),
    ("libvirt", libvirt::run),
];
/// The clients that load the stand-in VixDiskLib, and a library of others that `vddk` loads.
const LIBRARY: [(&str, LibraryClient); 4] = [
    ("nbdkit", nbdkit::run),
    ("nbdkit-dummy", dummy::run),
    ("gvddk", gvddk::run),
    ("vadp-sequence", vadp::run),
];
/// The names of both, in order.
const NAMES: [&str; 7] = [
    SOAP[0].0,
    SOAP[1].0,
    SOAP[2].0,
    LIBRARY[0].0,
    LIBRARY[1].0,
    LIBRARY[2].0,
    LIBRARY[3].0,
];

fn set_stage(folder: &Folder) -> anyhow::Result<Stage> {
    let site = SiteSpec {
        page_extents: PAGE_EXTENTS,
        ..SiteSpec::default()
    };
    let disk = DiskSpec {
        capacity_bytes: CAPACITY_BYTES,
        ..DiskSpec::default()
    };
    let spec = VmSpec {
        name: VM.into(),
        disks: vec![disk.clone(), disk],
        ..VmSpec::default()
    };
    Stage::set(folder.path(), site, |lab| {
        lab.add_vm(spec).context("failed to add the VM")?;
        Ok(())
    })
}

/// The id of the VM.
fn moref(stage: &Stage) -> anyhow::Result<String> {
    let vm = stage.lab.vms()?.into_iter().find(|vm| vm.name == VM);
    Ok(vm.context("the lab lost its VM")?.moref)
}

/// The certificate of the server, which is its own authority.
fn certificate(stage: &Stage) -> PathBuf {
    stage.lab.root().join("tls").join("cert.pem")
}
