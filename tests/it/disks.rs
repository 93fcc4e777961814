//! Disks that take part in a backup, and disks that are left out.

use anyhow::Result;
use cbt_tests::{Bench, Outcome};

/// The labels of the disks that a run has read.
fn labels(backup: &Outcome) -> Vec<String> {
    let result = backup.result();
    let disks = result["disks"].as_array().cloned().unwrap_or_default();
    let label = |disk: &serde_json::Value| disk["label"].as_str().unwrap_or_default().to_owned();
    disks.iter().map(label).collect()
}

/// How often an event was told.
fn count(backup: &Outcome, kind: &str) -> usize {
    backup
        .events()
        .iter()
        .filter(|event| *event == kind)
        .count()
}

#[test]
fn disks_are_chosen_by_label_key_place_and_file() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let first = ["Hard disk 1".to_owned()];
    let second = ["Hard disk 2".to_owned()];
    for (options, expected) in [
        (&["--disk", "hard disk 1"][..], &first),
        (&["--disk", "2001"], &second),
        (&["--exclude-disk", "scsi0:1"], &first),
        (&["--exclude-disk", "app01.vmdk"], &second),
        (
            &["--disk", "2000", "--disk", "2001", "--exclude-disk", "2000"],
            &second,
        ),
    ] {
        let backup = bench.backup(options)?.expect_code(0);
        assert_eq!(labels(&backup), expected, "{options:?}");
        assert_eq!(count(&backup, "disk-excluded"), 1, "{options:?}");
        assert_eq!(count(&backup, "no-such-disk"), 0, "{options:?}");
    }
    let backup = bench
        .backup(&["--exclude-disk", "Hard disk 7"])?
        .expect_code(0);
    assert_eq!(labels(&backup), ["Hard disk 1", "Hard disk 2"]);
    assert_eq!(count(&backup, "no-such-disk"), 1);
    bench.assert_restores(&backup.point())?;
    let _ = bench
        .backup(&["--disk", "Hard disk 7"])?
        .expect_code(13)
        .expect_said("no disk");
    let _ = bench
        .backup(&["--disk", " "])?
        .expect_code(2)
        .expect_said("empty");
    bench.assert_put_back()
}

/// A disk that was left out for a while has changed meanwhile; what it was before must not be taken for
/// what it is.
#[test]
fn a_disk_that_takes_part_again_has_what_was_written_meanwhile() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let both = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2001, 1 << 20, &vec![7; 1 << 17])?;
    let one = bench.backup(&["--exclude-disk", "2001"])?.expect_code(0);
    bench.guest_write(2001, 5 << 20, &vec![9; 1 << 17])?;
    let again = bench.backup(&[])?.expect_code(0);
    bench.assert_restores(&both.point())?;
    bench.assert_restores(&again.point())?;
    // The point without the disk has the other one, and tells that one is left out.
    let to = bench.path("restored").join("one");
    let restored = bench.restore(&one.point(), &to, &[])?.expect_code(0);
    assert_eq!(restored.result()["disks"].as_array().map(Vec::len), Some(1));
    assert!(restored.stdout.contains("disk-left-out"), "{restored:#?}");
    let show = bench.repository_arguments("show", &[&one.point()]);
    let show = bench.run(show)?.expect_code(0);
    assert!(show.stdout.contains("disk-excluded"), "{show:#?}");
    bench.assert_put_back()
}

#[test]
fn the_only_point_with_a_disk_outlives_newer_ones_without_it() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    let both = bench.backup(&[])?.expect_code(0);
    let _ = bench.backup(&["--exclude-disk", "2001"])?.expect_code(0);
    let forget = ["--keep-last", "1", "--min-age", "0s", "--apply"];
    let forget = bench.run(bench.repository_arguments("forget", &forget))?;
    let forget = forget.expect_code(0);
    assert!(
        forget.stdout.contains("newest of Hard disk 2"),
        "{forget:#?}"
    );
    let list = bench.run(bench.repository_arguments("list", &[]))?;
    let points = list.result()["points"].as_array().cloned();
    assert_eq!(points.map(|points| points.len()), Some(2), "{list:#?}");
    bench.assert_restores(&both.point())
}
