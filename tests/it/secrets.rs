//! Password and passphrase appear nowhere but in the files they came from.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use cbt_tests::{Bench, PASSPHRASE, PASSWORD, USER, files_holding};
use lab::Fault;

/// The middle of each secret: it stays the same however the rest is escaped.
const NEEDLES: [&str; 2] = ["8KqVault", "7mZstable"];

#[test]
fn secrets_are_written_nowhere() -> Result<()> {
    assert!(PASSWORD.contains(NEEDLES[0]) && PASSPHRASE.contains(NEEDLES[1]));
    let mut bench = Bench::new()?;
    let _ = bench
        .run(bench.repository_arguments("init", &["-vvv"]))?
        .expect_code(0);
    let _ = bench.backup(&["-vvv"])?.expect_code(0);
    bench.guest_write(2000, 0, &[6; 512])?;
    let increment = bench.backup(&["-vvv"])?.expect_code(0);
    assert!(increment.stderr.len() > 1000, "-vvv says nothing");

    // Failures say more than runs that go well.
    let wrong = bench.path("secret/wrong");
    fs::write(&wrong, format!("{PASSWORD}, nearly"))?;
    let wrong = wrong.display().to_string();
    let _ = bench
        .backup(&["-vvv", "--password-file", &wrong])?
        .expect_code(12);
    let _ = bench
        .backup(&["-vvv", "--passphrase-file", &wrong])?
        .expect_code(12);
    let refused = |call: &str, code| Fault {
        call: call.to_owned(),
        code: Some(code),
        ..Fault::default()
    };
    for faults in [
        vec![refused("VixDiskLib_ConnectEx", 35)],
        vec![
            refused("VixDiskLib_PrepareForAccess", 35),
            refused("VixDiskLib_Open", 1),
        ],
    ] {
        bench.order(&faults)?;
        let failed = bench.backup(&["-vvv"])?;
        assert_ne!(failed.code, Some(0), "{failed:#?}");
    }
    bench.order(&[])?;
    let backup = bench.start_backup_to_the_middle(&["-vvv", "--full"])?;
    let _ = bench.kill(backup)?;

    let _ = bench.verify("full")?.expect_code(0);
    let to = bench.path("restored/to");
    let _ = bench
        .restore(&increment.point(), &to, &["-vvv"])?
        .expect_code(0);

    let allowed: Vec<PathBuf> = [
        "secret/password",
        "secret/passphrase",
        "secret/wrong",
        "lab/site.json",
    ]
    .map(|name| bench.path(name))
    .to_vec();
    for needle in NEEDLES {
        let found = files_holding(&bench.path(""), needle)?;
        assert!(!found.is_empty(), "the search finds nothing at all");
        let leaks: Vec<_> = found
            .into_iter()
            .filter(|file| !allowed.contains(file))
            .collect();
        assert!(leaks.is_empty(), "{needle} stands in {leaks:?}");
    }
    Ok(())
}

#[test]
fn a_password_in_the_environment_wins_over_the_configuration() -> Result<()> {
    let bench = Bench::new()?;
    let file = |name: &str, text: &str| -> Result<String> {
        fs::write(bench.path(name), text)?;
        Ok(bench.path(name).display().to_string())
    };
    let wrong = file("secret/wrong", "wrong")?;
    let config = format!(
        "[vsphere]\nserver = \"{}\"\nuser = \"{USER}\"\nthumbprint = \"{}\"\npassword-file = \"{wrong}\"\n",
        bench.vcenter().url(),
        bench.vcenter().thumbprint_sha256(),
    );
    let config = file("config.toml", &config)?;
    let arguments = ["vms", "--config", &config].map(std::ffi::OsString::from);
    let _ = bench.run(&arguments)?.expect_code(12);
    let right = bench.path("secret/password").display().to_string();
    for variable in [
        format!("CBT_BACKUP_PASSWORD=$(cat '{right}')"),
        format!("CBT_BACKUP_PASSWORD_COMMAND=\"cat '{right}'\""),
    ] {
        let run = bench.start_after(&format!("export {variable}"), &arguments)?;
        let _ = run.wait()?.expect_code(0);
    }
    // What is typed wins over both.
    let typed = [
        &arguments[..],
        &["--password-file", &wrong].map(std::ffi::OsString::from),
    ];
    let run = bench.start_after(
        &format!("export CBT_BACKUP_PASSWORD=$(cat '{right}')"),
        &typed.concat(),
    )?;
    let _ = run.wait()?.expect_code(12);
    Ok(())
}
