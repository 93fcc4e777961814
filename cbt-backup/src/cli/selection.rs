//! Which VMs a command works on: the same words for every command.

use clap::Args;

use super::{
    exit_code::Failure,
    output::{note, printable},
};
use crate::vsphere::{Error, VmSelection, VmSummary};

/// How VMs are selected, for the help of commands.
pub const SELECTORS: &str = "\
Ways to select VMs:
  app01                      name, inventory path, id (vm-21) or UUID of one VM
  /DC0/vm/Prod/app01         its path; in names, / \\ % are written %2f %5c %25
  name:… path:… moref:… uuid:…   the same, where a word could mean two things
  glob:'app*'                names by *, ? and [a-z]; with a / it is compared with paths, ** crosses folders
  re:'^app[0-9]+$'           names by regular expression; with a / paths, which begin with one
  folder:… pool:… vapp:… cluster:… host:… datastore:…   all below a place: name, path, id or glob
  attr:Backup=daily          by custom attribute; the value may be a glob";

/// VMs that must be named.
#[derive(Debug, Args)]
pub struct NamedVms {
    /// The virtual machines: name, inventory path, id (vm-1021), UUID, or a group such as folder:Prod
    #[arg(required = true, value_name = "VM")]
    pub vms: Vec<String>,
    /// Leave these out; may be given several times
    #[arg(long, value_name = "VM")]
    pub exclude: Vec<String>,
}

/// VMs that may be named; all if none is.
#[derive(Debug, Args)]
pub struct AnyVms {
    /// The virtual machines: name, inventory path, id (vm-1021), UUID, or a group such as folder:Prod [default: all]
    #[arg(value_name = "VM")]
    pub vms: Vec<String>,
    /// Leave these out; may be given several times
    #[arg(long, value_name = "VM")]
    pub exclude: Vec<String>,
}

impl NamedVms {
    /// What the words say.
    ///
    /// # Errors
    /// 2 for a word that is no selector.
    pub fn selection(&self) -> Result<VmSelection, Failure> {
        Ok(VmSelection::parse(&self.vms, &self.exclude)?)
    }

    /// Of the VMs found for it those that a snapshot can be made of: among several, a template is
    /// passed over with a word. One that was named alone stays, and fails by its own reason.
    ///
    /// # Errors
    /// 18 if nothing is left.
    pub fn without_templates(&self, mut vms: Vec<VmSummary>) -> Result<Vec<VmSummary>, Failure> {
        if vms.len() > 1 {
            vms.retain(|vm| {
                if vm.is_template {
                    let path = printable(&vm.path);
                    note(&format!("note: {path} is a template and left out"));
                }
                !vm.is_template
            });
        }
        if vms.is_empty() {
            let wanted = self.vms.join(" ");
            return Err(Error::NothingSelected { wanted }.into());
        }
        Ok(vms)
    }
}

impl AnyVms {
    /// What the words say.
    ///
    /// # Errors
    /// 2 for a word that is no selector.
    pub fn selection(&self) -> Result<VmSelection, Failure> {
        Ok(VmSelection::parse(&self.vms, &self.exclude)?)
    }
}
