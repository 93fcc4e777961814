//! Points are dropped, brought back and pruned by the real program.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use cbt_tests::{Bench, Noise, Outcome};
use serde_json::Value;

fn run(bench: &Bench, command: &str, options: &[&str]) -> Result<Value> {
    let outcome: Outcome = bench.run(bench.repository_arguments(command, options))?;
    Ok(outcome.expect_code(0).result())
}

fn number(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("{name}: {value}"))
}

fn living(bench: &Bench) -> Result<Vec<String>> {
    let list = run(bench, "list", &[])?;
    let rows = list["points"].as_array().context("no points")?.clone();
    let ids = rows.iter().filter_map(|row| row["point"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

fn empty_folders(root: PathBuf) -> Result<Vec<PathBuf>> {
    let (mut folders, mut empty) = (vec![root], Vec::new());
    while let Some(folder) = folders.pop() {
        let mut entries = 0;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            entries += 1;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            }
        }
        if entries == 0 {
            empty.push(folder);
        }
    }
    Ok(empty)
}

#[test]
fn points_are_dropped_brought_back_and_pruned() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let mut points = vec![bench.backup(&[])?.expect_code(0).point()];
    for seed in 1..3 {
        bench.guest_write(2000, 4 << 20, &Noise::new(seed).bytes(4 << 20))?;
        points.push(bench.backup(&[])?.expect_code(0).point());
    }

    // A plan changes nothing.
    let rules = ["--keep-last", "1", "--min-age", "0s"];
    let plan = run(&bench, "forget", &rules)?;
    assert_eq!(
        (number(&plan, "dropped"), number(&plan, "kept")),
        (2, 1),
        "{plan}"
    );
    assert_eq!(living(&bench)?, points);
    let young = run(&bench, "forget", &["--keep-last", "1", "--apply"])?;
    assert_eq!(
        number(&young, "dropped"),
        0,
        "all are younger than a day: {young}"
    );
    let done = run(&bench, "forget", &[&rules[..], &["--apply"]].concat())?;
    assert_eq!(number(&done, "dropped"), 2);
    assert_eq!(living(&bench)?, points[2..]);
    let bin = run(&bench, "list", &["--deleted"])?;
    assert_eq!(bin["deleted"].as_array().map(Vec::len), Some(2), "{bin}");

    // The newest complete point always stays, and whoever names it is told.
    let stays = [points[2].as_str(), "--apply"];
    let stays = bench.run(bench.repository_arguments("forget", &stays))?;
    let stays = stays.expect_code(1).expect_said("always stays");
    assert_eq!(stays.result()["type"], "error", "{stays:#?}");
    assert_eq!(living(&bench)?, points[2..]);
    let planned = run(&bench, "forget", &[&points[2]])?;
    assert_eq!(number(&planned, "kept"), 1, "{planned}");
    // A variable of a script that is not set names no point, though there is only one.
    for arguments in [
        &["show", ""][..],
        &["restore", "", "--to", "nowhere"],
        &["forget", ""],
    ] {
        let arguments = bench.repository_arguments(arguments[0], &arguments[1..]);
        let _ = bench.run(arguments)?.expect_code(18);
    }

    // In the bin nothing is lost.
    assert_eq!(number(&run(&bench, "prune", &[])?, "packs_deleted"), 0);
    let back = run(&bench, "undelete", &[&points[1]])?;
    let back = back["point"].as_str().context("no point")?.to_owned();
    let folder = bench.path("brought-back");
    let _ = bench.restore(&back, &folder, &[])?.expect_code(0);
    let frozen = bench.frozen(&points[1])?;
    for device_key in [2000, 2001] {
        let file = folder.join(format!("app01-disk-{device_key}.raw"));
        frozen.compare(device_key, &file)?;
    }

    // Past the bin it goes, and what the others need stays.
    let pruned = run(&bench, "prune", &["--bin-days", "0", "--compact"])?;
    assert!(number(&pruned, "packs_deleted") > 0, "{pruned}");
    assert_eq!(number(&pruned, "packs_untold"), 0, "{pruned}");
    let empty = empty_folders(bench.path("repository"))?;
    assert!(
        empty
            .iter()
            .all(|one| one.parent() == Some(&bench.path("repository"))),
        "{empty:?}"
    );
    assert_eq!(
        bench.verify("full")?.expect_code(0).result()["findings"],
        serde_json::json!([])
    );
    bench.assert_restores(&points[2])?;
    let _ = bench
        .run(bench.repository_arguments("undelete", &[&points[0]]))?
        .expect_code(18);
    // The next increment builds on what is left.
    bench.guest_write(2000, 9 << 20, &Noise::new(9).bytes(1 << 20))?;
    let next = bench.backup(&[])?.expect_code(0);
    assert_eq!(next.result()["kind"], "incremental");
    bench.assert_restores(&next.point())
}

#[test]
fn tagged_points_are_kept_by_their_rule() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let tags = ["--tag", "gold", "--tag", "change:4711", "--tag", "gold"];
    let tagged = bench.backup(&tags)?.expect_code(0).point();
    let mut points = vec![tagged.clone()];
    for seed in 1..3 {
        bench.guest_write(2000, 4 << 20, &Noise::new(seed).bytes(1 << 20))?;
        points.push(bench.backup(&[])?.expect_code(0).point());
    }
    let list = run(&bench, "list", &["--tag", "gold"])?;
    let rows = list["points"].as_array().context("no points")?;
    assert_eq!(rows.len(), 1, "{list}");
    let words = serde_json::json!(["change:4711", "gold"]);
    let first = (rows[0]["point"].as_str(), &rows[0]["tags"]);
    assert_eq!(first, (Some(tagged.as_str()), &words));
    let show = run(&bench, "show", &[&tagged])?;
    assert_eq!(show["point"]["tags"], words);

    let rules = [
        "--keep-tag",
        "gold",
        "--keep-tag",
        "none",
        "--min-age",
        "0s",
    ];
    let done = run(&bench, "forget", &[&rules[..], &["--apply"]].concat())?;
    let plan = done["points"].as_array().context("no plan")?;
    let kept: Vec<String> = plan.iter().map(|row| row["kept_by"].to_string()).collect();
    let wanted = [r#"["tag gold"]"#, "[]", r#"["newest","newest complete"]"#];
    assert_eq!(kept, wanted);
    assert_eq!(living(&bench)?, [points[0].clone(), points[2].clone()]);
    bench.assert_restores(&tagged)?;

    // What is no tag is refused before anything is done.
    let many: Vec<String> = (0..17).map(|number| format!("--tag=t{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for wrong in [
        &["--tag", "\u{1b}[2J"][..],
        &["--tag", "a b"],
        &["--tag", ""],
        &many,
    ] {
        let _ = bench.backup(wrong)?.expect_code(2);
    }
    assert_eq!(living(&bench)?.len(), 2);
    let verified = bench.verify("full")?.expect_code(0).result();
    assert_eq!(verified["findings"], serde_json::json!([]));
    Ok(())
}

#[test]
fn a_point_that_cannot_be_read_is_dropped_by_its_id_and_said_so() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let sound = bench.backup(&[])?.expect_code(0).point();
    bench.guest_write(2000, 4 << 20, &Noise::new(1).bytes(1 << 20))?;
    let point = bench.backup(&[])?.expect_code(0).point();
    let points = bench.path("repository/point");
    let vm = fs::read_dir(points)?.next().context("no VM")??.path();
    let root = fs::read_dir(vm.join(&point))?
        .next()
        .context("no root")??
        .path();
    fs::write(root, "no root")?;
    let forget = |options: &[&str]| {
        let options = [&[point.as_str()], options].concat();
        bench.run(bench.repository_arguments("forget", &options))
    };
    // A plan leaves the trouble where it is.
    let plan = forget(&[])?.expect_code(4).result();
    assert_eq!(plan["unreadable"], serde_json::json!([point]), "{plan}");
    assert_eq!(number(&plan, "dropped"), 1);
    let done = forget(&["--apply"])?.expect_code(0).result();
    assert_eq!(done["unreadable"], serde_json::json!([point]), "{done}");
    assert_eq!(living(&bench)?, [sound]);
    let pruned = run(&bench, "prune", &["--bin-days", "0"])?;
    assert!(number(&pruned, "packs_deleted") > 0, "{pruned}");
    let _ = bench.verify("full")?.expect_code(0);
    Ok(())
}
