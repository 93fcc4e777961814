//! Which of several sources of a secret is taken.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

fn program(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cbt-backup"))
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// A repository that opens with `right`, and a configuration of it.
fn repository(folder: &Path, configuration: &str) -> [String; 2] {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (repo, config) = (path("repo"), path("config.toml"));
    let text = format!("repo = \"{repo}\"\n{configuration}\n");
    fs::write(&config, text).unwrap();
    fs::write(path("wrong"), "wrong\n").unwrap();
    fs::write(path("right"), "right\n").unwrap();
    let made = program(
        &["init", "--repo", &repo, "--no-recovery"],
        &[("CBT_BACKUP_PASSPHRASE", "right")],
    );
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    ["--config".to_owned(), config]
}

#[test]
fn the_first_place_that_names_a_source_is_taken_whatever_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong").to_str().unwrap().to_owned();
    let right = folder.path().join("right").to_str().unwrap().to_owned();
    let config = repository(folder.path(), &format!("passphrase-file = \"{wrong}\""));
    let list = |typed: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["list", &config[0], &config[1]], typed].concat();
        program(&arguments, variables).status.code()
    };
    let command = format!("cat '{right}'");
    let no = format!("cat '{wrong}'");
    let typed_command = ["--passphrase-command", command.as_str()];
    assert_eq!(list(&[], &[]), Some(12));
    // Typed, or in the environment: either wins over the configuration's file.
    assert_eq!(list(&typed_command, &[]), Some(0));
    assert_eq!(list(&[], &[("CBT_BACKUP_PASSPHRASE", "right")]), Some(0));
    let by_command = ("CBT_BACKUP_PASSPHRASE_COMMAND", command.as_str());
    assert_eq!(list(&[], &[by_command]), Some(0));
    // A variable that is empty names nothing.
    assert_eq!(list(&[], &[("CBT_BACKUP_PASSPHRASE", "")]), Some(12));
    let empty = ("CBT_BACKUP_PASSPHRASE", "");
    assert_eq!(list(&["--passphrase-file", &right], &[empty]), Some(0));
    // Typed wins over the environment.
    for variable in [
        ("CBT_BACKUP_PASSPHRASE_FILE", wrong.as_str()),
        ("CBT_BACKUP_KEY_FILE", wrong.as_str()),
        ("CBT_BACKUP_PASSPHRASE", "wrong"),
    ] {
        assert_eq!(list(&typed_command, &[variable]), Some(0), "{variable:?}");
    }
    // Also where both name a command, and the environment a file besides.
    let variables = [
        ("CBT_BACKUP_PASSPHRASE_COMMAND", command.as_str()),
        ("CBT_BACKUP_PASSPHRASE_FILE", wrong.as_str()),
    ];
    assert_eq!(list(&typed_command, &variables), Some(0));
    // In one place the file comes before the command, as ever.
    let both = [
        "--passphrase-file",
        &wrong,
        "--passphrase-command",
        &command,
    ];
    assert_eq!(list(&both, &[]), Some(12));
    let both = ["--passphrase-file", &right, "--passphrase-command", &no];
    assert_eq!(list(&both, &[]), Some(0));
}

#[test]
fn a_passphrase_that_is_typed_wins_over_a_key_file_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let right = folder.path().join("right").to_str().unwrap().to_owned();
    let config = repository(folder.path(), "key-file = \"/no/such/key\"");
    let list = ["list", &config[0], &config[1]];
    assert_eq!(program(&list, &[]).status.code(), Some(2));
    let typed = [&list[..], &["--passphrase-file", &right]].concat();
    assert_eq!(program(&typed, &[]).status.code(), Some(0));
}
