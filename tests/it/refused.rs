//! Bad input that is refused before anything is touched: each with its exit code.

use std::fs;

use anyhow::Result;
use cbt_tests::{Bench, VM};

/// A bench with a repository, and no point in it.
fn bench() -> Result<Bench> {
    let bench = Bench::new()?;
    let _ = bench.init()?.expect_code(0);
    Ok(bench)
}

/// Nobody logged in, and no snapshot was asked for.
#[track_caller]
fn assert_untouched(bench: &Bench) -> Result<()> {
    let calls = bench.calls()?;
    assert_eq!(calls.count("vcenter", "CreateSnapshot_Task"), 0);
    assert_eq!(calls.count("vixdisklib", "VixDiskLib_PrepareForAccess"), 0);
    bench.assert_put_back()?;
    let list = bench.list()?.expect_code(0);
    assert_eq!(list.result()["points"], serde_json::json!([]));
    let _ = bench.verify("full")?.expect_code(0);
    Ok(())
}

#[test]
fn a_wrong_password_is_12() -> Result<()> {
    let mut bench = bench()?;
    let file = bench.path("secret/wrong");
    fs::write(&file, "wr0ng-Passw0rd\n")?;
    let outcome = bench.backup(&["--password-file", &file.display().to_string()])?;
    let outcome = outcome
        .expect_code(12)
        .expect_said("error: ")
        .expect_said("hint: ");
    let error = outcome.result();
    assert_eq!(
        (&error["type"], &error["exit_code"]),
        (&"error".into(), &12.into())
    );
    // It is tried once, so that the account is not locked.
    let logins = bench.calls()?;
    let logins = logins.of("vcenter", "Login");
    assert_eq!(
        logins.iter().map(|entry| &entry.result).collect::<Vec<_>>(),
        ["InvalidLogin"]
    );
    assert_untouched(&bench)
}

#[test]
fn a_wrong_thumbprint_is_12_and_both_values_are_shown() -> Result<()> {
    let mut bench = bench()?;
    for (wrong, right) in [
        (["AB"; 32].join(":"), bench.lab.thumbprint_sha256()?),
        (["CD"; 20].join(":"), bench.lab.thumbprint_sha1()?),
    ] {
        let outcome = bench.backup(&["--thumbprint", &wrong])?.expect_code(12);
        let _ = outcome.expect_said(&wrong).expect_said(&right);
    }
    assert!(
        bench.calls()?.is_silent("vcenter"),
        "something was sent to a server that is not trusted"
    );
    assert_untouched(&bench)
}

#[test]
fn a_sha1_thumbprint_is_as_good() -> Result<()> {
    let mut bench = bench()?;
    let pin = bench.lab.thumbprint_sha1()?;
    let _ = bench.backup(&["--thumbprint", &pin])?.expect_code(0);
    Ok(())
}

#[test]
fn a_missing_library_is_14_and_every_place_is_listed() -> Result<()> {
    let mut bench = bench()?;
    let nowhere = bench.path("nowhere");
    fs::create_dir(&nowhere)?;
    let outcome = bench
        .backup(&["--vddk", &nowhere.display().to_string()])?
        .expect_code(14);
    let mut outcome = outcome.expect_said("hint: ");
    for version in [9, 8, 7, 6] {
        for folder in ["lib64/", ""] {
            let place = nowhere.join(format!("{folder}libvixDiskLib.so.{version}"));
            outcome = outcome.expect_said(&place.display().to_string());
        }
    }
    assert!(
        bench.calls()?.is_silent("vcenter"),
        "vCenter was asked before there was a library"
    );
    assert_untouched(&bench)
}

#[test]
fn a_file_that_is_no_library_is_14() -> Result<()> {
    let mut bench = bench()?;
    let folder = bench.path("broken");
    fs::create_dir_all(folder.join("lib64"))?;
    fs::write(folder.join("lib64/libvixDiskLib.so.8"), "no library")?;
    let outcome = bench
        .backup(&["--vddk", &folder.display().to_string()])?
        .expect_code(14);
    let _ = outcome.expect_said("libvixDiskLib.so.8");
    assert!(bench.calls()?.is_silent("vcenter"));
    assert_untouched(&bench)
}

#[test]
fn an_unknown_vm_is_18_and_near_names_are_offered() -> Result<()> {
    let bench = bench()?;
    for wanted in ["app1", "vm-9999"] {
        let outcome = bench
            .run(bench.backup_arguments(wanted, &[]))?
            .expect_code(18);
        let outcome = outcome.expect_said(wanted);
        assert_eq!(
            outcome.stderr.contains(VM),
            wanted == "app1",
            "{outcome:#?}"
        );
    }
    assert_untouched(&bench)
}

#[test]
fn a_vm_is_found_by_name_path_id_and_uuid() -> Result<()> {
    let bench = bench()?;
    let vm = bench.lab.vm(&bench.vm)?;
    let path = format!("/DC0/vm/{VM}");
    for selector in [VM, &path, &vm.moref, &vm.instance_uuid] {
        let outcome = bench
            .run(bench.backup_arguments(selector, &[]))?
            .expect_code(0);
        assert_eq!(outcome.result()["vm"], VM);
    }
    let list = bench.list()?.expect_code(0).result();
    assert_eq!(list["points"].as_array().map(Vec::len), Some(4));
    Ok(())
}

#[test]
fn no_repository_is_10_and_nothing_is_asked() -> Result<()> {
    let mut bench = Bench::new()?;
    let folder = bench.path("images").display().to_string();
    let missing = bench.path("missing").display().to_string();
    for repository in [folder, missing] {
        let _ = bench.backup(&["--repo", &repository])?.expect_code(10);
        let list = bench.repository_arguments("list", &["--repo", &repository]);
        let _ = bench.run(list)?.expect_code(10).expect_said("hint: ");
    }
    assert!(bench.calls()?.is_silent("vcenter"));
    assert!(!bench.path("missing").exists());
    Ok(())
}

#[test]
fn a_folder_in_use_is_17() -> Result<()> {
    let bench = bench()?;
    let _ = bench.init()?.expect_code(17);
    let images = bench.path("images").display().to_string();
    let _ = bench
        .run(bench.repository_arguments("init", &["--repo", &images]))?
        .expect_code(17);
    let _ = bench.verify("full")?.expect_code(0);
    Ok(())
}

#[test]
fn a_wrong_passphrase_is_12() -> Result<()> {
    let mut bench = bench()?;
    let file = bench.path("secret/wrong");
    fs::write(&file, "another passphrase")?;
    let wrong = ["--passphrase-file", &file.display().to_string()];
    let _ = bench.backup(&wrong)?.expect_code(12);
    let _ = bench
        .run(bench.repository_arguments("list", &wrong))?
        .expect_code(12);
    assert!(bench.calls()?.is_silent("vcenter"));
    assert_untouched(&bench)
}

#[test]
fn an_unknown_point_is_18() -> Result<()> {
    let bench = bench()?;
    let unknown = "01JZZZZZZZZZZZZZZZZZZZZZZZ";
    let _ = bench
        .restore(unknown, &bench.path("restored/to"), &[])?
        .expect_code(18);
    let _ = bench
        .run(bench.repository_arguments("show", &[unknown]))?
        .expect_code(18);
    let point = ["--level", "point", unknown];
    let _ = bench
        .run(bench.repository_arguments("verify", &point))?
        .expect_code(18);
    assert!(!bench.path("restored/to").exists());
    Ok(())
}

#[test]
fn wrong_usage_is_2() -> Result<()> {
    let bench = bench()?;
    let none: [&str; 0] = [];
    let _ = bench.run(none)?.expect_code(2);
    let _ = bench.run(["backup", VM])?.expect_code(2);
    let _ = bench
        .run(bench.backup_arguments(VM, &["--password", "x"]))?
        .expect_code(2);
    let _ = bench
        .run(bench.backup_arguments(VM, &["--thumbprint", "no:hex"]))?
        .expect_code(2);
    assert_untouched(&bench)
}
