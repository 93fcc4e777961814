//! A program that runs: signals, waiting, and what it left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::Outcome;

/// Nothing here takes this long; what does hangs.
const PATIENCE: Duration = Duration::from_secs(100);
/// How often is looked.
const POLL: Duration = Duration::from_millis(2);

/// A started program. Its output goes to files, so it never waits for a reader.
#[derive(Debug)]
pub struct Run {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Run {
    /// Starts a command; its output goes to `<output>.out` and `<output>.err`.
    pub(crate) fn start(mut command: Command, output: &Path) -> Result<Self> {
        let (stdout, stderr) = (output.with_extension("out"), output.with_extension("err"));
        command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout)?)
            .stderr(File::create(&stderr)?);
        let child = command
            .spawn()
            .with_context(|| format!("failed to start {command:?}"))?;
        Ok(Self {
            child,
            stdout,
            stderr,
        })
    }

    /// Its process id, which it keeps when it starts itself again.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file with what it has printed so far.
    pub fn stdout_file(&self) -> &Path {
        &self.stdout
    }

    /// Sends a signal by its short name, such as `INT`.
    ///
    /// # Errors
    ///
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) -> Result<()> {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "kill -s \"$0\" \"$1\"", name])
            .arg(self.pid().to_string());
        ensure!(
            shell.status()?.success(),
            "failed to send {name} to {}",
            self.pid()
        );
        Ok(())
    }

    /// Waits until something is so.
    ///
    /// # Errors
    ///
    /// When the program ends before, or it takes too long.
    pub fn wait_until(&mut self, what: &str, so: impl Fn() -> bool) -> Result<()> {
        let begin = Instant::now();
        while !so() {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the program ended before {what}: {:#?}",
                    self.outcome(status)?
                );
            }
            ensure!(begin.elapsed() < PATIENCE, "waited too long for {what}");
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits for the end.
    ///
    /// # Errors
    ///
    /// When it takes too long; then the program is killed.
    pub fn wait(mut self) -> Result<Outcome> {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return self.outcome(status);
            }
            if begin.elapsed() > PATIENCE {
                self.child.kill()?;
                let status = self.child.wait()?;
                bail!("the program hangs: {:#?}", self.outcome(status)?);
            }
            thread::sleep(POLL);
        }
    }

    /// Kills the program on the spot.
    ///
    /// # Errors
    ///
    /// When it cannot be killed.
    pub fn kill(mut self) -> Result<Outcome> {
        self.child.kill()?;
        let status = self.child.wait()?;
        self.outcome(status)
    }

    fn outcome(&self, status: ExitStatus) -> Result<Outcome> {
        let (stdout, stderr) = (fs::read(&self.stdout)?, fs::read(&self.stderr)?);
        Ok(Outcome::new(&Output {
            status,
            stdout,
            stderr,
        }))
    }
}

impl Drop for Run {
    /// A test that fails leaves no program behind. One that has ended is not harmed.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(folder: &Path, script: &str) -> Run {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Run::start(command, &folder.join("run")).unwrap()
    }

    #[test]
    fn output_and_exit_code_arrive() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = shell(folder.path(), "echo '{\"a\":1}'; echo why >&2; exit 3")
            .wait()
            .unwrap();
        let outcome = outcome.expect_code(3).expect_said("why");
        assert_eq!(outcome.result()["a"], 1);
    }

    #[test]
    fn signals_arrive_and_an_early_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let script = format!(
            "trap 'exit 9' TERM; : > '{}'; while :; do :; done",
            ready.display()
        );
        let mut run = shell(folder.path(), &script);
        run.wait_until("it is ready", || ready.exists()).unwrap();
        // Not INT: what is started in the background by a shell is deaf to that.
        run.signal("TERM").unwrap();
        assert_eq!(run.wait().unwrap().code, Some(9));

        let mut run = shell(folder.path(), "exit 4");
        assert!(run.wait_until("never", || false).is_err());
        let run = shell(folder.path(), "while :; do :; done");
        assert_eq!(run.kill().unwrap().signal, Some(9));
    }
}
