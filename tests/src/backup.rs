//! Backups on the bench: from the first to the end, or stopped in the middle.

use std::ffi::{OsStr, OsString};
use std::sync::atomic::Ordering;

use anyhow::Result;
use lab::Fault;

use crate::{Bench, Frozen, Outcome, Run, USER, VM};

/// A backup under way, with the disks as they were when it began.
#[derive(Debug)]
pub struct Backup {
    /// The program.
    pub run: Run,
    frozen: Frozen,
}

impl Backup {
    /// The disks as they were when it began.
    pub fn frozen(&self) -> &Frozen {
        &self.frozen
    }
}

impl Bench {
    /// Makes the repository.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn init(&self) -> Result<Outcome> {
        self.run(self.repository_arguments("init", &[]))
    }

    /// Backs the VM up. An option in `options` takes the place of the bench's own.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn backup(&mut self, options: &[&str]) -> Result<Outcome> {
        let backup = self.start_backup(options)?;
        self.finish(backup)
    }

    /// Starts a backup.
    ///
    /// # Errors
    ///
    /// When the program cannot be started.
    pub fn start_backup(&mut self, options: &[&str]) -> Result<Backup> {
        let frozen = self.shadow.freeze()?;
        Ok(Backup {
            run: self.start(self.backup_arguments(VM, options))?,
            frozen,
        })
    }

    /// Starts a backup and waits until it is in the middle of reading the first disk. It goes on
    /// slowly until other faults are ordered.
    ///
    /// # Errors
    ///
    /// When it does not come that far.
    pub fn start_backup_to_the_middle(&mut self, options: &[&str]) -> Result<Backup> {
        self.start_slow_backup(options, 150)
    }

    /// As [`Bench::start_backup_to_the_middle`], with so many milliseconds for each read.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn start_slow_backup(&mut self, options: &[&str], read_ms: u64) -> Result<Backup> {
        let slow = Fault {
            call: "VixDiskLib_ReadAsync".into(),
            delay_ms: Some(read_ms),
            ..Fault::default()
        };
        self.order(&[
            // Its marker tells when it fires.
            Fault {
                nth: Some(2),
                once: Some(true),
                ..slow.clone()
            },
            Fault {
                nth: Some(3),
                count: Some(0),
                ..slow
            },
        ])?;
        let markers = self.lab.root().join("fault-markers");
        let mut backup = self.start_backup(options)?;
        backup.run.wait_until("the second read", || {
            std::fs::read_dir(&markers).is_ok_and(|mut marker| marker.next().is_some())
        })?;
        Ok(backup)
    }

    /// Waits for a backup and remembers the point that it made.
    ///
    /// # Errors
    ///
    /// When the program hangs.
    pub fn finish(&mut self, backup: Backup) -> Result<Outcome> {
        let pid = backup.run.pid();
        let outcome = backup.run.wait()?;
        if outcome.signal.is_some() {
            self.killed.push(pid);
        }
        if let Some(point) = outcome.point_if_any() {
            self.points.insert(point, backup.frozen);
        }
        Ok(outcome)
    }

    /// Remembers a point whose run could not tell of it any more.
    pub fn has_made(&mut self, point: &str, frozen: Frozen) {
        self.points.insert(point.to_owned(), frozen);
    }

    /// Cleans up after dead runs at the VM. It watches the repository for a second only.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn janitor(&self, options: &[&str]) -> Result<Outcome> {
        let mut all = options.to_vec();
        if !options.contains(&"--look-seconds") {
            all.extend(["--look-seconds", "1"]);
        }
        self.run(self.vm_arguments("janitor", VM, &all))
    }

    /// Compares what vSphere says with the last point.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn audit(&self, options: &[&str]) -> Result<Outcome> {
        self.run(self.vm_arguments("audit", VM, options))
    }

    /// Kills a backup on the spot.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub fn kill(&mut self, backup: Backup) -> Result<Outcome> {
        self.killed.push(backup.run.pid());
        backup.run.kill()
    }

    /// The arguments of `backup`.
    pub fn backup_arguments(&self, vm: &str, options: &[&str]) -> Vec<OsString> {
        self.vm_arguments("backup", vm, options)
    }

    /// The arguments of a command that needs repository, state folder, VDDK and server.
    pub fn vm_arguments(&self, command: &str, vm: &str, options: &[&str]) -> Vec<OsString> {
        let state = self.path("state");
        let own = [
            ("--vddk", self.kit.as_os_str()),
            ("--state-dir", state.as_os_str()),
        ];
        let mut arguments = self.repository_arguments(command, options);
        arguments.insert(1, vm.into());
        add_missing(&mut arguments, &own);
        if self.counts_calls.load(Ordering::Relaxed) && ["backup", "run"].contains(&command) {
            add_missing(&mut arguments, &[("--disks-at-once", "1".as_ref())]);
        }
        self.add_server(&mut arguments);
        arguments
    }

    /// The arguments of a command that needs the server only.
    pub fn server_arguments(&self, command: &str, options: &[&str]) -> Vec<OsString> {
        let mut arguments = vec![OsString::from(command)];
        arguments.extend(options.iter().map(OsString::from));
        self.add_server(&mut arguments);
        arguments
    }

    fn add_server(&self, arguments: &mut Vec<OsString>) {
        let (url, password) = (self.vcenter.url(), self.path("secret/password"));
        let own: [(&str, &OsStr); 4] = [
            ("--server", url.as_ref()),
            ("--user", USER.as_ref()),
            ("--password-file", password.as_ref()),
            ("--thumbprint", self.vcenter.thumbprint_sha256().as_ref()),
        ];
        add_missing(arguments, &own);
    }

    /// The arguments of a command that needs the repository only.
    pub fn repository_arguments(&self, command: &str, options: &[&str]) -> Vec<OsString> {
        let (repository, passphrase) = (self.path("repository"), self.path("secret/passphrase"));
        let mut arguments: Vec<OsString> = vec![command.into(), "--json".into()];
        arguments.extend(options.iter().map(OsString::from));
        let own = [
            ("--repo", repository.as_os_str()),
            ("--passphrase-file", passphrase.as_os_str()),
        ];
        add_missing(&mut arguments, &own);
        arguments
    }
}

/// Adds the options that are not among the arguments yet.
fn add_missing(arguments: &mut Vec<OsString>, options: &[(&str, &OsStr)]) {
    for (name, value) in options {
        if !arguments.iter().any(|argument| argument == name) {
            arguments.extend([OsString::from(name), value.into()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_of_the_test_wins() {
        let mut arguments = vec![OsString::from("--a"), OsString::from("1")];
        add_missing(
            &mut arguments,
            &[("--a", "2".as_ref()), ("--b", "3".as_ref())],
        );
        assert_eq!(arguments, ["--a", "1", "--b", "3"]);
    }
}
