//! VMs that were taken back to a snapshot: what was read after it must not stay in a point.

use anyhow::Result;
use cbt_tests::{Bench, UserSnapshot};

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
