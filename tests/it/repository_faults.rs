//! Repositories that are full, or damaged.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use cbt_tests::{Bench, Noise};

/// A bench with one point, and noise on the first disk that no repository holds yet.
fn bench_with_much_to_store() -> Result<Bench> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 4 << 20, &Noise::new(77).bytes(12 << 20))?;
    Ok(bench)
}

#[test]
fn a_store_that_takes_no_more_is_16_and_older_points_verify() -> Result<()> {
    let mut bench = bench_with_much_to_store()?;
    // Blocks of 512 bytes: no file may grow beyond a mebibyte. The signal that comes with it is
    // left out, so that writes fail as on a full disk.
    let limit = "trap '' XFSZ; ulimit -f 2048";
    let run = bench.start_after(limit, &bench.backup_arguments("app01", &[]))?;
    let outcome = run.wait()?;
    let _ = outcome.expect_code(16).expect_said("failed to write");
    bench.assert_put_back()?;
    bench.assert_sound()?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental");
    bench.assert_put_back()?;
    bench.assert_sound()
}

#[test]
fn a_full_file_system_is_16_and_older_points_verify() -> Result<()> {
    if !namespaces_are_allowed() {
        // Not by the macro, whose text is kept back when a test passes.
        let skipped = "skipped: a full file system: no mount in a namespace of its own";
        writeln!(io::stderr(), "{skipped} (unshare -rm)")?;
        return Ok(());
    }
    let mut bench = Bench::new()?;
    let (repository, output) = (bench.path("repository"), bench.path("output"));
    fs::create_dir(&repository)?;
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-c", &on_a_full_file_system(&bench)?, "sh"]);
    shell.args([&repository, &output]);
    let mut run = bench.start_command(shell)?;
    run.wait_until("the file system is full", || output.join("ready").exists())?;
    bench.guest_write(2000, 4 << 20, &Noise::new(77).bytes(12 << 20))?;
    fs::write(output.join("go"), "")?;
    let _ = run.wait()?.expect_code(0);

    let read = |name: &str| fs::read_to_string(output.join(name)).with_context(|| name.to_owned());
    let said = read("full.err")?;
    assert_eq!(read("full.code")?.trim(), "16", "{said}");
    assert!(
        said.contains("hint: ") && said.contains("No space"),
        "{said}"
    );
    assert_eq!(read("verify.code")?.trim(), "0", "{}", read("verify.out")?);
    assert_eq!(read("next.code")?.trim(), "0");
    // The first run, the one that found no room after all, and the next.
    assert_eq!(bench.calls()?.count("vcenter", "CreateSnapshot_Task"), 3);
    bench.assert_put_back()
}

/// A script whose first parameter is the folder of the repository, and whose second is where it
/// says what happened. The small file system is there for this shell and its children only. It is
/// filled but for four mebibytes: enough to begin, not enough to end.
fn on_a_full_file_system(bench: &Bench) -> Result<String> {
    Ok(format!(
        "mount -t tmpfs -o size=40m none \"$1\" || exit 99
         {{ {init} && {backup}; }} > /dev/null 2>&1 || exit 98
         head -c 4194304 /dev/zero > \"$1\"/room
         head -c 41943040 /dev/zero > \"$1\"/filler 2> /dev/null
         rm \"$1\"/room; : > \"$2\"/ready
         while [ ! -e \"$2\"/go ]; do sleep 0.05; done
         {backup} > \"$2\"/full.out 2> \"$2\"/full.err; echo $? > \"$2\"/full.code
         rm \"$1\"/filler
         {verify} > \"$2\"/verify.out 2>&1; echo $? > \"$2\"/verify.code
         {backup} > /dev/null 2>&1; echo $? > \"$2\"/next.code
         {verify} > /dev/null 2>&1",
        init = quoted(bench, "init", &[])?,
        backup = quoted(bench, "backup", &[])?,
        verify = quoted(bench, "verify", &["--level", "full"])?,
    ))
}

fn namespaces_are_allowed() -> bool {
    let mut shell = Command::new("unshare");
    shell.args(["-rm", "sh", "-c", "mount -t tmpfs none /mnt"]);
    shell.output().is_ok_and(|tried| tried.status.success())
}

/// A call of the program as a shell takes it.
fn quoted(bench: &Bench, command: &str, options: &[&str]) -> Result<String> {
    let arguments = match command {
        "backup" => bench.backup_arguments("app01", options),
        _ => bench.repository_arguments(command, options),
    };
    let mut words = vec![cbt_tests::program()?.display().to_string()];
    words.extend(
        arguments
            .iter()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    let quote = |word: &String| format!("'{}'", word.replace('\'', "'\\''"));
    Ok(words.iter().map(quote).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_file_in_the_way_ends_the_run_before_anything_is_touched() -> Result<()> {
    let mut bench = bench_with_much_to_store()?;
    // A file where the announcement's folder belongs: an obstacle also for root.
    let open = bench.path("repository/open");
    if open.exists() {
        fs::remove_dir_all(&open)?;
    }
    fs::write(&open, "in the way")?;
    let outcome = bench.backup(&[])?;
    let _ = outcome.expect_code(16).expect_said("failed to write open/");
    assert_eq!(bench.calls()?.count("vcenter", "CreateSnapshot_Task"), 1);
    bench.assert_put_back()?;
    fs::remove_file(&open)?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.assert_sound()
}

#[test]
fn a_flipped_byte_is_found_and_never_restored() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let point = bench.backup(&[])?.expect_code(0).point();
    let pack = largest_file(bench.path("repository/pack"))?;
    let mut bytes = fs::read(&pack)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, &bytes)?;
    let verified = bench.verify("full")?.expect_code(4);
    assert!(
        !verified.result()["findings"]
            .as_array()
            .is_none_or(Vec::is_empty),
        "{verified:#?}"
    );
    let to = bench.path("restored/to");
    let _ = bench
        .restore(&point, &to, &[])?
        .expect_code(4)
        .expect_said("--allow-unreadable");
    let left = fs::read_dir(&to)?
        .filter_map(Result::ok)
        .map(|entry| entry.file_name());
    let left: Vec<_> = left.collect();
    assert!(
        left.len() < 2
            && !left
                .iter()
                .any(|name| name.to_string_lossy().contains("partial")),
        "{left:?}"
    );
    Ok(())
}

#[test]
fn the_rest_of_a_damaged_disk_is_restored_and_every_lost_byte_is_told() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let point = bench.backup(&[])?.expect_code(0).point();
    let pack = largest_file(bench.path("repository/pack"))?;
    let mut bytes = fs::read(&pack)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, &bytes)?;
    let to = bench.path("restored/to");
    let restored = bench
        .restore(&point, &to, &["--allow-unreadable"])?
        .expect_code(4);
    let values = restored.values();
    let lost: Vec<_> = values
        .iter()
        .filter(|value| value["kind"] == "bytes-lost")
        .collect();
    // One byte of the pack is one block of one disk.
    let [event] = lost[..] else {
        panic!("{restored:#?}");
    };
    let number = |name: &str| event[name].as_u64().context(name.to_owned());
    let (offset, length) = (number("offset_bytes")?, number("length_bytes")?);
    assert_eq!(length, 1 << 18, "{restored:#?}");
    let result = restored.result();
    let disks = result["disks"].as_array().context("no disks")?;
    assert_eq!(disks.len(), bench.frozen(&point)?.device_keys().count());
    let mut hit = 0;
    for disk in disks {
        let device_key = i32::try_from(disk["device_key"].as_i64().context("no key")?)?;
        let path = PathBuf::from(disk["path"].as_str().context("no path")?);
        let is_hit = disk["label"] == event["disk"];
        hit += usize::from(is_hit);
        let range = offset..offset + length;
        let lost = if is_hit { &[range][..] } else { &[] };
        assert_eq!(disk["lost_bytes"], if is_hit { length } else { 0 });
        assert_eq!(disk["lost_ranges"], u64::from(is_hit));
        bench.frozen(&point)?.compare_but(device_key, &path, lost)?;
        // The block that is told as lost was no hole: something is missing indeed.
        assert_eq!(
            bench.frozen(&point)?.compare(device_key, &path).is_err(),
            is_hit
        );
    }
    assert_eq!(hit, 1);
    Ok(())
}

#[test]
fn a_damaged_node_pack_costs_one_more_try_and_no_night() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    // The first disk's leaves are stored first.
    let _ = bench.backup(&["--disks-at-once", "1"])?.expect_code(0);
    let mut folders = vec![bench.path("repository/pack")];
    let mut damaged = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // The first node pack of the session: the leaves. The usage table is in the last one.
            if path.ends_with("n00000000") {
                let mut bytes = fs::read(&path)?;
                bytes[100] ^= 1;
                bytes[101] ^= 1;
                fs::write(&path, &bytes)?;
                damaged += 1;
            }
        }
    }
    assert_eq!(damaged, 1);
    bench.guest_write(2000, 3 << 18, &[9; 4096])?;
    let next = bench.backup(&[])?.expect_code(0);
    assert!(
        next.events().contains(&"pack-damaged".to_owned()),
        "{next:#?}"
    );
    bench.assert_put_back()?;
    bench.assert_restores(&next.point())?;
    // The one after it builds on a sound point.
    bench.guest_write(2000, 5 << 18, &[7; 4096])?;
    let last = bench.backup(&[])?.expect_code(0);
    assert_eq!(last.result()["kind"], "incremental", "{last:#?}");
    assert!(!last.events().contains(&"pack-damaged".to_owned()));
    bench.assert_restores(&last.point())
}

fn largest_file(folder: PathBuf) -> Result<PathBuf> {
    let mut folders = vec![folder];
    let mut largest = (0, PathBuf::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                largest = largest.max((entry.metadata()?.len(), entry.path()));
            }
        }
    }
    Ok(largest.1)
}
