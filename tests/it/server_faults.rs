//! A vCenter with troubles of its own.

use anyhow::Result;
use cbt_tests::Bench;
use lab::Fault;

fn fault(call: &str, fault: &str) -> Fault {
    Fault {
        call: call.to_owned(),
        fault: Some(fault.to_owned()),
        ..Fault::default()
    }
}

fn cut(call: &str) -> Fault {
    Fault {
        call: call.to_owned(),
        truncate: Some(300),
        ..Fault::default()
    }
}

/// A bench with one point.
fn bench_with_a_point() -> Result<Bench> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 1 << 20, &[7; 4096])?;
    Ok(bench)
}

#[test]
fn a_snapshot_that_cannot_be_made_is_13() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    for ordered in [
        // The task fails, or the call itself.
        fault("CreateSnapshot_Task", "SnapshotFault"),
        fault("CreateSnapshot_Task", "NoPermission"),
    ] {
        bench.order(std::slice::from_ref(&ordered))?;
        let name = ordered.fault.unwrap_or_default();
        let _ = bench.backup(&[])?.expect_code(13).expect_said(&name);
        bench.assert_put_back()?;
    }
    bench.order(&[])?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental");
    bench.assert_sound()
}

#[test]
fn broken_answers_to_reads_are_asked_for_again() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    let read = Fault {
        call: "RetrievePropertiesEx".to_owned(),
        ..Fault::default()
    };
    for ordered in [
        Fault {
            nth: Some(2),
            http_status: Some(502),
            ..read.clone()
        },
        Fault {
            nth: Some(3),
            http_status: Some(503),
            ..read.clone()
        },
        Fault {
            nth: Some(2),
            truncate: Some(400),
            ..read.clone()
        },
        Fault {
            truncate: Some(400),
            ..Fault {
                call: "QueryChangedDiskAreas".to_owned(),
                ..Fault::default()
            }
        },
        Fault {
            nth: Some(4),
            fault: Some("NotAuthenticated".to_owned()),
            ..read
        },
        cut("RetrieveServiceContent"),
        // The login has worked: a second one in its session would be refused.
        cut("Login"),
    ] {
        bench.order(std::slice::from_ref(&ordered))?;
        let outcome = bench.backup(&[])?.expect_code(0);
        assert_eq!(outcome.result()["kind"], "incremental", "{ordered:?}");
        assert_eq!(outcome.events(), Vec::<String>::new(), "{ordered:?}");
    }
    bench.order(&[])?;
    let vm = bench.lab.vm(&bench.vm)?;
    assert!(vm.snapshots.is_empty() && vm.disabled_methods.is_empty());
    bench.assert_sound()
}

#[test]
fn a_server_that_stays_broken_is_13() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    let read = "RetrievePropertiesEx".to_owned();
    bench.order(&[Fault {
        call: read,
        count: Some(0),
        http_status: Some(502),
        ..Fault::default()
    }])?;
    let _ = bench.backup(&[])?.expect_code(13).expect_said("502");
    bench.order(&[])?;
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_snapshot_that_cannot_be_removed_is_5_and_the_next_run_removes_it() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    bench.order(&[fault("RemoveSnapshot_Task", "FileFault")])?;
    let left = bench.backup(&[])?.expect_code(5);
    let result = left.result();
    assert_eq!(
        (&result["left_behind"], &result["incomplete"]),
        (&true.into(), &false.into())
    );
    assert_eq!(left.events(), ["left-behind"]);
    // The point is as good as any, and the VM may be moved again.
    bench.assert_restores(&left.point())?;
    let vm = bench.lab.vm(&bench.vm)?;
    assert_eq!((vm.snapshots.len(), vm.disabled_methods.len()), (1, 0));

    bench.order(&[])?;
    bench.guest_write(2001, 0, &[8; 512])?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.events(), ["dead-run"], "{next:#?}");
    assert_eq!(next.result()["kind"], "incremental");
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn another_programs_snapshot_is_left_alone() -> Result<()> {
    let mut bench = bench_with_a_point()?;
    let theirs = lab::SnapshotSpec::named("cbt-backup");
    let theirs = bench.lab.create_snapshot(&bench.vm, &theirs)?.moref;
    bench.guest_write(2000, 2 << 20, &[1; 512])?;
    let outcome = bench.backup(&[])?.expect_code(0);
    assert_eq!(outcome.result()["kind"], "incremental");
    let left: Vec<_> = bench
        .lab
        .vm(&bench.vm)?
        .snapshots
        .into_iter()
        .map(|one| one.moref)
        .collect();
    assert_eq!(left, [theirs]);
    let full = bench.backup(&["--full"])?.expect_code(0);
    // With links that are not ours, only reading everything tells what the disk holds.
    assert_eq!(
        full.disk(2000).bytes("read_bytes"),
        bench.capacity_bytes(2000)?
    );
    bench.assert_sound()
}
