//! Which VMs a command works on: by place, by pattern, several at once.

use anyhow::Result;
use cbt_tests::{Bench, VM};
use lab::{DiskSpec, VmSpec};

/// A bench with a second VM, `web01`, in the folder `Prod`.
fn bench() -> Result<(Bench, String)> {
    let bench = Bench::new()?;
    let web = bench.lab.add_vm(VmSpec {
        name: "web01".to_owned(),
        folder: Some("Prod".to_owned()),
        disks: vec![DiskSpec {
            capacity_bytes: 2 << 20,
            ..DiskSpec::default()
        }],
        ..VmSpec::default()
    })?;
    Ok((bench, web.moref))
}

#[test]
fn vms_are_listed_by_place_and_some_left_out() -> Result<()> {
    let (bench, web) = bench()?;
    let list = |options: &[&str]| bench.run(bench.server_arguments("vms", options));
    let names = |options: &[&str]| -> Result<Vec<String>> {
        let document = list(options)?.expect_code(0).result();
        let vms = document["vms"].as_array().cloned().unwrap_or_default();
        Ok(vms
            .iter()
            .filter_map(|vm| vm["name"].as_str().map(str::to_owned))
            .collect())
    };
    assert_eq!(names(&["--json"])?, ["web01", VM]);
    assert_eq!(names(&["--json", "folder:Prod"])?, ["web01"]);
    assert_eq!(names(&["--json", "glob:app*", "re:^web"])?, ["web01", VM]);
    assert_eq!(names(&["--json", "--exclude", "/DC0/vm/Prod/web01"])?, [VM]);

    let folders = list(&["--json", "--by", "folder"])?.expect_code(0).result();
    assert_eq!(folders["by"], "folder");
    assert_eq!(folders["groups"][0]["name"], "DC0/vm");
    assert_eq!(folders["groups"][1]["name"], "DC0/vm/Prod");
    assert_eq!(folders["groups"][1]["vms"][0]["moref"], web.as_str());
    for place in ["folder", "pool", "host", "datastore"] {
        let shown = list(&["--by", place])?.expect_code(0);
        assert_eq!(shown.stdout.lines().count(), 3, "{shown:#?}");
        assert!(shown.stdout.starts_with(&place.to_uppercase()));
    }

    let arriving = list(&["--json", "--unsorted"])?.expect_code(0).values();
    assert_eq!(arriving.len(), 2);
    assert!(arriving.iter().all(|vm| vm["type"] == "vm"));
    let arriving = list(&["--unsorted"])?.expect_code(0);
    assert_eq!(arriving.stdout.lines().count(), 3, "{arriving:#?}");

    let _ = list(&["glob:nothing*"])?
        .expect_code(18)
        .expect_said("no VM is meant");
    let _ = list(&["folder:Prd"])?
        .expect_code(18)
        .expect_said("did you mean Prod?");
    let _ = list(&["re:("])?.expect_code(2).expect_said("pattern");
    bench.assert_put_back()
}

#[test]
fn details_tell_what_a_backup_depends_on() -> Result<()> {
    let (bench, _) = bench()?;
    let list = |options: &[&str]| bench.run(bench.server_arguments("vms", options));
    let document = list(&["--json", "--details", VM])?.expect_code(0).result();
    let vm = &document["vms"][0];
    assert_eq!(vm["name"], VM);
    assert_eq!(vm["hardware_version"], 19);
    assert!(
        vm["host_version"].is_string() && vm["host_build"].is_u64(),
        "{vm}"
    );
    let disk = &vm["disks"][0];
    assert_eq!(
        (&disk["address"], &disk["tracking"]),
        (&"scsi0:0".into(), &"off".into())
    );
    assert_eq!(disk["capacity_bytes"], 24 << 20);
    assert_eq!(disk["file"], disk["base_file"]);
    assert!(disk["not_in_snapshots"].is_null());
    let shown = list(&["--details"])?.expect_code(0);
    for text in ["app01 (", "web01 (", "scsi0:0", "Hard disk 2", "vmx-19"] {
        assert!(shown.stdout.contains(text), "{text:?} is not in {shown:#?}");
    }
    bench.assert_put_back()
}

#[test]
fn several_vms_are_backed_up() -> Result<()> {
    let (bench, _) = bench()?;
    let _ = bench.init()?.expect_code(0);
    let one_by_one = bench.backup_arguments("glob:*01", &["--vms-at-once", "1"]);
    let run = bench.run(one_by_one)?;
    let values = run.expect_code(0).values();
    let results: Vec<&str> = values
        .iter()
        .filter(|value| value["type"] == "result")
        .filter_map(|value| value["vm"].as_str())
        .collect();
    assert_eq!(results, ["web01", VM]);
    let _ = bench
        .run(bench.backup_arguments("glob:*01", &["--exclude", "glob:*"]))?
        .expect_code(18);
    bench.assert_put_back()
}
