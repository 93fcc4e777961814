//! Going on with a session that somebody else has opened.

use std::fs;

use anyhow::{Context as _, Result};
use cbt_backup::secret::Secret;
use cbt_backup::vsphere::{Client, ConnectOptions, Trust};
use cbt_tests::{Bench, PASSWORD, USER, VM};
use tokio::runtime::Runtime;

#[test]
fn a_session_that_exists_does_for_looking_and_is_left_alive() -> Result<()> {
    let bench = Bench::new()?;
    let runtime = Runtime::new()?;
    let vcenter = bench.vcenter();
    let trust = Trust::Thumbprint(vcenter.thumbprint_sha256().parse()?);
    let server = vcenter.address().to_string().parse()?;
    let password = Secret::new(PASSWORD.to_owned());
    let options = ConnectOptions::new(server, USER.to_owned(), password, trust);
    let client = runtime.block_on(Client::connect(options))?;
    let cookie = client.session_cookie().context("no cookie")?;

    let file = bench.path("secret/session");
    let (shown, url) = (file.display().to_string(), vcenter.url());
    let list = || {
        bench.run([
            "vms",
            "--session-file",
            &shown,
            "--server",
            &url,
            "--thumbprint",
            vcenter.thumbprint_sha256(),
        ])
    };
    // As other programs store it: the value alone, or with its name.
    for text in [
        format!("{}\n", cookie.expose()),
        format!("vmware_soap_session={}\n", cookie.expose()),
    ] {
        fs::write(&file, text)?;
        let listed = list()?.expect_code(0);
        assert!(listed.stdout.contains(VM), "{listed:?}");
    }
    let _ = runtime.block_on(client.current_time())?;
    // Reading disks takes a password.
    let backup = bench.server_arguments("backup", &[VM, "--session-file", &shown]);
    let refused = bench.run(backup)?.expect_code(2);
    assert!(
        refused.stderr.contains("VDDK logs in by user"),
        "{refused:?}"
    );

    runtime.block_on(client.logout())?;
    let gone = list()?.expect_code(12);
    assert!(gone.stderr.contains("open a new session"), "{gone:?}");
    fs::write(&file, "a cookie; of many\n")?;
    let none = list()?.expect_code(2);
    assert!(!none.stderr.contains("of many"), "{none:?}");
    Ok(())
}
