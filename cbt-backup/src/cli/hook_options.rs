//! Options of the commands around a snapshot.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::shell::shell;
use crate::engine;

/// What is run around a snapshot.
#[derive(Debug, Args)]
#[command(next_help_heading = "Commands around the snapshot")]
pub struct HookOptions {
    /// Shell command to run right before the snapshot of each VM, such as one that stops a database from writing; `man cbt-backup-backup` has its environment
    #[arg(long, value_name = "COMMAND")]
    before: Option<String>,
    /// Shell command to run once the snapshot is there, or will not come
    #[arg(long, value_name = "COMMAND")]
    after_snapshot: Option<String>,
    /// Shell command to run at the end of each VM's run, whatever came of it
    #[arg(long, value_name = "COMMAND")]
    after: Option<String>,
    /// Seconds that each of these commands may take before it is ended
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400), value_name = "SECONDS")]
    hook_seconds: u64,
    /// What to do when the command before the snapshot fails; the others only warn
    #[arg(long, value_enum, default_value_t = HookPolicy::Fail, value_name = "POLICY")]
    hook_policy: HookPolicy,
}

/// What a command that fails means.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum HookPolicy {
    /// Fail the run with exit code 13, before a snapshot is made
    Fail,
    /// Go on with a warning
    Warn,
}

impl HookOptions {
    /// The commands.
    pub fn hooks(&self) -> engine::Hooks {
        engine::Hooks {
            before: self.before.clone(),
            after_snapshot: self.after_snapshot.clone(),
            after: self.after.clone(),
            shell,
            time_out: Duration::from_secs(self.hook_seconds),
            policy: match self.hook_policy {
                HookPolicy::Fail => engine::HookPolicy::Fail,
                HookPolicy::Warn => engine::HookPolicy::Warn,
            },
        }
    }
}

/// The environment of the commands, for the help.
pub const HOOK_ENVIRONMENT: &str = "\
Environment of --before, --after-snapshot and --after (no secret is in it; standard output goes to standard error):
  CBT_HOOK              before, after-snapshot or after
  CBT_HOOK_VM           the VM's name; CBT_HOOK_VM_ID its id (vm-21), CBT_HOOK_VM_PATH its inventory path
  CBT_HOOK_RUN          the run's id, the same in all three
  CBT_HOOK_SNAPSHOT     after-snapshot: the snapshot's id, empty if there is none
  CBT_HOOK_RESULT       after: done, incomplete or failed
  CBT_HOOK_POINT        after: the new point's id, empty if there is none
  CBT_HOOK_LEFT_BEHIND  after: yes if something is left in vSphere
  CBT_HOOK_ERROR        after: why the run failed, else empty";
