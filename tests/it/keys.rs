//! What opens a repository: passphrases, key files, recovery passphrases, credentials of systemd.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;
use cbt_tests::{Bench, Outcome, files_holding, program};
use serde_json::Value;

/// Runs the program with nothing of this process's environment but what is given.
fn run(arguments: &[&str], variables: &[(&str, &Path)]) -> Result<Outcome> {
    let mut command = Command::new(program()?);
    command.args(arguments).env_clear();
    for (name, value) in variables {
        command.env(name, value);
    }
    Ok(Outcome::new(&command.output()?))
}

/// The one document of a query.
fn json(outcome: &Outcome) -> Value {
    outcome.values().remove(0)
}

#[test]
fn a_repository_opens_with_each_of_its_keys() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    fs::write(path("first"), "a first passphrase\n")?;
    fs::write(path("second"), "a second passphrase\n")?;
    let repo = text("repo");
    let base = ["--repo", repo.as_str(), "--json"];
    let with = |words: &[&str], opener: &[&str], variables: &[(&str, &Path)]| {
        run(&[words, base.as_slice(), opener].concat(), variables)
    };
    let (first, second, key) = (text("first"), text("second"), text("key"));
    let by_first = ["--passphrase-file", first.as_str()];
    let by_second = ["--passphrase-file", second.as_str()];
    let by_key = ["--key-file", key.as_str()];

    let made = json(&with(&["init"], &by_first, &[])?.expect_code(0));
    let recovery = made["recovery_passphrase"].as_str().unwrap().to_owned();
    fs::write(path("recovery"), recovery.to_lowercase())?;
    let recovery = text("recovery");
    let by_recovery = ["--passphrase-file", recovery.as_str()];
    let _ = with(&["list"], &by_recovery, &[])?.expect_code(0);

    let new_key = [
        "key",
        "add",
        "--label",
        "proxy",
        "--new-key-file",
        key.as_str(),
    ];
    let added = json(&with(&new_key, &by_first, &[])?.expect_code(0));
    assert_eq!(added["kind"], "key-file");
    assert_eq!(fs::read(path("key"))?.len(), 64);
    let _ = with(&["list"], &by_key, &[])?.expect_code(0);
    let _ = with(&["list"], &by_second, &[])?
        .expect_code(12)
        .expect_said("the passphrase opens none of the 3 key slots");

    let replace = ["key", "replace", "--new-passphrase-file", second.as_str()];
    let _ = with(&replace, &by_first, &[])?.expect_code(0);
    let _ = with(&["list"], &by_first, &[])?.expect_code(12);
    let slots = json(&with(&["key", "list"], &by_second, &[])?.expect_code(0));
    let slots = slots["slots"].as_array().unwrap();
    assert_eq!(slots.len(), 3, "{slots:#?}");
    let own = slots.iter().find(|slot| slot["opened_by"] == true).unwrap();
    assert_eq!(own["kind"], "passphrase");
    let _ = with(
        &["key", "remove", own["id"].as_str().unwrap()],
        &by_second,
        &[],
    )?
    .expect_code(12);
    let added = added["slot"].as_str().unwrap();
    let _ = with(&["key", "remove", added], &by_second, &[])?.expect_code(0);
    let _ = with(&["list"], &by_key, &[])?.expect_code(12);
    Ok(())
}

#[test]
fn systemds_credentials_open_where_nothing_else_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let credentials = folder.path().join("credentials");
    fs::create_dir(&credentials)?;
    let repo = folder.path().join("repo");
    let base = ["--repo", repo.to_str().unwrap()];
    let variable = [("CREDENTIALS_DIRECTORY", credentials.as_path())];
    let with = |words: &[&str]| run(&[words, base.as_slice()].concat(), &variable);
    let _ = with(&["init"])?.expect_code(2).expect_said("--key-file");
    fs::write(
        credentials.join("cbt-backup.passphrase"),
        "of the service\n",
    )?;
    let made = with(&["init", "--no-recovery"])?.expect_code(0);
    assert!(!made.stdout.contains("recovery passphrase"));
    let _ = with(&["list"])?.expect_code(0);
    fs::write(credentials.join("cbt-backup.key"), [7; 64])?;
    let _ = with(&["list"])?.expect_code(12).expect_said("key file");
    Ok(())
}

#[test]
fn a_recovery_passphrase_is_shown_once_and_stored_nowhere() -> Result<()> {
    let bench = Bench::new()?;
    let made = bench.init()?.expect_code(0);
    let shown = bench.run(bench.repository_arguments("key", &["add", "--recovery"]))?;
    let shown = shown.expect_code(0);
    let told = bench.run(bench.repository_arguments("key", &["list"]))?;
    let told = told.expect_code(0);
    for document in [json(&made), json(&shown)] {
        let recovery = document["recovery_passphrase"].as_str().unwrap();
        assert_eq!(recovery.len(), 39, "{recovery}");
        assert!(!told.stdout.contains(recovery) && !told.stderr.contains(recovery));
        for text in [recovery.to_owned(), recovery.replace('-', "")] {
            assert_eq!(
                files_holding(&bench.path("repository"), &text)?,
                Vec::<PathBuf>::new()
            );
        }
    }
    Ok(())
}
