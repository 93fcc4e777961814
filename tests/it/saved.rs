//! What is kept of a VM beside its disks.

use std::fs;

use anyhow::{Context as _, Result};
use cbt_tests::{Bench, Outcome, PASSWORD, USER};
use lab::{Permission, Role, Site};
use serde_json::Value;

fn show(bench: &Bench, point: &str, options: &[&str]) -> Result<Outcome> {
    bench.run(bench.repository_arguments("show", &[&[point], options].concat()))
}

fn names(bench: &Bench, point: &str) -> Result<Vec<String>> {
    let shown = show(bench, point, &[])?.expect_code(0).result();
    let files = shown["point"]["files"].as_array().context("no files")?;
    let name = |file: &Value| file["name"].as_str().unwrap_or_default().to_owned();
    Ok(files.iter().map(name).collect())
}

#[test]
fn nvram_names_around_the_vm_and_disk_databases_are_in_the_point() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let vm = bench.lab.vm(&bench.vm)?;
    let nvram = vm.vmx_path.replace(".vmx", ".nvram");
    let path = bench.lab.datastore_file(&nvram)?;
    fs::write(&path, b"firmware \x00 variables")?;
    let backup = bench.backup(&[])?.expect_code(0);
    assert!(
        !backup.events().contains(&"not-saved".to_owned()),
        "{backup:?}"
    );
    let point = backup.point();
    assert_eq!(
        names(&bench, &point)?,
        ["config.xml", "nvram", "surroundings.json", "disks.json"]
    );
    let saved = show(&bench, &point, &["--file", "nvram"])?.expect_code(0);
    assert_eq!(saved.stdout.as_bytes(), b"firmware \x00 variables");
    let around = show(&bench, &point, &["--file", "surroundings.json"])?.expect_code(0);
    let around: Value = serde_json::from_str(&around.stdout)?;
    for known in ["host", "folder", "resource_pool", "product"] {
        let name = around[known].as_str().unwrap_or_default();
        assert!(!name.is_empty(), "{known}: {around:#}");
    }
    assert_eq!(around["datastores"][0], "datastore1", "{around:#}");
    assert!(around["networks"].is_array(), "{around:#}");
    let disks = show(&bench, &point, &["--file", "disks.json"])?.expect_code(0);
    let disks: Value = serde_json::from_str(&disks.stdout)?;
    assert!(
        disks["disks"]["2000"]["adapterType"].is_string(),
        "{disks:#}"
    );
    let config = show(&bench, &point, &["--vm-config"])?.expect_code(0);
    assert!(config.stdout.contains("hardware"));
    let none = show(&bench, &point, &["--file", "bootlog"])?.expect_code(18);
    assert!(none.stderr.contains("surroundings.json"), "{none:?}");
    Ok(())
}

#[test]
fn what_may_not_be_fetched_is_told_and_the_point_is_made() -> Result<()> {
    let mut bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    let printed = bench.run(["privileges", "--as", "ids", "--for", "backup"])?;
    let ids = printed.expect_code(0).stdout;
    let ids: Vec<String> = ids.lines().map(str::to_owned).collect();
    let permission = Permission {
        entity: Site::ROOT_FOLDER.to_owned(),
        role: Role::new("cbt-backup", ids),
        propagate: true,
    };
    bench.lab.set_user(USER, PASSWORD, Some(vec![permission]))?;
    let vm = bench.lab.vm(&bench.vm)?;
    let nvram = vm.vmx_path.replace(".vmx", ".nvram");
    fs::write(bench.lab.datastore_file(&nvram)?, b"firmware")?;
    let backup = bench.backup(&[])?.expect_code(0);
    assert!(
        backup.events().contains(&"not-saved".to_owned()),
        "{backup:?}"
    );
    let names = names(&bench, &backup.point())?;
    assert!(!names.contains(&"nvram".to_owned()), "{names:?}");
    assert!(names.contains(&"config.xml".to_owned()));
    Ok(())
}
