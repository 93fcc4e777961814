//! `--keep`: the stage stays, for the user to play on.

use std::ffi::OsStr;

use anyhow::Context as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::run::Played;
use crate::output::line;

/// Prints what to try and waits for Ctrl-C.
///
/// # Errors
///
/// When signals cannot be waited for.
pub(super) fn until_interrupted(played: &Played) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("failed to wait for Ctrl-C")?;
    line("");
    line("The stand-in vCenter goes on running. In another terminal, write as the guest would,");
    line("back up what changed, and restore a point:");
    for command in commands(played) {
        line("");
        line(&command);
    }
    line("");
    line("Ctrl-C here ends it.");
    signals.forever().next();
    line("stopped");
    Ok(())
}

fn commands(played: &Played) -> [String; 3] {
    let program = &played.program;
    let path = program.path.as_os_str();
    let words = |words: &[&str]| words.iter().map(|word| (*word).into()).collect::<Vec<_>>();
    let lab = played.stage.lab.root().as_os_str();
    let stand_in = played
        .stand_in
        .as_deref()
        .map_or("vcenter-stub".as_ref(), |path| path.as_os_str());

    let mut write = vec![stand_in.to_owned(), "write".into(), lab.to_owned()];
    write.extend(words(&[&played.vm, "2000", "1M", "--text", "hello"]));
    let mut backup = vec![path.to_owned(), "backup".into(), (&played.vm).into()];
    backup.extend(program.repository.iter().chain(&program.server).cloned());
    let mut restore = vec![
        path.to_owned(),
        "restore".into(),
        (&played.last_point).into(),
    ];
    restore.extend([
        "--to".into(),
        played.folder.path().join("again").into_os_string(),
    ]);
    restore.push("--force".into());
    restore.extend(program.repository.iter().cloned());
    [pasted(&write), pasted(&backup), pasted(&restore)]
}

/// The words as a shell takes them, an option a line.
fn pasted(words: &[std::ffi::OsString]) -> String {
    let mut text = String::new();
    for word in words {
        let word = word.to_string_lossy();
        if word.starts_with("--") {
            text += " \\\n    ";
        } else if !text.is_empty() {
            text.push(' ');
        }
        text += &quoted(OsStr::new(word.as_ref()));
    }
    text
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@=+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_shell_reads_back_the_words() {
        let words = [
            "printf",
            "%s|",
            "--a",
            "two words",
            "it's",
            "--b",
            "$HOME",
            "",
        ];
        let text = pasted(&words.map(Into::into));
        assert!(text.contains(" \\\n    --b"), "{text}");
        let output = Command::new("sh").args(["-c", &text]).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, "--a|two words|it's|--b|$HOME||");
    }
}
