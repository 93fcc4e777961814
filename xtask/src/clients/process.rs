//! Running programs of other people and hearing what they say.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};

/// What a program left behind when it ended.
#[derive(Debug)]
pub(super) struct Said {
    /// Did it end with 0?
    pub(super) success: bool,
    /// Its exit code; `None` after a signal.
    pub(super) code: Option<i32>,
    /// Standard output, then standard error.
    pub(super) text: String,
}

/// Runs a program to its end, without input.
///
/// # Errors
///
/// When it cannot be started.
pub(super) fn hear(command: &mut Command) -> anyhow::Result<Said> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("failed to start {name}"))?;
    let text = [output.stdout, output.stderr].concat();
    Ok(Said {
        success: output.status.success(),
        code: output.status.code(),
        text: String::from_utf8_lossy(&text).into_owned(),
    })
}

/// Runs a program that must succeed. Returns what it said.
///
/// # Errors
///
/// When it cannot be started, and when it fails: then with the end of what it said.
pub(crate) fn must(command: &mut Command) -> anyhow::Result<String> {
    let said = hear(command)?;
    if !said.success {
        let name = command.get_program().to_string_lossy().into_owned();
        bail!(
            "{name} ended with {:?} and said:\n{}",
            said.code,
            tail(&said.text)
        );
    }
    Ok(said.text)
}

/// The last lines of a text, enough to see what went wrong.
pub(super) fn tail(text: &str) -> String {
    const LINES: usize = 30;
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

/// Checks that a program is on the path. The second word is the package that brings it in Debian.
///
/// # Errors
///
/// When it is not there: the error names the package.
pub(crate) fn need(program: &str, package: &str) -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(program).is_file()) {
        return Ok(());
    }
    bail!("no {program} (Debian package {package})")
}

/// A command without what cargo puts into the environment of the programs it runs: its own
/// `LD_LIBRARY_PATH` names folders of this build.
pub(crate) fn foreign(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("LD_LIBRARY_PATH").env("LC_ALL", "C");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_says_why() {
        let said = hear(foreign("sh").args(["-c", "echo one; echo two >&2; exit 3"])).unwrap();
        assert_eq!((said.code, said.text.as_str()), (Some(3), "one\ntwo\n"));
        let error = must(foreign("sh").args(["-c", "echo no; exit 1"])).unwrap_err();
        assert!(error.to_string().ends_with("no"), "{error}");
        assert_eq!(
            must(foreign("sh").args(["-c", "echo yes"])).unwrap(),
            "yes\n"
        );
        assert!(hear(&mut foreign("/nonexistent/program")).is_err());
    }

    #[test]
    fn a_missing_program_is_named_with_its_package() {
        need("sh", "dash").unwrap();
        let error = need("no-such-program", "some-package").unwrap_err();
        assert!(error.to_string().contains("some-package"), "{error}");
    }

    #[test]
    fn the_tail_is_the_end() {
        let text: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let tail = tail(&text.join("\n"));
        assert!(tail.starts_with("70\n") && tail.ends_with("\n99"), "{tail}");
    }
}
