//! No parser of answers is without its fuzz target.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Parsers that others reach with every input, so that no target calls them by name.
const WITHIN_OTHERS: &[&str] = &[
    // `retrieve_below` and its kin give values as they come: `PropertyMap`.
    "T",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.contains("test") || name.starts_with("fuzzing") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The word that `text` begins with.
fn word(text: &str) -> String {
    let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
    text.chars().take_while(is_part).collect()
}

/// The words that follow `before` anywhere in `text`.
fn words_after<'t>(text: &'t str, before: &'t str) -> impl Iterator<Item = String> + 't {
    text.split(before).skip(1).map(word)
}

#[test]
fn every_parser_of_answers_is_fuzzed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vsphere");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    let mut parsers = BTreeSet::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        // The tests of a file stand at its end.
        let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        parsers.extend(words_after(text, "Properties for "));
        for call in [
            ".read(&operation, ",
            ".write(&operation, ",
            ".exchange(&operation, ",
        ] {
            parsers.extend(words_after(text, call));
        }
    }
    // Closures and paths are seen by their own names above.
    parsers.retain(|name| !name.is_empty() && !WITHIN_OTHERS.contains(&name.as_str()));
    let known = [
        "Entity",
        "VmProperties",
        "read_tasks",
        "read_ticket",
        "reference",
    ];
    for name in known {
        assert!(parsers.contains(name), "{name} is not found: {parsers:?}");
    }
    let fuzzed = fs::read_to_string(folder.join("fuzzing.rs")).unwrap();
    let (_, fuzzed) = fuzzed.split_once("pub fn answer").unwrap();
    let words: BTreeSet<String> = fuzzed
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .map(str::to_owned)
        .collect();
    let missing: Vec<&String> = parsers.difference(&words).collect();
    assert!(missing.is_empty(), "no fuzz target calls {missing:?}");
}

#[test]
fn every_kind_of_answer_has_a_corpus() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for target in ["vsphere_answer", "vsphere_fragment", "vsphere_text"] {
        assert!(fuzz.join(format!("fuzz_targets/{target}.rs")).is_file());
        let mut kinds = BTreeSet::new();
        for entry in fs::read_dir(fuzz.join("corpus").join(target)).unwrap() {
            let body = fs::read(entry.unwrap().path()).unwrap();
            kinds.insert(body[0]);
        }
        if target != "vsphere_text" {
            // The first byte says the kind, from the digit 0 on.
            let all: BTreeSet<u8> = (b'0'..b'0' + 15).collect();
            assert_eq!(kinds, all, "{target}");
        }
    }
}
