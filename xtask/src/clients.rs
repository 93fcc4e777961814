//! `clients`: programs of other people against the stand-in vCenter.

mod govc;
mod pyvmomi;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
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

/// Run programs of other people against the stand-in vCenter.
///
/// Tools that are missing are fetched into the target folder where pip and go can do that.
#[derive(Debug, Default, Args)]
pub(crate) struct Clients {
    /// Fail when a tool cannot be had, in place of skipping it
    #[arg(long)]
    strict: bool,
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
        let tools = workspace::target()?.join("clients");
        let folder = Folder::claim(&tools.join("stage"))?;
        let stage = set_stage(&folder)?;
        let mut tally = Tally::default();
        for (name, client) in CLIENTS {
            line(&format!("{name}:"));
            match client(&stage, &tools).with_context(|| format!("{name} is not content"))? {
                Outcome::Passed => {
                    line(&format!("{name}: passed"));
                    tally.run += 1;
                }
                Outcome::Skipped(why) => {
                    skipped(&format!("{name}: {why}"));
                    tally.missing.push(name);
                }
            }
        }
        line(&format!("clients: {tally}"));
        if self.strict && !tally.missing.is_empty() {
            bail!("could not be had: {}", tally.missing.join(", "));
        }
        Ok(())
    }
}

type Client = fn(&Stage, &std::path::Path) -> anyhow::Result<Outcome>;

const CLIENTS: [(&str, Client); 2] = [("pyVmomi", pyvmomi::run), ("govc", govc::run)];

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
