//! Commands of the administrator's that a run starts around its snapshot.

use std::{
    os::{fd::AsFd as _, unix::process::CommandExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};

use super::{
    error::Error,
    monitor::{Event, Monitor},
};
use crate::vsphere::Vm;

/// How often a running command is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// What a command that is ended has to clean up in, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// When a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Right before the snapshot is asked for.
    Before,
    /// Once the snapshot is there, or will not come.
    AfterSnapshot,
    /// When the run is over.
    After,
}

impl Moment {
    /// The word for it, in events and in `CBT_HOOK`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::AfterSnapshot => "after-snapshot",
            Self::After => "after",
        }
    }
}

/// What a command before the snapshot that fails means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HookPolicy {
    /// The run fails; nothing was made yet.
    #[default]
    Fail,
    /// A warning.
    Warn,
}

/// The commands, each a line for `/bin/sh -c`.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// As [`Moment::Before`].
    pub before: Option<String>,
    /// As [`Moment::AfterSnapshot`].
    pub after_snapshot: Option<String>,
    /// As [`Moment::After`].
    pub after: Option<String>,
    /// Makes the shell that runs a line, with no secret in its environment.
    pub shell: fn(&str) -> Command,
    /// How long each may take. Then it is ended, and has failed.
    pub time_out: Duration,
    /// What it means when the first of them fails. The others only warn: the point is made by then.
    pub policy: HookPolicy,
}

impl Hooks {
    /// No command at all.
    pub fn none() -> Self {
        Self {
            before: None,
            after_snapshot: None,
            after: None,
            shell: |_| Command::new("true"),
            time_out: Duration::ZERO,
            policy: HookPolicy::Warn,
        }
    }

    fn command(&self, moment: Moment) -> Option<&str> {
        match moment {
            Moment::Before => self.before.as_deref(),
            Moment::AfterSnapshot => self.after_snapshot.as_deref(),
            Moment::After => self.after.as_deref(),
        }
    }
}

/// The hooks of one run.
#[derive(Clone, Copy)]
pub struct Hooked<'a> {
    /// The commands.
    pub hooks: &'a Hooks,
    /// The VM.
    pub vm: &'a Vm,
    /// The run's session.
    pub run: &'a str,
    /// Who watches.
    pub monitor: &'a dyn Monitor,
    /// Set by a signal, which ends the first command only: the others put something back.
    pub cancel: &'a AtomicBool,
}

impl std::fmt::Debug for Hooked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooked")
            .field("hooks", self.hooks)
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

impl Hooked<'_> {
    /// Runs the command for a moment, if there is one. `words` are added to its environment.
    ///
    /// # Errors
    /// [`Error::Hook`] when the first command fails and that is to fail the run, and [`Error::Interrupted`].
    pub fn run(&self, moment: Moment, words: &[(&str, &str)]) -> Result<(), Error> {
        let Some(command) = self.hooks.command(moment) else {
            return Ok(());
        };
        self.monitor
            .step(&format!("run the command {}", moment.word()));
        let Err(reason) = self.call(moment, command, words) else {
            return Ok(());
        };
        if moment == Moment::Before {
            if self.cancel.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            if self.hooks.policy == HookPolicy::Fail {
                return Err(Error::Hook {
                    moment: moment.word(),
                    reason,
                });
            }
        }
        let message = format!("the command {}: {reason}", moment.word());
        self.monitor.event(&Event::warning("hook-failed", message));
        Ok(())
    }

    /// What went wrong, if something did.
    fn call(&self, moment: Moment, command: &str, words: &[(&str, &str)]) -> Result<(), String> {
        let mut shell = (self.hooks.shell)(command);
        shell.stdin(Stdio::null());
        // Standard output is ours, perhaps JSON.
        let output = std::io::stderr().as_fd().try_clone_to_owned();
        shell.stdout(output.map_or_else(|_| Stdio::null(), Stdio::from));
        // A group of its own: Ctrl-C is for us, and what the command has started ends with it.
        shell.process_group(0);
        let path = format!("{}/{}", self.vm.folder_path, self.vm.name);
        shell
            .env("CBT_HOOK", moment.word())
            .env("CBT_HOOK_VM", without_nul(&self.vm.name))
            .env("CBT_HOOK_VM_ID", without_nul(&self.vm.id))
            .env("CBT_HOOK_VM_PATH", without_nul(&path))
            .env("CBT_HOOK_RUN", self.run);
        for (name, value) in words {
            shell.env(name, without_nul(value));
        }
        let child = shell
            .spawn()
            .map_err(|error| format!("failed to start it: {error}"))?;
        let status = self.watch(moment, child)?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("it ended with {status}"))
        }
    }

    /// Waits for the command, and ends it when its time is over.
    fn watch(&self, moment: Moment, mut child: Child) -> Result<ExitStatus, String> {
        let begun = Instant::now();
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let end = |signal| group.map(|group| kill_process_group(group, signal));
        loop {
            let looked = child.try_wait();
            if let Some(status) = looked.map_err(|error| format!("failed to wait: {error}"))? {
                return Ok(status);
            }
            let interrupted = moment == Moment::Before && self.cancel.load(Ordering::Relaxed);
            if interrupted || begun.elapsed() >= self.hooks.time_out {
                break;
            }
            thread::sleep(LOOK);
        }
        let _ = end(Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < GRACE && !matches!(child.try_wait(), Ok(Some(_))) {
            thread::sleep(LOOK);
        }
        let _ = end(Signal::KILL);
        let _ = child.wait();
        Err(format!(
            "it took longer than {} s and was ended",
            begun.elapsed().min(self.hooks.time_out).as_secs()
        ))
    }
}

/// A name from outside may have a NUL, which no environment takes.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Keeps what is told.
    #[derive(Default)]
    struct Told(Mutex<Vec<Event>>);

    impl Monitor for Told {
        fn step(&self, _name: &str) {}
        fn disk_begins(&self, _key: i32, _label: &str, _total_bytes: u64) {}
        fn advance(&self, _key: i32, _bytes: u64) {}
        fn disk_ends(&self, _key: i32) {}
        fn event(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    fn run(hooks: &Hooks, moment: Moment, cancelled: bool) -> (Result<(), Error>, Vec<Event>) {
        let told = Told::default();
        let hooked = Hooked {
            hooks,
            vm: &Vm::default(),
            run: "01JD",
            monitor: &told,
            cancel: &AtomicBool::new(cancelled),
        };
        let result = hooked.run(moment, &[("CBT_HOOK_RESULT", "do\0ne")]);
        (result, told.0.into_inner().unwrap())
    }

    fn hooks(command: &str, policy: HookPolicy) -> Hooks {
        Hooks {
            before: Some(command.to_owned()),
            after_snapshot: Some(command.to_owned()),
            after: None,
            shell: |line| {
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", line]);
                shell
            },
            time_out: Duration::from_millis(200),
            policy,
        }
    }

    #[test]
    fn the_environment_tells_of_the_run() {
        let command =
            "test \"$CBT_HOOK $CBT_HOOK_RUN $CBT_HOOK_RESULT\" = 'before 01JD do\u{fffd}ne'";
        let (result, told) = run(&hooks(command, HookPolicy::Fail), Moment::Before, false);
        assert!(result.is_ok() && told.is_empty(), "{result:?} {told:?}");
        let (result, _) = run(&hooks("exit 1", HookPolicy::Fail), Moment::After, false);
        assert!(result.is_ok(), "there is none: {result:?}");
    }

    #[test]
    fn a_failure_fails_the_run_or_warns() {
        let (result, _) = run(&hooks("exit 7", HookPolicy::Fail), Moment::Before, false);
        assert!(result.unwrap_err().to_string().contains("exit status: 7"));
        let (result, told) = run(&hooks("exit 7", HookPolicy::Warn), Moment::Before, false);
        assert!(result.is_ok());
        assert_eq!(told[0].kind, "hook-failed");
        let (result, told) = run(
            &hooks("exit 7", HookPolicy::Fail),
            Moment::AfterSnapshot,
            false,
        );
        assert!(result.is_ok());
        assert!(told[0].message.contains("exit status: 7"), "{told:?}");
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let command = format!("(sleep 2; touch {}) & wait", mark.display());
        let begun = Instant::now();
        let (result, told) = run(&hooks(&command, HookPolicy::Warn), Moment::Before, false);
        assert!(result.is_ok());
        assert!(told[0].message.contains("longer than"), "{told:?}");
        thread::sleep(Duration::from_secs(3).saturating_sub(begun.elapsed()));
        assert!(!mark.exists());
    }

    #[test]
    fn a_signal_ends_the_first_command_and_no_other() {
        let (result, _) = run(&hooks("sleep 9", HookPolicy::Warn), Moment::Before, true);
        assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
        let (result, told) = run(
            &hooks("true", HookPolicy::Warn),
            Moment::AfterSnapshot,
            true,
        );
        assert!(result.is_ok() && told.is_empty(), "{result:?} {told:?}");
    }
}
