//! Guests brought to rest for the snapshot, and guests that can't be.

use anyhow::Result;
use cbt_tests::{Bench, Outcome};
use lab::{Fault, PowerState, Quiescing};
use serde_json::Value;

/// A bench with an empty repository. Its VM runs.
fn bench() -> Result<Bench> {
    let bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    Ok(bench)
}

/// What the point says of itself.
fn consistency(bench: &Bench, backup: &Outcome) -> Result<Value> {
    let show = bench.repository_arguments("show", &[&backup.point()]);
    let show = bench.run(show)?.expect_code(0);
    Ok(show.values()[0]["point"]["consistency"].clone())
}

fn restless(count: u64) -> Fault {
    Fault {
        call: "CreateSnapshot_Task".to_owned(),
        fault: Some("ApplicationQuiesceFault".to_owned()),
        count: Some(count),
        ..Fault::default()
    }
}

#[test]
fn a_point_says_whether_the_guest_was_at_rest() -> Result<()> {
    let mut bench = bench()?;
    for (options, expected) in [
        (&[][..], "quiesced"),
        (&["--quiesce", "prefer"], "quiesced"),
        (&["--quiesce", "no"], "crash"),
        (&["--quiesce", "require"], "quiesced"),
    ] {
        let backup = bench.backup(options)?.expect_code(0);
        assert_eq!(consistency(&bench, &backup)?, expected, "{options:?}");
        let list = bench.list()?.expect_code(0).result();
        let rows = list["points"].as_array().cloned().unwrap_or_default();
        let row = rows
            .iter()
            .find(|row| row["point"] == backup.point().as_str());
        assert_eq!(
            row.map(|row| &row["consistency"]),
            Some(&expected.into()),
            "{list}"
        );
    }
    bench.assert_put_back()
}

#[test]
fn a_guest_without_tools_is_not_asked_and_one_that_is_off_is_at_rest() -> Result<()> {
    let mut bench = bench()?;
    bench.lab.set_quiescing(&bench.vm, Quiescing::NoTools)?;
    let told = bench.backup(&[])?.expect_code(0);
    assert_eq!(told.events(), ["tracking-on", "not-quiesced"]);
    assert_eq!(consistency(&bench, &told)?, "crash");
    bench
        .lab
        .change_power_state(&bench.vm, PowerState::PoweredOff)?;
    let told = bench.backup(&[])?.expect_code(0);
    assert!(
        !told.events().contains(&"not-quiesced".to_owned()),
        "{told:#?}"
    );
    bench.assert_put_back()
}

#[test]
fn a_guest_that_cannot_rest_is_told_or_fails_the_run() -> Result<()> {
    let mut bench = bench()?;
    bench.order(&[restless(1)])?;
    let told = bench.backup(&["--quiesce", "prefer"])?.expect_code(0);
    assert_eq!(told.events(), ["tracking-on", "not-quiesced"]);
    assert_eq!(consistency(&bench, &told)?, "crash");
    assert_eq!(bench.calls()?.count("vcenter", "CreateSnapshot_Task"), 2);

    bench.order(&[restless(0)])?;
    let _ = bench
        .backup(&["--quiesce", "require"])?
        .expect_code(13)
        .expect_said("ApplicationQuiesceFault");
    bench.order(&[])?;
    bench.assert_put_back()
}

#[test]
fn a_snapshot_whose_answer_got_lost_is_found_and_not_made_twice() -> Result<()> {
    let mut bench = bench()?;
    bench.order(&[Fault {
        call: "CreateSnapshot_Task".to_owned(),
        truncate: Some(50),
        ..Fault::default()
    }])?;
    let _ = bench.backup(&[])?.expect_code(0);
    assert_eq!(bench.calls()?.count("vcenter", "CreateSnapshot_Task"), 1);
    bench.assert_put_back()
}

#[test]
fn a_failed_quiescing_by_another_fault_is_known_by_its_words() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let fault = |message: &str| Fault {
        call: "CreateSnapshot_Task".to_owned(),
        nth: Some(1),
        fault: Some("GenericVmConfigFault".to_owned()),
        message: Some(message.to_owned()),
        ..Fault::default()
    };
    bench.order(&[fault(
        "An error occurred while saving the snapshot: Failed to quiesce the virtual machine.",
    )])?;
    let told = bench.backup(&["--quiesce", "prefer"])?.expect_code(0);
    assert_eq!(told.events(), ["not-quiesced"], "{told:#?}");
    assert_eq!(consistency(&bench, &told)?, "crash");
    bench.order(&[fault("the disk is in another world")])?;
    let _ = bench.backup(&["--quiesce", "prefer"])?.expect_code(13);
    bench.order(&[])?;
    bench.assert_put_back()?;
    bench.assert_sound()
}
