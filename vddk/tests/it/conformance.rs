//! The conformance program, run on the stand-in: every documented fact holds, none is skipped.

use std::{fs, process::Command};

use crate::kit::{Kit, example_program};

#[test]
fn the_stand_in_conforms_in_every_point() {
    let kit = Kit::new();
    let (snapshot, disk) = kit.snapshot();
    let report = kit.folder().join("report.json");
    let output = Command::new(example_program("conformance"))
        .arg("--libdir")
        .arg(kit.options().location.unwrap())
        .arg("--json")
        .arg(&report)
        .args(["--server", "127.0.0.1", "--user", "backup@vsphere.local"])
        .args(["--vm", &kit.vm, "--snapshot", &snapshot, "--disk", &disk])
        .args(["--thumbprint", &kit.lab.thumbprint_sha1().unwrap()])
        .env("CONFORMANCE_PASSWORD", "stand-in")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(
        report["checks"].as_array().unwrap().len() as u64,
        count("conforms")
    );
    assert!(count("conforms") > 50, "{text}");
    assert!(
        text.contains(&format!("{} conform, 0 deviate", count("conforms"))),
        "{text}"
    );
}

#[test]
fn a_library_that_deviates_is_told_so() {
    let kit = Kit::new();
    kit.fault(lab::Fault {
        call: "VixDiskLib_GetInfo".to_owned(),
        count: Some(0),
        code: Some(1),
        ..lab::Fault::default()
    });
    let output = Command::new(example_program("conformance"))
        .arg("--libdir")
        .arg(kit.options().location.unwrap())
        .args(["--only", "disk.info", "--json", "-"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["deviates"], 2, "{report:#}");
    assert_eq!(report["checks"][0]["seen"], "code 1");
}
