//! Every command line in the documents and in the help is one that the program takes.

use std::{fs, path::PathBuf};

use cbt_backup::cli::Cli;
use clap::{CommandFactory, Parser};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The lines of a text that call the program, continued lines joined.
fn command_lines(text: &str) -> Vec<String> {
    text.replace("\\\n", " ")
        .lines()
        .map(|line| line.trim().trim_start_matches("$ ").to_owned())
        .filter(|line| {
            line.starts_with("cbt-backup ") && !line.contains('`') && !line.contains('…')
        })
        .collect()
}

fn check(line: &str) {
    let words = line
        .split_whitespace()
        .map(|word| word.trim_matches('\'').to_owned());
    match Cli::try_parse_from(words) {
        Ok(_) => {}
        Err(error) if !error.use_stderr() => {}
        Err(error) => panic!("the documents say {line:?}, but: {error}"),
    }
}

#[test]
fn of_readme_and_doc() {
    let mut checked = 0;
    let mut files = vec![root().join("README.md")];
    files.extend(
        fs::read_dir(root().join("doc"))
            .unwrap()
            .map(|entry| entry.unwrap().path()),
    );
    for file in files
        .iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
    {
        for line in command_lines(&fs::read_to_string(file).unwrap()) {
            check(&line);
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} command lines were found");
}

#[test]
fn of_every_help_text() {
    let program = Cli::command();
    for command in program
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let lines = command_lines(&help.replace("AA:BB:…", "AA"));
        assert!(
            !lines.is_empty(),
            "the help of {} has no example",
            command.get_name()
        );
        for line in lines {
            check(&line);
        }
    }
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md"))
        .unwrap()
        .lines()
        .count();
    assert!(lines <= 200, "{lines} lines");
}
