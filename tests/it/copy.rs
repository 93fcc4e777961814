//! Points are copied to another repository by the real program.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cbt_tests::{Bench, Noise, Outcome};
use serde_json::Value;

const TARGET_PASSPHRASE: &str = "another one 4 the target";

/// A bench with a full point and increments, and an empty target.
struct Pair {
    bench: Bench,
    points: Vec<String>,
    target: PathBuf,
    passphrase: PathBuf,
}

impl Pair {
    fn new(increments: u64) -> Result<Self> {
        let mut bench = Bench::new()?;
        let _ = bench.init()?.expect_code(0);
        let mut points = vec![bench.backup(&[])?.expect_code(0).point()];
        for seed in 1..=increments {
            bench.guest_write(2000, seed << 20, &Noise::new(seed).bytes(1 << 20))?;
            bench.guest_unmap(2001, seed << 20, 1 << 18)?;
            points.push(bench.backup(&[])?.expect_code(0).point());
        }
        let (target, passphrase) = (bench.path("target"), bench.path("secret/target"));
        fs::write(&passphrase, TARGET_PASSPHRASE)?;
        let pair = Self {
            bench,
            points,
            target,
            passphrase,
        };
        let _ = pair.on_target("init", &[])?.expect_code(0);
        Ok(pair)
    }

    fn at_target(&self) -> Result<[&str; 4]> {
        let target = self.target.to_str().context("no text")?;
        let passphrase = self.passphrase.to_str().context("no text")?;
        Ok(["--repo", target, "--passphrase-file", passphrase])
    }

    fn on_target(&self, command: &str, options: &[&str]) -> Result<Outcome> {
        let options = [&self.at_target()?, options].concat();
        self.bench
            .run(self.bench.repository_arguments(command, &options))
    }

    fn arguments(&self, options: &[&str]) -> Result<Vec<OsString>> {
        let [_, target, _, passphrase] = self.at_target()?;
        let to = ["--to", target, "--to-passphrase-file", passphrase];
        Ok(self
            .bench
            .repository_arguments("copy", &[options, &to].concat()))
    }

    fn copy(&self, options: &[&str]) -> Result<Outcome> {
        self.bench.run(self.arguments(options)?)
    }

    /// The copy of a point, as the target lists it.
    fn copy_of(&self, point: &str) -> Result<Option<String>> {
        let list = self.on_target("list", &[])?.expect_code(0).result();
        let rows = list["points"].as_array().context("no points")?.clone();
        let copy = rows
            .iter()
            .find(|row| row["origin"]["point"] == point && row["kind"] != "partial");
        Ok(copy
            .and_then(|row| row["point"].as_str())
            .map(str::to_owned))
    }

    /// Points of the target, by the names of their roots, partial ones too.
    fn roots(&self) -> usize {
        let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
        entries(self.target.join("point"))
            .map(|vm| {
                entries(vm.path())
                    .filter(|point| entries(point.path()).any(|entry| is_root(&entry)))
                    .count()
            })
            .sum()
    }

    /// All points are there, restore from the target to what the disks were, and both sides are sound.
    fn assert_copied(&self, points: &[String]) -> Result<()> {
        for point in points {
            let copy = self
                .copy_of(point)?
                .with_context(|| format!("no copy of {point}"))?;
            self.bench
                .assert_copy_restores(point, &copy, &self.at_target()?)?;
        }
        let verified = self
            .on_target("verify", &["--level", "full"])?
            .expect_code(0);
        assert_eq!(verified.result()["findings"], Value::Array(Vec::new()));
        self.bench.assert_sound()
    }
}

/// Names that end with `#` and digits are writes that go on.
fn is_root(entry: &fs::DirEntry) -> bool {
    !entry.file_name().to_string_lossy().contains('#')
}

fn copied(outcome: &Outcome) -> Vec<Value> {
    let result = outcome.result();
    result["copied"].as_array().cloned().unwrap_or_default()
}

fn number(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {value}"))
}

#[test]
fn copies_restore_to_what_the_disks_were() -> Result<()> {
    let mut pair = Pair::new(2)?;
    let planned = pair.copy(&["--dry-run"])?.expect_code(0);
    assert_eq!(copied(&planned).len(), 3);
    assert_eq!(pair.copy_of(&pair.points[0])?, None);

    // The newest first, then the rest: an older one costs what it differs in.
    let latest = pair.copy(&["--latest"])?.expect_code(0);
    assert_eq!(copied(&latest)[0]["point"], pair.points[2].as_str());
    let rest = pair.copy(&[])?.expect_code(0);
    assert_eq!(copied(&rest).len(), 2);
    assert_eq!(rest.result()["there"], serde_json::json!([pair.points[2]]));
    let full = number(&copied(&latest)[0], "read_bytes");
    for row in copied(&rest) {
        assert!(
            number(&row, "read_bytes") < full / 2,
            "{row} against {full}"
        );
    }
    pair.assert_copied(&pair.points)?;

    let again = pair.copy(&[])?.expect_code(0).result();
    assert_eq!(
        (number(&again, "read_bytes"), &again["copied"]),
        (0, &serde_json::json!([]))
    );

    // A point that was dropped in the target comes again, unless only newer ones are wanted.
    let first = pair.copy_of(&pair.points[0])?.context("it is there")?;
    let _ = pair
        .on_target("forget", &[&first, "--apply"])?
        .expect_code(0);
    let next = pair.bench.backup(&[])?.expect_code(0).point();
    pair.points.push(next);
    let newer = pair.copy(&["--newer", "--vm", "app01"])?.expect_code(0);
    assert_eq!(copied(&newer).len(), 1);
    assert_eq!(pair.copy_of(&pair.points[0])?, None);
    let named = pair.copy(&[&pair.points[0]])?.expect_code(0);
    assert_eq!(copied(&named).len(), 1);
    pair.assert_copied(&pair.points)?;

    // Who has lost the first repository goes on with the copy.
    let options = pair.at_target()?;
    let backup = pair.bench.backup_arguments("app01", &options);
    let backup = pair.bench.run(backup)?.expect_code(0).result();
    assert_eq!(backup["kind"], "incremental");
    let last = pair.points.last().context("no point")?;
    let made = backup["point"].as_str().context("no point")?;
    pair.bench.assert_copy_restores(last, made, &options)
}

#[test]
fn what_cannot_be_is_refused_by_its_exit_code() -> Result<()> {
    let pair = Pair::new(0)?;
    let own = pair.bench.path("repository");
    let own = own.to_str().context("no text")?;
    let [_, target, _, secret] = pair.at_target()?;
    let source_secret = pair.bench.path("secret/passphrase");
    let source_secret = source_secret.to_str().context("no text")?;
    let run = |to: &str, secret: &str, more: &[&str]| {
        let to = [&["--to", to, "--to-passphrase-file", secret], more].concat();
        pair.bench.run(pair.bench.repository_arguments("copy", &to))
    };
    let _ = run(own, source_secret, &[])?
        .expect_code(2)
        .expect_said("the same repository");
    let _ = run(target, source_secret, &[])?
        .expect_code(12)
        .expect_said("the target");
    let empty = pair.bench.path("home");
    let empty = empty.to_str().context("no text")?;
    let _ = run(empty, secret, &[])?
        .expect_code(10)
        .expect_said("the target");
    let _ = run(target, secret, &["--vm", "nobody"])?.expect_code(18);
    let _ = run(target, secret, &["01ZZ"])?.expect_code(18);
    assert_eq!(pair.copy_of(&pair.points[0])?, None);
    Ok(())
}

#[test]
fn damage_of_the_source_is_told_and_never_becomes_zeros() -> Result<()> {
    let pair = Pair::new(0)?;
    let packs = fs::read_dir(pair.bench.path("repository/pack"))?;
    let session = packs.flatten().next().context("no session")?.path();
    let pack = session.join("d00000000");
    let mut bytes = fs::read(&pack)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes)?;
    let outcome = pair.copy(&[])?.expect_code(4);
    let row = copied(&outcome).remove(0);
    let lost = number(&row, "unreadable_bytes");
    assert!(lost > 0 && lost <= 1 << 18, "{row}");
    let finding = outcome.result()["findings"][0].clone();
    assert_eq!(finding["point"], pair.points[0].as_str());
    let copy = pair.copy_of(&pair.points[0])?.context("no copy")?;
    let options = pair.at_target()?;
    let to = pair.bench.path("restored/broken");
    let restored = pair.bench.restore(&copy, &to, &options)?.expect_code(4);
    let range = finding["bytes"].clone();
    let said = format!("bytes {} to {} cannot be read", range[0], range[1]);
    let _ = restored.expect_said(&said);
    let verified = pair.on_target("verify", &[])?.expect_code(4).result();
    assert_eq!(verified["findings"][0]["bytes"], range);
    assert_eq!(verified["quarantined"], false);
    Ok(())
}

#[test]
fn a_target_that_takes_no_more_is_16_and_the_next_copy_fills_it() -> Result<()> {
    let pair = Pair::new(1)?;
    // As on a full disk: no file may grow beyond two mebibytes.
    let limit = "trap '' XFSZ; ulimit -f 4096";
    let run = pair.bench.start_after(limit, &pair.arguments(&[])?)?;
    let _ = run.wait()?.expect_code(16).expect_said("failed to write");
    let _ = pair.copy(&[])?.expect_code(0);
    pair.assert_copied(&pair.points)
}

#[test]
fn a_copy_that_is_stopped_or_killed_goes_on() -> Result<()> {
    let pair = Pair::new(2)?;
    let slow = ["--limit-download", "6MiB"];
    let open = pair.target.join("open");
    let mut run = pair.bench.start(pair.arguments(&slow)?)?;
    run.wait_until("it copies", || {
        fs::read_dir(&open).is_ok_and(|mut open| open.next().is_some())
    })?;
    run.signal("INT")?;
    let _ = run.wait()?.expect_code(130);
    assert_eq!(pair.copy_of(&pair.points[0])?, None);

    // It has left a partial point. When the first copy is whole, two increments are still to come.
    assert_eq!(pair.roots(), 1);
    let slower = ["--limit-download", "1MiB"];
    let mut run = pair.bench.start(pair.arguments(&slower)?)?;
    run.wait_until("the first point is there", || pair.roots() == 2)?;
    assert_eq!(run.kill()?.signal, Some(9));
    let whole = pair.copy(&["--dry-run", &pair.points[0]])?.expect_code(0);
    assert_eq!(copied(&whole).len(), 0);
    let rest = pair.copy(&[])?.expect_code(0);
    assert!(copied(&rest).len() <= 2, "{rest:#?}");
    pair.assert_copied(&pair.points)?;
    let _ = pair
        .on_target("prune", &["--look-seconds", "1"])?
        .expect_code(0);
    pair.assert_copied(&pair.points)
}
