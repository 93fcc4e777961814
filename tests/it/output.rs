//! What people and scripts read: plain text without `--json`, and the small queries.

use std::ffi::OsString;

use anyhow::Result;
use cbt_tests::{Bench, VM};
use lab::{Fault, Lie};

/// The arguments without `--json`.
fn plain(arguments: Vec<OsString>) -> Vec<OsString> {
    arguments
        .into_iter()
        .filter(|argument| argument != "--json")
        .collect()
}

#[test]
fn without_json_results_are_text_and_warnings_go_to_standard_error() -> Result<()> {
    let bench = Bench::new()?;
    let init = bench
        .run(plain(bench.repository_arguments("init", &[])))?
        .expect_code(0);
    assert!(init.stdout.contains("repository"), "{init:#?}");
    let full = bench
        .run(plain(bench.backup_arguments(VM, &[])))?
        .expect_code(0);
    for text in [
        "point ",
        "of app01 (full)",
        "Hard disk 1",
        "Hard disk 2",
        "24.0 MiB",
    ] {
        assert!(full.stdout.contains(text), "{text:?} is not in {full:#?}");
    }
    let call = "QueryChangedDiskAreas".to_owned();
    bench.order(&[Fault {
        call,
        lie: Some(Lie::StalledPage),
        ..Fault::default()
    }])?;
    bench.lab.guest_write(&bench.vm, 2000, 0, &[1; 512])?;
    let lied_to = bench
        .run(plain(bench.backup_arguments(VM, &[])))?
        .expect_code(0);
    let lied_to = lied_to.expect_said("stalls").expect_said("read in full");
    assert!(
        !lied_to.stdout.contains('\u{1b}') && !lied_to.stderr.contains('\u{1b}'),
        "{lied_to:#?}"
    );

    let list = bench
        .run(plain(bench.repository_arguments("list", &[])))?
        .expect_code(0);
    assert_eq!(list.stdout.lines().count(), 3, "{list:#?}");
    let point = list
        .stdout
        .lines()
        .nth(1)
        .and_then(|line| line.split(' ').next());
    let point = point.unwrap_or_default();
    // The start of an id is enough where only one has it; this one is whole.
    let show = bench
        .run(plain(bench.repository_arguments("show", &[point])))?
        .expect_code(0);
    for text in [point, "app01", "Hard disk 2", "change id"] {
        assert!(show.stdout.contains(text), "{text:?} is not in {show:#?}");
    }
    let verify = plain(bench.repository_arguments("verify", &["--level", "point", point]));
    let verify = bench.run(verify)?.expect_code(0);
    assert!(verify.stdout.contains("no damage"), "{verify:#?}");
    bench.assert_put_back()
}

#[test]
fn the_vms_of_a_server_are_listed() -> Result<()> {
    let bench = Bench::new()?;
    let vms = bench
        .run(bench.server_arguments("vms", &["--json"]))?
        .expect_code(0)
        .result();
    let vm = &vms["vms"][0];
    assert_eq!(
        (&vm["name"], &vm["moref"]),
        (&VM.into(), &bench.vm.as_str().into())
    );
    assert_eq!(
        (&vm["path"], &vm["change_tracking"]),
        (&"DC0/vm/app01".into(), &false.into())
    );
    let text = bench
        .run(bench.server_arguments("vms", &[]))?
        .expect_code(0);
    assert_eq!(text.stdout.lines().count(), 2, "{text:#?}");
    bench.assert_put_back()
}

#[test]
fn info_tells_what_the_library_can_do() -> Result<()> {
    let bench = Bench::new()?;
    let kit = bench.kit.display().to_string();
    let info = bench
        .run(["info", "--json", "--vddk", &kit])?
        .expect_code(0)
        .result();
    assert_eq!(info["interface"], 8);
    assert_eq!(info["soname"], "libvixDiskLib.so.8");
    assert_eq!(info["libdir"], kit);
    assert!(
        info["library"]
            .as_str()
            .is_some_and(|path| path.starts_with(&kit)),
        "{info}"
    );
    let functions = info["functions"].as_array().cloned().unwrap_or_default();
    assert_eq!(functions.len(), 43);
    assert!(
        functions.iter().all(|function| function["found"] == true),
        "{info}"
    );
    let text = bench.run(["info", "--vddk", &kit])?.expect_code(0);
    assert!(text.stdout.contains("43 of 43"), "{text:#?}");
    assert!(bench.calls()?.is_silent("vcenter"));
    Ok(())
}

#[test]
fn wrong_usage_is_a_line_of_json_too() -> Result<()> {
    let bench = Bench::new()?;
    let wrong = bench.run(["list", "--no-such", "--json"])?.expect_code(2);
    assert!(wrong.stderr.contains("--no-such"), "{wrong:#?}");
    let line: serde_json::Value = serde_json::from_str(wrong.stdout.trim())?;
    assert_eq!(
        (&line["type"], &line["exit_code"]),
        (&"error".into(), &2.into())
    );
    assert!(line["message"].to_string().contains("--no-such"), "{line}");
    // Without it, and where help was asked for, all is as usual.
    let plain = bench.run(["list", "--no-such"])?.expect_code(2);
    assert_eq!(plain.stdout, "");
    let help = bench.run(["list", "--json", "--help"])?.expect_code(0);
    assert!(help.stdout.contains("Usage"), "{help:#?}");
    Ok(())
}
