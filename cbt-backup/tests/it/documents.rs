//! Every command line in the documents and in the help is one that the program takes.

use std::{
    fs,
    path::{Path, PathBuf},
};

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

/// The kinds of the events that a source text makes: the first text after `Event::info(` or `Event::warning(`.
fn event_kinds(source: &str) -> Vec<String> {
    let mut kinds = Vec::new();
    for word in ["Event::info(", "Event::warning("] {
        for behind in source.split(word).skip(1) {
            let behind = behind.trim_start();
            if let Some((kind, _)) = behind
                .strip_prefix('"')
                .and_then(|text| text.split_once('"'))
            {
                kinds.push(kind.to_owned());
            }
        }
    }
    kinds
}

fn sources(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push(path);
        }
    }
}

#[test]
fn every_event_is_explained_to_the_administrator() {
    let operations = fs::read_to_string(root().join("doc/operations.md")).unwrap();
    let mut files = Vec::new();
    sources(&root().join("cbt-backup/src"), &mut files);
    let mut kinds: Vec<String> = files
        .iter()
        .flat_map(|file| event_kinds(&fs::read_to_string(file).unwrap()))
        .collect();
    kinds.sort();
    kinds.dedup();
    assert!(kinds.len() > 30, "{kinds:?}");
    kinds.push("audited".to_owned());
    let unexplained: Vec<_> = kinds
        .iter()
        .filter(|kind| !operations.contains(&format!("`{kind}`")))
        .collect();
    assert!(unexplained.is_empty(), "{unexplained:?}");
}

#[test]
fn the_readme_is_short() {
    let lines = fs::read_to_string(root().join("README.md"))
        .unwrap()
        .lines()
        .count();
    assert!(lines <= 200, "{lines} lines");
}
