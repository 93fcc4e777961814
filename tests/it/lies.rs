//! A server that lies about changes: the disk is read in full in the same run, with a warning,
//! and the next run asks from the old id again.

use anyhow::Result;
use cbt_tests::{Bench, Noise};
use lab::{Fault, Lie};

const FIRST: i32 = 2000;

/// The first disk's answers are false, those of the second are true.
fn lie(lie: Lie) -> Fault {
    // The short page is the first answer, and the empty one that follows it the second.
    let count = if lie == Lie::EmptyEnd { 2 } else { 1 };
    let call = "QueryChangedDiskAreas".to_owned();
    Fault {
        call,
        count: Some(count),
        lie: Some(lie),
        ..Fault::default()
    }
}

#[track_caller]
fn a_full_in_the_same_run(
    fault: &Fault,
    event: &str,
    code_when_asked_to_fail: Option<i32>,
) -> Result<()> {
    let mut bench = Bench::new()?;
    let mut noise = Noise::new(9);
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.touched.clear();
    bench.guest_write(FIRST, 7 << 16, &noise.bytes(3 << 16))?;
    bench.guest_unmap(2001, 1 << 20, 1 << 18)?;

    if let Some(code) = code_when_asked_to_fail {
        bench.order(std::slice::from_ref(fault))?;
        let _ = bench
            .backup(&["--on-bad-map", "fail"])?
            .expect_code(code)
            .expect_said("Hard disk 1");
        bench.assert_put_back()?;
    }

    bench.order(std::slice::from_ref(fault))?;
    let lied_to = bench.backup(&[])?.expect_code(0);
    assert_eq!(lied_to.events(), [event], "{lied_to:#?}");
    let (first, second) = (lied_to.disk(FIRST), lied_to.disk(2001));
    assert_eq!(
        (first.text("action"), second.text("action")),
        ("full", "incremental"),
        "{lied_to:#?}"
    );
    assert!(
        !first.text("reason").is_empty() && first.bytes("read_bytes") > 3 << 20,
        "{first:?}"
    );
    bench.assert_put_back()?;

    // Neither the false answer nor the run that got it moved the id on: what changed before it is
    // asked for once more.
    bench.order(&[])?;
    bench.guest_write(FIRST, 300 << 16, &noise.bytes(512))?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.events(), Vec::<String>::new());
    let disk = next.disk(FIRST);
    assert_eq!(disk.text("action"), "incremental");
    let wanted = bench
        .touched
        .changed_bytes(FIRST, bench.capacity_bytes(FIRST)?);
    assert_eq!(disk.bytes("changed_bytes"), wanted, "{disk:?}");
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_stalled_page_is_not_believed() -> Result<()> {
    a_full_in_the_same_run(&lie(Lie::StalledPage), "bad-map", Some(13))
}

#[test]
fn an_area_outside_its_page_is_not_believed() -> Result<()> {
    a_full_in_the_same_run(&lie(Lie::OutOfPage), "bad-map", None)
}

#[test]
fn a_page_that_starts_elsewhere_is_not_believed() -> Result<()> {
    a_full_in_the_same_run(&lie(Lie::WrongStart), "bad-map", None)
}

#[test]
fn an_area_behind_the_disk_is_not_believed() -> Result<()> {
    a_full_in_the_same_run(&lie(Lie::BeyondCapacity), "bad-map", None)
}

#[test]
fn an_answer_whose_end_never_comes_is_not_believed() -> Result<()> {
    a_full_in_the_same_run(&lie(Lie::EmptyEnd), "bad-map", Some(13))
}

#[test]
fn a_fault_in_place_of_an_answer_is_a_full() -> Result<()> {
    let call = "QueryChangedDiskAreas".to_owned();
    let fault = Fault {
        call,
        fault: Some("FileFault".to_owned()),
        ..Fault::default()
    };
    a_full_in_the_same_run(&fault, "changed-areas-failed", None)
}

#[test]
fn trouble_of_the_host_that_passes_costs_nothing() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.order(&[Fault {
        call: "QueryChangedDiskAreas".to_owned(),
        nth: Some(1),
        fault: Some("HostCommunication".to_owned()),
        ..Fault::default()
    }])?;
    let increment = bench.backup(&[])?.expect_code(0);
    assert_eq!(increment.disk(FIRST).text("action"), "incremental");
    assert_eq!(increment.events(), Vec::<String>::new());
    bench.assert_sound()
}

#[test]
fn areas_named_twice_are_no_lie() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.touched.clear();
    bench.guest_write(FIRST, 7 << 16, &vec![5; 1 << 17])?;
    bench.order(&[lie(Lie::Overlap)])?;
    let increment = bench.backup(&[])?.expect_code(0);
    assert_eq!(increment.events(), Vec::<String>::new());
    assert_eq!(increment.disk(FIRST).bytes("changed_bytes"), 1 << 17);
    bench.assert_put_back()?;
    bench.assert_sound()
}
