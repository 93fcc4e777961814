//! VMs that were taken back to a snapshot: what was read after it must not stay in a point.

use std::time::Duration;

use anyhow::Result;
use cbt_backup::{
    secret::Secret,
    vsphere::{Client, ConnectOptions, Moref, Trust},
};
use cbt_tests::{Bench, PASSWORD, USER, UserSnapshot};

const MIB: u64 = 1 << 20;

/// A bench with two points, then a snapshot, with writes before and after it.
fn bench_with_snapshot() -> Result<(Bench, UserSnapshot)> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, MIB, &[1; 4096])?;
    let stands = bench.take_snapshot("before the update")?;
    bench.guest_write(2000, 2 * MIB, &[2; 4096])?;
    Ok((bench, stands))
}

/// Somebody takes the VM back by a call of the vCenter, which is a task in its history.
#[tokio::main(flavor = "current_thread")]
async fn revert_by_server(bench: &mut Bench, to: &UserSnapshot) -> Result<()> {
    let trust = Trust::Thumbprint(bench.vcenter().thumbprint_sha256().parse()?);
    let server = bench.vcenter().address().to_string().parse()?;
    let password = Secret::new(PASSWORD.to_owned());
    let client = Client::connect(ConnectOptions::new(
        server,
        USER.to_owned(),
        password,
        trust,
    ))
    .await?;
    let snapshot = Moref::new("VirtualMachineSnapshot", to.moref.clone());
    let task = client.revert_to_snapshot(&snapshot, true).await?;
    let limit = Duration::from_mins(1);
    client
        .wait_task(&task, limit, &mut |_| {}, &|| false)
        .await?;
    client.logout().await?;
    bench.was_reverted(to)
}

/// Lets the numbers of the change ids grow, as every snapshot does.
fn let_numbers_grow(bench: &mut Bench) -> Result<()> {
    for _ in 0..4 {
        let snapshot = bench.take_snapshot("passing")?;
        bench.lab.remove_snapshot(&snapshot.moref, false)?;
    }
    Ok(())
}

#[test]
fn a_revert_to_before_the_last_point_is_a_full() -> Result<()> {
    let (mut bench, stands) = bench_with_snapshot()?;
    // Its base is from before the snapshot: nothing can have been thrown away.
    let doomed = bench.backup(&[])?.expect_code(0);
    assert_eq!(
        doomed.disk(2000).text("action"),
        "incremental",
        "{doomed:#?}"
    );

    bench.revert(&stands)?;
    let_numbers_grow(&mut bench)?;
    bench.guest_write(2000, 4 * MIB, &[3; 4096])?;
    let after = bench.backup(&[])?.expect_code(0);
    let disk = after.disk(2000);
    assert_eq!(disk.text("action"), "full", "{after:#?}");
    assert!(disk.text("reason").contains("a snapshot stood"), "{disk:?}");
    bench.assert_sound()?;

    // As long as it stands it can happen again; once it is gone, one more full makes sure.
    bench.lab.remove_snapshot(&stands.moref, false)?;
    let cautious = bench.backup(&[])?.expect_code(0);
    assert_eq!(cautious.disk(2000).text("action"), "full", "{cautious:#?}");
    bench.guest_write(2000, 5 * MIB, &[4; 4096])?;
    let usual = bench.backup(&[])?.expect_code(0);
    assert_eq!(usual.disk(2000).text("action"), "incremental", "{usual:#?}");
    bench.assert_sound()
}

#[test]
fn a_revert_to_after_the_last_point_loses_nothing() -> Result<()> {
    let (mut bench, stands) = bench_with_snapshot()?;
    bench.revert(&stands)?;
    let_numbers_grow(&mut bench)?;
    bench.guest_write(2001, MIB / 4, &[3; 4096])?;
    let after = bench.backup(&[])?.expect_code(0);
    assert_eq!(after.disk(2000).text("action"), "incremental", "{after:#?}");
    bench.assert_sound()
}

#[test]
fn vcenters_history_can_show_that_nothing_was_reverted() -> Result<()> {
    let believe = ["--standing-snapshot", "history"];
    let (mut bench, stands) = bench_with_snapshot()?;
    let first = bench.backup(&believe)?.expect_code(0);
    assert_eq!(first.disk(2000).text("action"), "incremental");
    bench.guest_write(2000, 3 * MIB, &[3; 4096])?;
    let usual = bench.backup(&believe)?.expect_code(0);
    assert_eq!(usual.disk(2000).text("action"), "incremental", "{usual:#?}");

    revert_by_server(&mut bench, &stands)?;
    let_numbers_grow(&mut bench)?;
    bench.guest_write(2000, 4 * MIB, &[4; 4096])?;
    let after = bench.backup(&believe)?.expect_code(0);
    let disk = after.disk(2000);
    assert_eq!(disk.text("action"), "full", "{after:#?}");
    assert!(
        disk.text("reason")
            .contains("was reverted to a snapshot at"),
        "{disk:?}"
    );
    bench.assert_sound()
}
