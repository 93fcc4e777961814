//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

pub mod block_size;
pub mod budget_options;
pub mod config;
pub mod exit_code;
mod failure_report;
pub mod hook_options;
pub mod interval;
pub mod key_file;
pub mod look_options;
pub mod options;
pub mod output;
pub mod past_span;
pub mod percent;
mod placed;
pub mod progress;
pub mod rate;
pub mod reexec;
pub mod secret_input;
pub mod selection;
mod shell;
mod state_folder;
pub mod state_options;
pub mod target_options;
pub mod transport_options;

use crate::commands;

const EXIT_CODES: &str = "\
Exit codes:
   0  done                                      11  another run works on this VM
   1  unexpected failure                        12  password, thumbprint or key refused
   2  wrong usage                               13  vSphere reported a fault
   3  incomplete: some disks failed             14  VDDK missing or unusable
   4  verify found damage                       15  disk could not be read or written
   5  done, but something is left in vSphere    16  repository not writable (full, rights)
   6  an audit found vSphere's answers wrong    17  target exists
  10  no repository there
 130  interrupted                               18  VM or point not found or ambiguous";

/// Agentless backup of VMware virtual machines by Changed Block Tracking.
///
/// Reads the disks of a snapshot through VMware's VDDK, which is not included, into a
/// deduplicating, compressed and encrypted repository. Every point is complete by itself.
#[derive(Debug, Parser)]
#[command(name = "cbt-backup", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Global {
    /// Print JSON: one document for queries, one object a line for long work
    #[arg(long, global = true)]
    pub json: bool,
    /// Show no progress; warnings and results only
    #[arg(short, long, global = true, visible_alias = "no-progress")]
    pub quiet: bool,
    /// Say more, for finding faults: -v steps, -vv every call
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
    /// A TOML file with defaults for options
    #[arg(long, global = true, env = "CBT_BACKUP_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a repository
    Init(commands::init::Init),
    /// Back virtual machines up
    Backup(Box<commands::backup::Backup>),
    /// Back virtual machines up again and again
    Run(Box<commands::run::Run>),
    /// Check whether what vSphere says of disks is true
    Audit(Box<commands::audit::Audit>),
    /// List the points of a repository
    List(commands::list::List),
    /// Show everything known of one point
    Show(commands::show::Show),
    /// Show how much of a repository each virtual machine needs
    Space(commands::space::Space),
    /// Restore disks of a point to raw files
    Restore(commands::restore::Restore),
    /// Copy points to another repository
    Copy(Box<commands::copy::Copy>),
    /// Check that what the repository holds is whole
    Verify(commands::verify::Verify),
    /// Drop points that no rule keeps
    Forget(Box<commands::forget::Forget>),
    /// Bring a dropped point back
    Undelete(commands::undelete::Undelete),
    /// Remove what no point needs any more
    Prune(commands::prune::Prune),
    /// Show, add, replace and remove the keys of a repository
    Key(Box<commands::key::Key>),
    /// Find and undo what dead runs left in vSphere
    Janitor(Box<commands::janitor::Janitor>),
    /// List the virtual machines of a server
    Vms(commands::vms::Vms),
    /// Show and switch changed block tracking
    Cbt(Box<commands::cbt::Cbt>),
    /// Print the smallest role that will do, or test whether the account has it
    Privileges(Box<commands::privileges::Privileges>),
    /// Show which VDDK is found and what it can do
    Info(commands::info::Info),
    /// Print the manual page
    #[command(hide = true)]
    Man(commands::man::Man),
}

impl Command {
    /// True for commands that end in order after a signal; any other just ends.
    pub fn ends_by_itself(&self) -> bool {
        matches!(
            self,
            Self::Backup(_)
                | Self::Run(_)
                | Self::Audit(_)
                | Self::Janitor(_)
                | Self::Restore(_)
                | Self::Copy(_)
                | Self::Verify(_)
                | Self::Prune(_)
                | Self::Cbt(_)
                | Self::Vms(_)
                | Self::Privileges(_)
        )
    }

    /// The options that name VDDK, where the command needs it.
    pub fn vddk(&self) -> Option<&options::VddkOptions> {
        match self {
            Self::Backup(backup) => Some(&backup.vddk),
            Self::Run(run) => Some(&run.backup.vddk),
            Self::Audit(audit) => Some(&audit.vddk),
            Self::Janitor(janitor) => Some(&janitor.vddk),
            Self::Info(info) => Some(&info.vddk),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        super::Cli::command().debug_assert();
    }

    #[test]
    fn no_option_takes_a_secret() {
        fn walk(command: &clap::Command) {
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str();
                assert!(
                    !matches!(name, "password" | "passphrase"),
                    "{}: {name}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(walk);
        }
        walk(&super::Cli::command());
    }
}
