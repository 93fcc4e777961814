//! Ways to the disks: what the library is told, what is refused, and what is said of a fallback.

use std::fs;
use std::path::Path;

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Outcome, VM};
use lab::DatastoreKind;

fn bench(datastore: DatastoreKind) -> Result<Bench> {
    let bench = Bench::with(&BenchOptions {
        datastore,
        ..BenchOptions::default()
    })?;
    let _ = bench.init()?.expect_code(0);
    Ok(bench)
}

/// What `ConnectEx` was told, run by run.
fn lists(bench: &Bench) -> Result<Vec<String>> {
    let calls = bench.calls()?;
    let lists = calls
        .of("vixdisklib", "VixDiskLib_ConnectEx")
        .into_iter()
        .map(|entry| {
            entry.args["transports"]
                .as_str()
                .unwrap_or("NULL")
                .to_owned()
        })
        .collect();
    Ok(lists)
}

/// The messages of the events about transports.
fn told(outcome: &Outcome) -> Vec<String> {
    let result = outcome.result();
    let events = result["events"].as_array().into_iter().flatten();
    let mut told: Vec<String> = events
        .filter(|event| event["kind"] == "other-transport")
        .filter_map(|event| event["message"].as_str().map(str::to_owned))
        .collect();
    // Disks that are opened at once tell in no order.
    told.sort();
    told
}

#[test]
fn a_fallback_is_an_event_as_json_and_as_text() -> Result<()> {
    let mut bench = bench(DatastoreKind::Vmfs)?;
    // There is no VM around this machine: HotAdd finds no device.
    let outcome = bench.backup(&["--transport", "hotadd"])?.expect_code(0);
    let messages = told(&outcome);
    assert_eq!(messages.len(), 2, "one a disk: {messages:?}");
    for (message, label) in messages.iter().zip(["Hard disk 1", "Hard disk 2"]) {
        assert_eq!(
            message,
            &format!("{label} comes by nbdssl; wanted were hotadd")
        );
    }
    assert_eq!(outcome.disk(2000).text("transport"), "nbdssl");
    assert_eq!(lists(&bench)?, ["hotadd:nbdssl"]);

    let mut arguments = bench.backup_arguments(VM, &["--transport", "hotadd"]);
    arguments.retain(|argument| argument != "--json");
    let text = bench.run(arguments)?.expect_code(0);
    let _ = text.expect_said("Hard disk 1 comes by nbdssl; wanted were hotadd");

    let allowed = [
        "--transport",
        "hotadd:nbdssl",
        "--transport-policy",
        "allow",
    ];
    let outcome = bench.backup(&allowed)?.expect_code(0);
    assert!(told(&outcome).is_empty(), "{outcome:#?}");
    bench.assert_put_back()
}

#[test]
fn a_transport_that_is_required_and_does_not_come_makes_no_point() -> Result<()> {
    let mut bench = bench(DatastoreKind::Vmfs)?;
    let required = ["--transport", "hotadd", "--transport-policy", "require"];
    let outcome = bench.backup(&required)?.expect_code(15);
    assert_eq!(lists(&bench)?, ["hotadd"]);
    assert_eq!(bench.calls()?.bytes_read(), 0, "{outcome:#?}");
    let list = bench.list()?.expect_code(0);
    assert_eq!(list.result()["points"], serde_json::json!([]));
    bench.assert_put_back()
}

#[test]
fn san_is_never_named_for_what_is_not_on_shared_vmfs() -> Result<()> {
    for (kind, word, list) in [
        (DatastoreKind::Nfs, "NFS", "hotadd:nbdssl"),
        (DatastoreKind::Vsan, "vSAN", "hotadd:nbdssl"),
        (DatastoreKind::Vvol, "virtual volumes", "hotadd:nbdssl"),
        (DatastoreKind::Local, "VMFS local to one host", "nbdssl"),
    ] {
        let mut bench = bench(kind)?;
        let wanted = bench.backup(&["--transport", "san:hotadd:nbdssl"])?;
        let wanted = wanted.expect_code(0);
        assert_eq!(lists(&bench)?, [list]);
        for message in told(&wanted) {
            assert!(message.contains(word), "{message}");
        }
        assert_eq!(told(&wanted).len(), 2);

        // Refused before anything is changed in vSphere.
        let snapshots = bench.calls()?.count("vcenter", "CreateSnapshot_Task");
        let required = ["--transport", "san", "--transport-policy", "require"];
        let refused = bench.backup(&required)?.expect_code(15);
        let _ = refused.expect_said(word).expect_said("hint: ");
        let calls = bench.calls()?;
        assert_eq!(calls.count("vcenter", "CreateSnapshot_Task"), snapshots);
        assert_eq!(calls.count("vixdisklib", "VixDiskLib_PrepareForAccess"), 1);
        bench.assert_put_back()?;
    }
    Ok(())
}

#[test]
fn san_is_named_for_shared_vmfs_where_it_does_not_crash_the_library() -> Result<()> {
    let mut bench = bench(DatastoreKind::Vmfs)?;
    let outcome = bench.backup(&["--transport", "san:nbdssl"])?.expect_code(0);
    let messages = told(&outcome);
    assert_eq!(messages.len(), 2);
    let vendor = fs::read_to_string("/sys/class/dmi/id/sys_vendor").unwrap_or_default();
    let (list, word) = match () {
        () if vendor.starts_with("VMware") => ("nbdssl", "physical machine"),
        () if !Path::new("/sys/class/scsi_disk").is_dir() => ("nbdssl", "/sys/class/scsi_disk"),
        () => ("san:nbdssl", "wanted were san:nbdssl"),
    };
    assert_eq!(lists(&bench)?, [list]);
    assert!(
        messages.iter().all(|message| message.contains(word)),
        "{messages:?}"
    );
    Ok(())
}

#[test]
fn the_default_asks_nothing_of_datastores_and_names_nbdssl() -> Result<()> {
    let mut bench = bench(DatastoreKind::Local)?;
    let outcome = bench.backup(&[])?.expect_code(0);
    assert!(told(&outcome).is_empty());
    assert_eq!(lists(&bench)?, ["nbdssl"]);
    Ok(())
}

#[test]
fn the_library_gets_the_advised_settings_or_the_user_s_file() -> Result<()> {
    let mut bench = bench(DatastoreKind::Vmfs)?;
    let file = bench.path("vddk.conf");
    fs::write(&file, "vixDiskLib.nfc.ReadTimeoutMs=30000\n")?;
    let file = file.display().to_string();
    let _ = bench.backup(&[])?.expect_code(0);
    let _ = bench.backup(&["--vddk-config", &file])?.expect_code(0);
    let calls = bench.calls()?;
    let files: Vec<_> = calls
        .of("vixdisklib", "VixDiskLib_InitEx")
        .into_iter()
        .map(|entry| entry.args["config_file"].as_str().unwrap_or("NULL"))
        .collect();
    assert_eq!(files.len(), 2);
    assert_eq!(files[1], file);
    assert!(files[0].ends_with("/vddk.conf"), "{files:?}");
    assert!(!Path::new(files[0]).exists(), "it was left behind");

    fs::write(&file, "vixDiskLib.nfcAio.Session.BufSizeIn64KB=99\n")?;
    let refused = bench.backup(&["--vddk-config", &file])?.expect_code(14);
    let _ = refused.expect_said("16 MiB");
    let missing = bench.path("missing").display().to_string();
    let refused = bench.backup(&["--vddk-config", &missing])?.expect_code(14);
    let _ = refused.expect_said(&missing);
    assert_eq!(bench.calls()?.count("vixdisklib", "VixDiskLib_InitEx"), 2);
    bench.assert_put_back()
}
