//! Files in the tree that a program makes.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};

use crate::output::line;
use crate::workspace;

/// What to do with the text that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Put it into the tree.
    Write,
    /// Fail when the tree holds something else.
    Check,
}

impl Mode {
    pub(crate) fn new(check: bool) -> Self {
        if check { Self::Check } else { Self::Write }
    }
}

/// Writes or checks a generated file, named from the root of the workspace. `command` is the
/// command that brings it up to date.
///
/// # Errors
///
/// When the file differs and is only to be checked, and when it cannot be read or written.
pub(crate) fn settle(mode: Mode, name: &str, made: &str, command: &str) -> anyhow::Result<()> {
    settle_in(&workspace::root()?, mode, name, made, command)
}

fn settle_in(root: &Path, mode: Mode, name: &str, made: &str, command: &str) -> anyhow::Result<()> {
    let path = root.join(name);
    let old = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        read => Some(read.with_context(|| format!("failed to read {name}"))?),
    };
    if old.as_deref() == Some(made) {
        line(&format!("{name} is up to date"));
        return Ok(());
    }
    if mode == Mode::Check {
        let place = difference(old.as_deref().unwrap_or_default(), made);
        bail!(
            "{name} is not what its source makes: {place}\nhint: run `{command}` and commit the result"
        );
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("failed to make {}", folder.display()))?;
    }
    fs::write(&path, made).with_context(|| format!("failed to write {name}"))?;
    line(&format!("wrote {name}"));
    Ok(())
}

/// The first line that differs, in words.
fn difference(old: &str, new: &str) -> String {
    let mut lines = (1..).zip(old.lines().zip(new.lines()));
    match lines.find(|(_, (old, new))| old != new) {
        Some((number, (old, new))) => format!("line {number} is\n  {old}\nand should be\n  {new}"),
        None => format!(
            "it has {} lines and should have {}",
            old.lines().count(),
            new.lines().count()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_then_checked() {
        let folder = tempfile::tempdir().unwrap();
        let settle = |mode, text| settle_in(folder.path(), mode, "a/b.txt", text, "make b");
        assert!(
            settle(Mode::Check, "one\n").is_err(),
            "a missing file is no match"
        );
        settle(Mode::Write, "one\ntwo\n").unwrap();
        settle(Mode::Check, "one\ntwo\n").unwrap();
        let error = settle(Mode::Check, "one\n2\n").unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("make b"),
            "{error}"
        );
        let error = settle(Mode::Check, "one\n").unwrap_err().to_string();
        assert!(error.contains("2 lines and should have 1"), "{error}");
    }
}
