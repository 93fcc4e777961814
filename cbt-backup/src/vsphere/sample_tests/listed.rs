//! No sample is without a test: a file that is new in the folders fails here until one names it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::recorded::samples;

/// What stands beside the samples.
const BESIDE: &[&str] = &["README.md", "LICENSE-pyvmomi.txt", "NOTICE-pyvmomi.txt"];

/// The tests that read samples. They name them by their numbers, or whole.
const TESTS: &[&str] = &[
    include_str!("../sample_tests.rs"),
    include_str!("constructed.rs"),
    include_str!("recorded.rs"),
    include_str!("../property/update/tests.rs"),
    include_str!("../wire_tests/pages.rs"),
];
/// The tests that compare requests; those over the wire name files.
const REQUEST_TESTS: &[&str] = &[
    include_str!("requests.rs"),
    include_str!("requests/acting.rs"),
    include_str!("../wire_tests.rs"),
    include_str!("../wire_tests/pages.rs"),
    include_str!("../wire_tests/watch.rs"),
];

/// The names of the samples in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !BESIDE.contains(&name.as_str()))
        .collect()
}

/// True if a test has the sample's number or its whole name in quotes, or the file's path.
fn is_named(tests: &[&str], sample: &str) -> bool {
    let stem = sample.strip_suffix(".xml").unwrap_or(sample);
    let number = stem.split('-').next().unwrap();
    let quoted = [
        format!("\"{number}\""),
        format!("\"{stem}\""),
        format!("/{sample}\""),
    ];
    tests
        .iter()
        .any(|test| quoted.iter().any(|name| test.contains(name.as_str())))
}

/// The samples of a folder that no test names.
fn unnamed(folder: &Path, tests: &[&str]) -> Vec<String> {
    let all = names(folder).into_iter();
    all.filter(|sample| !is_named(tests, sample)).collect()
}

fn testdata(folder: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/vsphere/testdata")
        .join(folder)
}

#[test]
fn every_sample_of_the_tree_is_named_by_a_test() {
    let answers = unnamed(&testdata("answers"), TESTS);
    // What tests of transport need, and no sample of an answer.
    let known = ["blanks.gz", "c44-current-time.xml.gz"];
    let rest: Vec<&String> = answers
        .iter()
        .filter(|name| !known.contains(&name.as_str()))
        .collect();
    assert!(rest.is_empty(), "no test names {rest:?}");
    let requests = unnamed(&testdata("requests"), REQUEST_TESTS);
    assert!(requests.is_empty(), "no test names {requests:?}");
}

#[test]
fn every_sample_of_the_folder_is_named_by_a_test() {
    let Some(folder) = samples() else { return };
    for (name, tests, count) in [
        ("recorded", TESTS, 29),
        ("constructed", TESTS, 54),
        ("requests", REQUEST_TESTS, 68),
    ] {
        let folder = folder.join(name);
        assert!(names(&folder).len() >= count, "{name} has lost some");
        let unnamed = unnamed(&folder, tests);
        assert!(unnamed.is_empty(), "no test names {unnamed:?} of {name}");
    }
}

#[test]
fn the_samples_of_the_tree_are_those_of_the_folder() {
    let Some(folder) = samples() else { return };
    for (theirs, ours) in [("constructed", "answers"), ("requests", "requests")] {
        for name in names(&folder.join(theirs)) {
            let wanted = fs::read(folder.join(theirs).join(&name)).unwrap();
            let had = fs::read(testdata(ours).join(&name)).ok();
            assert!(
                had == Some(wanted),
                "{theirs}/{name} is another in the tree"
            );
        }
    }
}

#[test]
fn a_sample_that_no_test_names_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["c44-current-time.xml", "c99-of-tomorrow.xml", "README.md"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    assert_eq!(unnamed(folder.path(), TESTS), ["c99-of-tomorrow.xml"]);
}
