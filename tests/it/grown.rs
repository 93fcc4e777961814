//! Disks that grew: what vSphere tells of them afterwards is not true on every host.

use std::fs;

use anyhow::Result;
use cbt_tests::{Bench, Outcome};
use lab::Behaviour;

const MIB: u64 = 1 << 20;
const FIRST: i32 = 2000;

/// A bench with two points, whose VM runs.
fn bench(behaviour: Behaviour) -> Result<Bench> {
    let mut bench = Bench::new()?;
    bench.lab.set_behaviour(behaviour)?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let increment = bench.backup(&[])?.expect_code(0);
    assert_eq!(increment.disk(FIRST).text("action"), "incremental");
    Ok(bench)
}

#[track_caller]
fn assert_action(outcome: &Outcome, action: &str) {
    assert_eq!(outcome.disk(FIRST).text("action"), action, "{outcome:#?}");
}

#[test]
fn on_a_host_with_the_bug_a_grown_disk_is_read_in_full_until_tracking_begins_anew() -> Result<()> {
    let mut bench = bench(Behaviour {
        hot_growth_is_not_tracked: true,
        ..Behaviour::default()
    })?;
    let before = bench.capacity_bytes(FIRST)?;
    bench.grow(FIRST, before + 8 * MIB)?;
    let grown = bench.backup(&[])?.expect_code(0);
    assert_action(&grown, "full");
    // Of these writes vSphere will never tell.
    for round in 1..=2 {
        bench.guest_write(FIRST, before + round * MIB, &[9; 4096])?;
        let next = bench.backup(&[])?.expect_code(0);
        assert_action(&next, "full");
        assert!(
            next.events().contains(&"tracking-distrusted".to_owned()),
            "{next:#?}"
        );
        // The other disk did not grow.
        assert_eq!(next.disk(2001).text("action"), "incremental");
    }
    let reset = bench.server_arguments("cbt", &["reset", &bench.vm]);
    let _ = bench.run(reset)?.expect_code(0);
    let fresh = bench.backup(&[])?.expect_code(0);
    assert_action(&fresh, "full");
    let mut told = fresh.events();
    told.retain(|kind| kind != "audited");
    assert_eq!(told, ["tracking-restarted"; 2]);
    bench.guest_write(FIRST, before + 4 * MIB, &[8; 4096])?;
    let usual = bench.backup(&[])?.expect_code(0);
    assert_action(&usual, "incremental");
    bench.assert_sound()
}

#[test]
fn on_a_sound_host_a_grown_disk_is_read_in_full_once() -> Result<()> {
    let mut bench = bench(Behaviour::default())?;
    // Update 2b of ESXi 8.0 in place of the first build of Update 2.
    let site = bench.lab.root().join("site.json");
    let text = fs::read_to_string(&site)?;
    assert!(text.contains("22380479"));
    fs::write(&site, text.replace("22380479", "23305546"))?;
    let before = bench.capacity_bytes(FIRST)?;
    bench.grow(FIRST, before + 8 * MIB)?;
    let grown = bench.backup(&[])?.expect_code(0);
    assert_action(&grown, "full");
    // All of it was read, and what was there before is not stored again.
    assert!(
        grown.disk(FIRST).bytes("new_bytes") <= 256 << 10,
        "{grown:#?}"
    );
    bench.guest_write(FIRST, before + MIB, &[9; 4096])?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_action(&next, "incremental");
    assert_eq!(next.events(), Vec::<String>::new());
    bench.assert_sound()
}
