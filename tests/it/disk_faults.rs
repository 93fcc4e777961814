//! Disks that cannot be read.

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions};
use lab::{DatastoreKind, Fault};

fn refuse(call: &str, nth: u64, count: u64, code: u64) -> Fault {
    let (nth, count, code) = (Some(nth), Some(count), Some(code));
    Fault {
        call: call.to_owned(),
        nth,
        count,
        code,
        ..Fault::default()
    }
}

/// A request of the first disk that is accepted and then fails.
const READ: &str = "VixDiskLib_ReadAsync.callback";

#[test]
fn a_disk_that_fails_in_the_first_run_is_absent_and_the_other_is_kept() -> Result<()> {
    for (call, nth, code) in [
        (READ, 3, 14011),
        (READ, 2, 16002),
        ("VixDiskLib_Open", 1, 13),
    ] {
        let mut bench = Bench::new()?;
        let _ = bench.init()?.expect_code(0);
        bench.order(&[refuse(call, nth, 1, code)])?;
        let outcome = bench.backup(&["--vddk-tries", "1"])?.expect_code(3);
        assert_eq!(outcome.result()["incomplete"], true);
        assert!(
            outcome.events().contains(&"disk-failed".to_owned()),
            "{outcome:#?}"
        );
        assert!(
            outcome
                .disk(2000)
                .text("failure")
                .contains(&code.to_string()),
            "{outcome:#?}"
        );
        assert_eq!(outcome.disk(2001).text("failure"), "");
        bench.assert_put_back()?;

        let (point, to) = (outcome.point(), bench.path("restored/to"));
        let _ = bench
            .restore(&point, &to, &["--disk", "2000"])?
            .expect_code(18);
        let _ = bench
            .restore(&point, &to, &["--disk", "2001"])?
            .expect_code(0);
        bench
            .frozen(&point)?
            .compare(2001, &to.join("app01-disk-2001.raw"))?;
        let whole = bench.restore(&point, &bench.path("restored/whole"), &[])?;
        let result = whole.expect_code(3).result();
        assert_eq!(result["absent"][0], "Hard disk 1");
        assert_eq!(result["disks"][0]["device_key"], 2001);
        let list = bench.list()?.expect_code(0).result();
        assert_eq!(list["points"][0]["complete"], false);

        bench.order(&[])?;
        let next = bench.backup(&[])?.expect_code(0);
        assert_eq!(next.disk(2000).text("action"), "full");
        assert_eq!(next.disk(2001).text("action"), "incremental", "{next:#?}");
        bench.assert_restores(&next.point())?;
        let _ = bench.verify("full")?.expect_code(0);
        bench.assert_put_back()?;
    }
    Ok(())
}

/// The first time each of these fails, the disk is opened on a new connection and read on.
#[test]
fn what_may_pass_is_tried_again_and_nothing_is_read_twice() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let plain = bench.backup(&[])?.expect_code(0);
    let read = [2000, 2001].map(|device_key| plain.disk(device_key).bytes("read_bytes"));
    for (call, nth, code) in [
        (READ, 3, 14011),
        (READ, 1, 2),
        ("VixDiskLib_ReadAsync", 4, 36),
        ("VixDiskLib_Open", 1, 14009),
        ("VixDiskLib_Open", 2, 14015),
        ("VixDiskLib_ConnectEx", 1, 18000),
    ] {
        let mut bench = Bench::new()?;
        let _ = bench.init()?.expect_code(0);
        bench.order(&[refuse(call, nth, 1, code)])?;
        let outcome = bench.backup(&[])?.expect_code(0);
        assert_eq!(
            outcome.events(),
            ["tracking-on", "tried-again"],
            "{call} {code}"
        );
        for (device_key, read) in [2000, 2001].into_iter().zip(read) {
            let disk = outcome.disk(device_key);
            assert_eq!(
                disk.bytes("read_bytes"),
                read,
                "{call} {code}: {outcome:#?}"
            );
        }
        // What was in flight may be asked for a second time, and no more.
        let asked = bench.calls()?.bytes_read();
        let bound = read.iter().sum::<u64>() + (5 << 21);
        assert!(asked <= bound, "{call} {code}: {asked}");
        bench.assert_restores(&outcome.point())?;
        bench.assert_put_back()?;
    }
    Ok(())
}

#[test]
fn enough_tries_are_enough_and_progress_counts_anew() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    // Three failures with progress between them are no two in a row.
    bench.order(&[3, 9, 15].map(|nth| refuse(READ, nth, 1, 14011)))?;
    let outcome = bench.backup(&["--vddk-tries", "2"])?.expect_code(0);
    let again = outcome
        .events()
        .into_iter()
        .filter(|event| event == "tried-again");
    assert_eq!(again.count(), 3, "{outcome:#?}");
    bench.assert_restores(&outcome.point())?;

    bench.order(&[refuse("VixDiskLib_Open", 1, 0, 14009)])?;
    let failed = bench
        .backup(&["--vddk-tries", "2", "--full"])?
        .expect_code(15);
    assert!(failed.stdout.contains("1 of 2 tries failed"), "{failed:#?}");
    bench.order(&[])?;
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_disk_that_fails_later_keeps_its_older_state_and_its_id() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let full = bench.backup(&[])?.expect_code(0).point();
    bench.touched.clear();
    for block in [3, 40, 80] {
        bench.guest_write(2000, block << 18, &vec![9; 1 << 18])?;
    }
    bench.guest_write(2001, 4096, &[9; 512])?;
    // One block is stored before the next one fails.
    bench.order(&[refuse(READ, 2, 1, 16002)])?;
    let failed = bench.backup(&[])?.expect_code(3);
    let point = failed.point();
    bench.assert_put_back()?;

    let to = bench.path("restored/to");
    let _ = bench
        .restore(&point, &to, &[])?
        .expect_code(3)
        .expect_said("Hard disk 1");
    assert!(!to.join("app01-disk-2000.raw").exists());
    let _ = bench
        .restore(&point, &to, &["--allow-carried"])?
        .expect_code(0);
    bench
        .frozen(&full)?
        .compare(2000, &to.join("app01-disk-2000.raw"))?;
    bench
        .frozen(&point)?
        .compare(2001, &to.join("app01-disk-2001.raw"))?;

    bench.order(&[])?;
    let next = bench.backup(&[])?.expect_code(0);
    let wanted = bench
        .touched
        .changed_bytes(2000, bench.capacity_bytes(2000)?);
    assert_eq!(next.disk(2000).bytes("changed_bytes"), wanted, "{next:#?}");
    assert_eq!(next.disk(2001).bytes("changed_bytes"), 0);
    bench.assert_put_back()?;
    bench.assert_restores(&next.point())?;
    bench.assert_restores(&full)?;
    let _ = bench.verify("full")?.expect_code(0);
    Ok(())
}

#[test]
fn when_no_disk_can_be_read_it_is_15_and_no_point() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let full = bench.backup(&[])?.expect_code(0).point();
    bench.order(&[refuse("VixDiskLib_Open", 1, 0, 13)])?;
    let _ = bench.backup(&["--full"])?.expect_code(15);
    bench.assert_put_back()?;
    let list = bench.list()?.expect_code(0).result();
    assert_eq!(list["points"].as_array().map(Vec::len), Some(1));
    bench.assert_restores(&full)
}

#[test]
fn allocated_areas_that_are_not_told_cost_time_and_nothing_else() -> Result<()> {
    // There vSphere cannot tell in the place of VDDK.
    let options = BenchOptions {
        datastore: DatastoreKind::Nfs,
        ..BenchOptions::default()
    };
    let mut bench = Bench::with(&options)?;
    let _ = bench.init()?.expect_code(0);
    bench.order(&[refuse("VixDiskLib_QueryAllocatedBlocks", 1, 0, 6)])?;
    let full = bench.backup(&[])?.expect_code(0);
    assert_eq!(
        full.events(),
        ["tracking-on", "allocation-unknown", "allocation-unknown"]
    );
    assert_eq!(
        full.disk(2000).bytes("read_bytes"),
        bench.capacity_bytes(2000)?
    );
    assert_eq!(
        full.disk(2001).bytes("read_bytes"),
        bench.capacity_bytes(2001)?
    );
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_vm_that_cannot_be_kept_in_place_is_backed_up_with_a_warning() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    bench.order(&[refuse("VixDiskLib_PrepareForAccess", 1, 0, 3014)])?;
    let outcome = bench.backup(&[])?.expect_code(0);
    assert!(
        outcome.events().contains(&"access-not-prepared".to_owned()),
        "{outcome:#?}"
    );
    bench.assert_put_back()?;
    bench.assert_sound()
}

/// VDDK may write into the buffer at any time: the disk is not closed, so the snapshot's file stays
/// in use until the process ends, and the next run removes what is left.
#[test]
fn a_read_that_never_completes_gives_its_disk_up_and_the_next_run_cleans_up() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    bench.order(&[Fault {
        call: READ.to_owned(),
        nth: Some(2),
        delay_ms: Some(60_000),
        ..Fault::default()
    }])?;
    let outcome = bench.backup(&["--read-seconds", "3"])?.expect_code(3);
    let failure = outcome.disk(2000).text("failure").to_owned();
    assert!(failure.contains("not done within 3 s"), "{outcome:#?}");
    assert_eq!(outcome.disk(2001).text("failure"), "");
    assert_eq!(
        bench.calls()?.count("vixdisklib", "VixDiskLib_EndAccess"),
        1
    );
    assert!(bench.lab.vm(&bench.vm)?.disabled_methods.is_empty());

    bench.order(&[])?;
    let next = bench.backup(&[])?.expect_code(0);
    bench.assert_vm_clean()?;
    bench.assert_restores(&next.point())?;
    Ok(())
}

#[test]
fn an_open_that_hangs_is_given_up_and_the_snapshot_does_not_stay() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    bench.order(&[Fault {
        call: "VixDiskLib_Open".to_owned(),
        nth: Some(2),
        delay_ms: Some(600_000),
        ..Fault::default()
    }])?;
    let outcome = bench.backup(&["--vddk-call-seconds", "2"])?.expect_code(3);
    let second = outcome.disk(2001);
    let failure = second.text("failure");
    assert!(
        failure.contains("VixDiskLib_Open does not return"),
        "{failure}"
    );
    assert_eq!(outcome.disk(2000).text("failure"), "");
    // The library can do nothing more in this process: vSphere does what it can without it, and
    // what is left is told.
    assert!(bench.lab.vm(&bench.vm)?.snapshots.is_empty());
    assert_eq!(outcome.result()["left_behind"], true, "{outcome:#?}");
    // The next run ends what this one could not, and is whole.
    bench.order(&[])?;
    let next = bench.backup(&[])?.expect_code(0);
    bench.assert_vm_clean()?;
    bench.assert_restores(&next.point())
}
