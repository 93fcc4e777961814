//! Exit codes and words of the real program, where no server is needed.

use std::process::{Command, Output};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cbt-backup"))
        .args(arguments)
        .env_clear()
        .env("CBT_BACKUP_PASSPHRASE", "correct horse")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_help_tells_every_exit_code() {
    let output = program(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for code in [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 130] {
        assert!(
            text.split_whitespace().any(|word| word == code.to_string()),
            "{code} is not told: {text}"
        );
    }
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_wrong_command_line_is_2_and_the_next_step_is_named() {
    assert_eq!(program(&["no-such-command"]).status.code(), Some(2));
    let output = program(&["list"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("hint: use --repo"),
        "{}",
        stderr(&output)
    );
    assert_eq!(
        program(&["list", "--config", "/no/such/file"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_span_of_no_calendar_is_2_and_what_is_allowed_is_said() {
    for option in ["--keep-within", "--min-age"] {
        let output = program(&["forget", "--keep-last", "1", option, "19998y"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("1000y"), "{}", stderr(&output));
    }
}

#[test]
fn a_look_that_is_too_short_is_2_and_the_lowest_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let with = |command: &[&str], look: &str| {
        let options = ["--repo", folder, "--look-seconds", look];
        program(&[command, &options].concat())
    };
    let state = ["--state-dir", folder];
    let janitor = [&["janitor", "--all"][..], &state].concat();
    let backup = [&["backup", "app01"][..], &state].concat();
    for command in [&["prune"][..], &janitor, &backup] {
        let output = with(command, "120");
        assert_eq!(output.status.code(), Some(2), "{command:?}");
        assert!(stderr(&output).contains("121"), "{}", stderr(&output));
        // There is no repository.
        let output = with(command, "121");
        assert_eq!(output.status.code(), Some(10), "{}", stderr(&output));
    }
}

#[test]
fn a_repository_that_is_not_there_is_10() {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("nothing");
    let output = program(&["list", "--repo", repo.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(10), "{}", stderr(&output));
    assert!(!repo.exists(), "a listing made the folder");
}

#[test]
fn a_missing_library_is_14_and_every_place_is_listed() {
    let output = program(&["info", "--vddk", "/no/such/kit", "--json"]);
    assert_eq!(output.status.code(), Some(14));
    for major in [9, 8, 7, 6] {
        assert!(stderr(&output).contains(&format!("/no/such/kit/lib64/libvixDiskLib.so.{major}")));
    }
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (line["type"].as_str(), line["exit_code"].as_u64()),
        (Some("error"), Some(14))
    );
}

#[test]
fn init_list_and_verify_of_an_empty_repository() {
    let folder = tempfile::tempdir().unwrap();
    let repo = folder.path().join("repo");
    let repo = repo.to_str().unwrap();
    assert_eq!(program(&["init", "--repo", repo]).status.code(), Some(0));
    assert_eq!(program(&["init", "--repo", repo]).status.code(), Some(17));
    let list = program(&["list", "--repo", repo, "--json"]);
    let document: serde_json::Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(document["points"].as_array().map(Vec::len), Some(0));
    assert_eq!(
        program(&["verify", "--repo", repo, "--level", "full"])
            .status
            .code(),
        Some(0)
    );
    assert_eq!(
        program(&["show", "--repo", repo, "01"]).status.code(),
        Some(18)
    );
}

#[test]
fn the_manual_page_is_made() {
    let output = program(&["man"]);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(".TH cbt"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_server_that_is_not_there_is_13_and_nothing_colours_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "x").unwrap();
    let pin = ["AB"; 32].join(":");
    // Port 1 of this machine: nobody listens there.
    let output = program(&[
        "vms",
        "--server",
        "127.0.0.1:1",
        "--user",
        "u",
        "--password-file",
        password.to_str().unwrap(),
        "--thumbprint",
        &pin,
        "-v",
    ]);
    assert_eq!(output.status.code(), Some(13), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("hint: is the server up"),
        "{}",
        stderr(&output)
    );
    assert!(!stderr(&output).contains('\u{1b}'), "{}", stderr(&output));
}
