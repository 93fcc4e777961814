//! Commands of the administrator's around the snapshot.

use std::fs;

use anyhow::Result;
use cbt_tests::{Bench, VM};
use lab::Fault;

/// Writes what a command sees to the file `told`, a line each time.
fn teller(bench: &Bench) -> String {
    let words = "$CBT_HOOK|$CBT_HOOK_VM|$CBT_HOOK_VM_ID|$CBT_HOOK_VM_PATH|${CBT_HOOK_SNAPSHOT:+snapshot}|$CBT_HOOK_RESULT|${CBT_HOOK_POINT}|$CBT_HOOK_LEFT_BEHIND|$CBT_HOOK_ERROR";
    format!("echo \"{words}\" >> '{}'", bench.path("told").display())
}

fn told(bench: &Bench) -> Vec<String> {
    let text = fs::read_to_string(bench.path("told")).unwrap_or_default();
    let _ = fs::remove_file(bench.path("told"));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn commands_run_around_the_snapshot_and_know_what_came_of_it() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let tell = teller(&bench);
    let all = [
        "--before",
        &tell,
        "--after-snapshot",
        &tell,
        "--after",
        &tell,
    ];
    let who = format!("{VM}|{}|DC0/vm/{VM}", bench.vm);

    let made = bench.backup(&all)?.expect_code(0);
    let point = made.point();
    assert_eq!(
        told(&bench),
        [
            format!("before|{who}|||||"),
            format!("after-snapshot|{who}|snapshot||||"),
            format!("after|{who}||done|{point}|no|"),
        ]
    );

    // A snapshot that fails does not leave the guest at rest.
    bench.order(&[Fault {
        call: "CreateSnapshot_Task".to_owned(),
        fault: Some("RuntimeFault".to_owned()),
        count: Some(0),
        ..Fault::default()
    }])?;
    let _ = bench.backup(&all)?.expect_code(13);
    bench.order(&[])?;
    let lines = told(&bench);
    assert_eq!(
        lines[..2],
        [
            format!("before|{who}|||||"),
            format!("after-snapshot|{who}|||||")
        ]
    );
    assert!(
        lines[2].starts_with(&format!("after|{who}||failed||no|")),
        "{lines:?}"
    );
    assert!(lines[2].contains("RuntimeFault"), "{lines:?}");
    bench.assert_put_back()
}

#[test]
fn a_command_that_fails_or_hangs_leaves_nothing_behind() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    // What has frozen something and fails is followed by what thaws it.
    let tell = teller(&bench);
    let _ = bench
        .backup(&["--before", "exit 3", "--after-snapshot", &tell])?
        .expect_code(13)
        .expect_said("the command before");
    let lines = told(&bench);
    assert!(
        lines.len() == 1 && lines[0].starts_with("after-snapshot|"),
        "{lines:?}"
    );
    let _ = bench
        .backup(&["--before", "sleep 60", "--hook-seconds", "1"])?
        .expect_code(13)
        .expect_said("longer than 1 s");
    assert_eq!(bench.calls()?.count("vcenter", "CreateSnapshot_Task"), 0);

    let warned = bench
        .backup(&[
            "--before",
            "exit 3",
            "--hook-policy",
            "warn",
            "--after",
            "exit 4",
        ])?
        .expect_code(0);
    assert_eq!(
        warned.events(),
        ["tracking-on", "hook-failed", "hook-failed"]
    );
    bench.assert_restores(&warned.point())?;
    bench.assert_put_back()
}

/// What a command prints must not get into the JSON, and no secret into its environment.
#[test]
fn output_stays_out_of_the_json_and_secrets_out_of_the_environment() -> Result<()> {
    let bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let seen = bench.path("seen");
    let command = format!("env > '{}'; echo spoken", seen.display());
    let arguments = bench.backup_arguments(VM, &["--before", &command]);
    let secret = "export CBT_BACKUP_PASSWORD=4RedHerring CBT_BACKUP_PASSPHRASE=4RedHerring \
        AWS_SECRET_ACCESS_KEY=4RedHerring AWS_SESSION_TOKEN=4RedHerring \
        AZURE_STORAGE_ACCOUNT_KEY=4RedHerring AZURE_STORAGE_SAS_TOKEN=4RedHerring \
        AZURE_CLIENT_SECRET=4RedHerring GOOGLE_SERVICE_ACCOUNT_KEY=4RedHerring SITE=4Plain";
    let made = bench
        .start_after(secret, &arguments)?
        .wait()?
        .expect_code(0);
    // Each line is JSON.
    assert!(
        !made.values().is_empty() && !made.stdout.contains("spoken"),
        "{made:#?}"
    );
    let _ = made.expect_said("spoken");
    let environment = fs::read_to_string(seen)?;
    for word in ["CBT_HOOK=before", "SITE=4Plain"] {
        assert!(environment.contains(word), "{environment}");
    }
    for secret in ["4RedHerring", cbt_tests::PASSWORD, cbt_tests::PASSPHRASE] {
        assert!(!environment.contains(secret), "{environment}");
    }
    bench.assert_put_back()
}
