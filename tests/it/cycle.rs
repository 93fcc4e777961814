//! Full, incremental, nothing changed; each point restored bit for bit.

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Noise, Outcome};

/// The disks of a bench.
const FIRST: i32 = 2000;
const ODD: i32 = 2001;

/// Guest writes of every kind that has a border in it. Returns nothing: the bench keeps count.
fn scribble(bench: &mut Bench, seed: u64) -> Result<()> {
    let mut noise = Noise::new(seed);
    let odd_end = bench.capacity_bytes(ODD)?;
    // Zeros written over whatever is there, as data.
    bench.guest_write(FIRST, 512 * 77, &[0; 8192])?;
    // Both sides of a grain's border, and of a block's.
    bench.guest_write(FIRST, (5 << 16) - 512, &noise.bytes(1024))?;
    bench.guest_write(FIRST, (9 << 18) - 512, &noise.bytes(1024))?;
    // Exactly one grain, exactly one block.
    bench.guest_write(FIRST, 70 << 16, &noise.bytes(1 << 16))?;
    bench.guest_write(FIRST, 30 << 18, &noise.bytes(1 << 18))?;
    // A run over several blocks that begins and ends inside one.
    bench.guest_write(
        FIRST,
        (50 << 18) + 512 * 3,
        &noise.bytes((3 << 18) + 512 * 9),
    )?;
    // Given up: inside a block, and whole blocks.
    bench.guest_unmap(FIRST, (80 << 18) + 4096, 20 << 10)?;
    bench.guest_unmap(FIRST, 85 << 18, 2 << 18)?;
    // The first sector and the last of the odd disk, and both sides of its last whole grain.
    bench.guest_write(ODD, 0, &noise.bytes(512))?;
    bench.guest_write(ODD, odd_end - 512, &noise.bytes(512))?;
    bench.guest_write(ODD, (9 << 20) - 512, &noise.bytes(1024))?;
    Ok(())
}

/// Looks at what a run says of its disks: changes exact, reads within their bounds.
#[track_caller]
fn assert_incremental(bench: &Bench, outcome: &Outcome) -> Result<()> {
    assert_eq!(outcome.result()["kind"], "incremental", "{outcome:#?}");
    for device_key in [FIRST, ODD] {
        let disk = outcome.disk(device_key);
        let (changed, read) = (disk.bytes("changed_bytes"), disk.bytes("read_bytes"));
        let wanted = bench
            .touched
            .changed_bytes(device_key, bench.capacity_bytes(device_key)?);
        assert_eq!(disk.text("action"), "incremental", "{disk:?}");
        assert_eq!(changed, wanted, "{disk:?}");
        assert!(
            read >= changed && read <= bench.touched.block_bytes(device_key),
            "{disk:?}"
        );
        // Blocks are stored whole, though of some only a part is read.
        assert!(
            disk.bytes("new_bytes") <= bench.touched.block_bytes(device_key),
            "{disk:?}"
        );
        assert_eq!(
            disk.bytes("capacity_bytes"),
            bench.capacity_bytes(device_key)?
        );
        assert_eq!(disk.text("transport"), "nbdssl", "{disk:?}");
    }
    Ok(())
}

#[test]
fn a_full_and_its_increments_restore_bit_for_bit() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);

    let full = bench.backup(&[])?.expect_code(0);
    assert_eq!(full.result()["kind"], "full");
    assert_eq!(full.events(), ["tracking-on"], "{full:#?}");
    for device_key in [FIRST, ODD] {
        let disk = full.disk(device_key);
        assert_eq!(disk.text("action"), "full");
        assert!(!disk.text("reason").is_empty(), "{disk:?}");
        let (read, capacity) = (disk.bytes("read_bytes"), bench.capacity_bytes(device_key)?);
        assert!(
            read > 0 && read <= capacity && disk.bytes("stored_bytes") < read,
            "{disk:?}"
        );
    }
    bench.assert_put_back()?;
    let read_before = bench.calls()?.bytes_read();

    bench.touched.clear();
    scribble(&mut bench, 1)?;
    let second = bench.backup(&[])?.expect_code(0);
    assert_incremental(&bench, &second)?;
    assert_eq!(second.events(), Vec::<String>::new());
    // What the program says it read is what the library was asked for.
    let told: u64 = [FIRST, ODD]
        .map(|key| second.disk(key).bytes("read_bytes"))
        .iter()
        .sum();
    assert_eq!(bench.calls()?.bytes_read() - read_before, told);

    bench.touched.clear();
    let third = bench.backup(&[])?.expect_code(0);
    assert_incremental(&bench, &third)?;
    assert_eq!(
        third.disk(FIRST).bytes("read_bytes") + third.disk(ODD).bytes("read_bytes"),
        0
    );

    bench.touched.clear();
    scribble(&mut bench, 2)?;
    let fourth = bench.backup(&[])?.expect_code(0);
    assert_incremental(&bench, &fourth)?;
    let again = bench.backup(&["--full"])?.expect_code(0);
    assert_eq!(again.disk(FIRST).text("action"), "full");
    assert_eq!(
        again.disk(FIRST).bytes("new_bytes"),
        0,
        "everything was known: {again:#?}"
    );

    bench.assert_put_back()?;
    bench.assert_sound()?;
    let made = [full, second, third, fourth, again].map(|outcome| outcome.point());
    assert_listed(&bench, &made)
}

/// The list has these points, oldest first, with what is known of them.
#[track_caller]
fn assert_listed(bench: &Bench, points: &[String; 5]) -> Result<()> {
    let list = bench.list()?.expect_code(0).result();
    assert_eq!(list["findings"], serde_json::json!([]));
    let rows = list["points"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = rows
        .iter()
        .filter_map(|row| row["point"].as_str())
        .collect();
    assert_eq!(names, points.iter().map(String::as_str).collect::<Vec<_>>());
    let kinds: Vec<&str> = rows.iter().filter_map(|row| row["kind"].as_str()).collect();
    assert_eq!(
        kinds,
        ["full", "incremental", "incremental", "incremental", "full"]
    );
    let capacity = bench.capacity_bytes(FIRST)? + bench.capacity_bytes(ODD)?;
    for row in &rows {
        assert_eq!(
            (&row["vm"], &row["disks"]),
            (&"app01".into(), &2.into()),
            "{row}"
        );
        assert_eq!(
            (&row["capacity_bytes"], &row["complete"]),
            (&capacity.into(), &true.into()),
            "{row}"
        );
    }
    let other = bench
        .run(bench.repository_arguments("list", &["--vm", "other"]))?
        .expect_code(0);
    assert_eq!(other.result()["points"], serde_json::json!([]));
    Ok(())
}

#[test]
fn small_pages_of_changed_areas_are_put_together() -> Result<()> {
    let mut bench = Bench::with(&BenchOptions {
        page_extents: 3,
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    let full = bench.backup(&[])?.expect_code(0);
    bench.touched.clear();
    scribble(&mut bench, 3)?;
    let mut noise = Noise::new(4);
    for grain in (200..260).step_by(2) {
        bench.guest_write(FIRST, grain << 16, &noise.bytes(512))?;
    }
    let increment = bench.backup(&[])?.expect_code(0);
    assert_incremental(&bench, &increment)?;
    let pages = bench.calls()?.count("vcenter", "QueryChangedDiskAreas");
    assert!(pages > 10, "{pages} pages");
    bench.assert_put_back()?;
    bench.assert_restores(&full.point())?;
    bench.assert_restores(&increment.point())
}

#[test]
fn what_the_guest_writes_during_a_run_belongs_to_the_next() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let first = bench.start_backup_to_the_middle(&[])?;
    bench.touched.clear();
    scribble(&mut bench, 5)?;
    bench.order(&[])?;
    let first = bench.finish(first)?.expect_code(0);
    let second = bench.backup(&[])?.expect_code(0);
    assert_incremental(&bench, &second)?;
    bench.assert_put_back()?;
    bench.assert_sound()?;
    assert_ne!(first.point(), second.point());
    Ok(())
}

#[test]
fn one_disk_is_restored_by_key_or_label_and_a_target_is_kept() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let point = bench.backup(&[])?.expect_code(0).point();
    let to = bench.path("restored/to");
    let file = to.join("app01-disk-2001.raw");
    for disk in ["2001", "Hard disk 2"] {
        let restored = bench
            .restore(&point, &to, &["--disk", disk])?
            .expect_code(0);
        assert_eq!(
            restored.result()["disks"][0]["path"],
            file.display().to_string()
        );
        bench.frozen(&point)?.compare(ODD, &file)?;
        assert_eq!(std::fs::read_dir(&to)?.count(), 1);
        std::fs::write(&file, "precious")?;
        // Nothing is restored, not even the disk that would not be in the way.
        let _ = bench
            .restore(&point, &to, &[])?
            .expect_code(17)
            .expect_said("app01-disk-2001.raw");
        assert_eq!(std::fs::read_dir(&to)?.count(), 1);
        assert_eq!(std::fs::read_to_string(&file)?, "precious");
        let _ = bench
            .restore(&point, &to, &["--disk", disk, "--force"])?
            .expect_code(0);
        bench.frozen(&point)?.compare(ODD, &file)?;
        std::fs::remove_file(&file)?;
    }
    let none = bench.restore(&point, &to, &["--disk", "2002"])?;
    let _ = none.expect_code(18).expect_said("Hard disk 1");
    Ok(())
}
