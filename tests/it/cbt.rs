//! `cbt`: looking at tracking, and switching it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Command;

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Outcome, VM};
use lab::{DiskSpec, SnapshotSpec, VmChange, VmSpec};
use serde_json::Value;

fn cbt(bench: &Bench, options: &[&str]) -> Result<Outcome> {
    bench.run(bench.server_arguments("cbt", options))
}

/// The one VM of a document.
fn vm(outcome: &Outcome) -> Value {
    outcome.result()["vms"][0].clone()
}

fn causes(vm: &Value) -> Vec<&str> {
    let causes = vm["causes"].as_array().into_iter().flatten();
    causes.filter_map(|cause| cause["id"].as_str()).collect()
}

#[test]
fn tracking_goes_from_off_over_pending_to_on_and_back() -> Result<()> {
    let bench = Bench::new()?;
    let name = bench.vm.as_str();
    let off = vm(&cbt(&bench, &["status", name, "--json"])?.expect_code(0));
    assert_eq!(off["state"], "off");
    assert_eq!(causes(&off), ["not-switched-on"]);
    let pending = vm(&cbt(&bench, &["enable", name, "--json"])?.expect_code(0));
    assert_eq!(pending["state"], "pending", "{pending:#}");
    assert_eq!(causes(&pending), ["no-cycle-yet"]);
    let on = vm(&cbt(&bench, &["enable", name, "--cycle", "--json"])?.expect_code(0));
    assert_eq!(on["state"], "on", "{on:#}");
    bench.assert_vm_clean()?;
    let status = cbt(&bench, &["status", name, "--mob"])?.expect_code(0);
    assert!(
        status
            .stdout
            .contains("doPath=config.hardware.device%5b2000%5d.backing")
    );
    let reset = vm(&cbt(&bench, &["reset", name, "--json"])?.expect_code(0));
    assert_eq!(reset["state"], "on", "{reset:#}");
    bench.assert_vm_clean()?;
    let off = vm(&cbt(&bench, &["disable", name, "--cycle", "--json"])?.expect_code(0));
    assert_eq!(off["state"], "off", "{off:#}");
    bench.assert_vm_clean()
}

/// The snapshot of a cycle whose program was killed.
fn leave_a_cycle(bench: &Bench) -> Result<()> {
    let spec = SnapshotSpec {
        description: "cbt-backup stun cycle 01M7Z96G0000000000000000AB".to_owned(),
        ..SnapshotSpec::named("cbt-backup")
    };
    bench.lab.create_snapshot(&bench.vm, &spec)?;
    Ok(())
}

#[test]
fn what_a_killed_cycle_left_is_removed_by_whoever_comes_next() -> Result<()> {
    let mut bench = Bench::new()?;
    let name = bench.vm.clone();
    leave_a_cycle(&bench)?;
    let on = vm(&cbt(&bench, &["enable", &name, "--cycle", "--json"])?.expect_code(0));
    assert_eq!(on["state"], "on", "{on:#}");
    bench.assert_vm_clean()?;
    leave_a_cycle(&bench)?;
    let _ = cbt(&bench, &["reset", &name])?.expect_code(0);
    bench.assert_vm_clean()?;
    leave_a_cycle(&bench)?;
    let _ = bench.init()?.expect_code(0);
    let first = bench.backup(&[])?.expect_code(0);
    assert_eq!(first.events(), ["left-cycle"], "{first:#?}");
    bench.assert_put_back()?;
    bench.assert_sound()
}

/// The VM `name` in the folder `Prod`.
fn another(bench: &Bench, name: &str) -> Result<String> {
    let spec = VmSpec {
        name: name.to_owned(),
        folder: Some("Prod".to_owned()),
        disks: vec![DiskSpec {
            capacity_bytes: 2 << 20,
            ..DiskSpec::default()
        }],
        ..VmSpec::default()
    };
    Ok(bench.lab.add_vm(spec)?.moref)
}

#[test]
fn a_vm_that_cannot_be_tracked_is_refused_with_its_cause_and_others_get_their_turn() -> Result<()> {
    let options = BenchOptions {
        change_tracking_supported: false,
        ..BenchOptions::default()
    };
    let bench = Bench::with(&options)?;
    another(&bench, "web01")?;
    let done = cbt(&bench, &["enable", "glob:*01", "--cycle", "--json"])?.expect_code(13);
    let document = done.result();
    // In the order of their paths.
    assert_eq!(document["vms"][0]["path"], "DC0/vm/Prod/web01");
    assert_eq!(document["vms"][0]["state"], "on", "{document:#}");
    assert_eq!(document["vms"][1]["vm"], VM);
    assert_eq!(document["vms"][1]["moref"], bench.vm.as_str());
    let message = document["vms"][1]["error"]["message"].as_str();
    assert!(message.is_some_and(|text| text.contains("can't be tracked")));
    let calls = bench.calls()?;
    assert_eq!(calls.count("vcenter", "ReconfigVM_Task"), 1);
    assert_eq!(calls.count("vcenter", "CreateSnapshot_Task"), 1);
    // For people: the table has the one that is tracked, standard error the other.
    let shown = cbt(&bench, &["enable", "folder:Prod", VM])?
        .expect_code(13)
        .expect_said("error: app01: ");
    let rows: Vec<&str> = shown.stdout.lines().collect();
    assert!(rows[0].starts_with("VM     STATE  DISK"), "{shown:#?}");
    assert!(rows[1].starts_with("web01  on     Hard disk 1  scsi0:0"));
    Ok(())
}

#[test]
fn vms_are_selected_by_place_and_a_name_of_several_lists_them() -> Result<()> {
    let bench = Bench::new()?;
    let web = another(&bench, "web01")?;
    another(&bench, "web02")?;
    let wanted = ["status", "folder:Prod", "--exclude", "re:2$", "--json"];
    let document = cbt(&bench, &wanted)?.expect_code(0).result();
    assert_eq!(document["vms"][0]["moref"], web.as_str());
    assert_eq!(document["vms"].as_array().map(Vec::len), Some(1));
    // Nothing is touched when one word is not understood.
    for (word, code, said) in [
        ("web03", 18, "did you mean web01, web02?"),
        ("folder:Prd", 18, "did you mean"),
        ("re:(", 2, "does not say which VMs are meant"),
    ] {
        let refused = cbt(&bench, &["enable", "web01", word])?.expect_code(code);
        let _ = refused.expect_said(said);
    }
    // A second VM of that name, in another folder.
    let twin = bench.lab.add_vm(VmSpec {
        name: "twin".to_owned(),
        folder: Some("Test".to_owned()),
        ..VmSpec::default()
    })?;
    let uuid = bench.lab.vm(&twin.moref)?.bios_uuid;
    let same = VmChange {
        bios_uuid: Some(uuid.clone()),
        ..VmChange::default()
    };
    bench.lab.reconfigure(&web, same)?;
    let ambiguous = cbt(&bench, &["enable", &uuid])?.expect_code(18);
    let _ = ambiguous
        .expect_said("is more than one VM: DC0/vm/Prod/web01 (")
        .expect_said("DC0/vm/Test/twin (");
    assert_eq!(bench.calls()?.count("vcenter", "ReconfigVM_Task"), 0);
    Ok(())
}

#[test]
fn a_disk_that_its_own_setting_switches_off_is_named() -> Result<()> {
    let bench = Bench::new()?;
    let name = bench.vm.as_str();
    let off = BTreeMap::from([("scsi0:1.ctkEnabled".to_owned(), "FALSE".to_owned())]);
    bench.lab.reconfigure(
        name,
        VmChange {
            extra_config: off,
            ..VmChange::default()
        },
    )?;
    let on = vm(&cbt(&bench, &["enable", name, "--cycle", "--json"])?.expect_code(0));
    assert_eq!(on["state"], "on", "{on:#}");
    assert_eq!(causes(&on), ["disk-switched-off"]);
    assert_eq!(on["disks"][1]["tracking"], "switched-off");
    assert_eq!(on["disks"][1]["detail"], "off by scsi0:1.ctkEnabled");
    let shown = cbt(&bench, &["status", name])?.expect_code(0);
    let line = "app01: Hard disk 2 is switched off by scsi0:1.ctkEnabled, it has no change id; ";
    assert!(shown.stdout.contains(line), "{shown:#?}");
    Ok(())
}

#[test]
fn old_hardware_is_named_and_upgraded_only_when_that_is_agreed() -> Result<()> {
    let bench = Bench::new()?;
    let old = bench.lab.add_vm(VmSpec {
        name: "old".to_owned(),
        hardware_version: 4,
        powered_on: false,
        disks: vec![DiskSpec {
            capacity_bytes: 2 << 20,
            ..DiskSpec::default()
        }],
        ..VmSpec::default()
    })?;
    let status = cbt(&bench, &["status", "old"])?.expect_code(0);
    let line = "old: the hardware is vmx-04, tracking needs vmx-07; upgrade the virtual hardware";
    assert!(status.stdout.contains(line), "{status:#?}");
    let _ = cbt(&bench, &["enable", "old"])?
        .expect_code(13)
        .expect_said("the hardware is vmx-04");
    // Nobody sits there.
    let _ = cbt(&bench, &["enable", "old", "--upgrade-hardware"])?
        .expect_code(2)
        .expect_said("nobody can be asked");
    assert_eq!(bench.lab.vm(&old.moref)?.hardware_version, 4);
    let agreed = ["enable", "old", "--upgrade-hardware", "--yes", "--cycle"];
    let on = vm(&cbt(&bench, &[&agreed[..], &["--json"]].concat())?.expect_code(0));
    assert_eq!(on["state"], "on", "{on:#}");
    assert!(on["hardware_version"].as_u64() >= Some(7), "{on:#}");
    Ok(())
}

#[test]
fn switching_off_without_a_cycle_says_that_it_is_still_on() -> Result<()> {
    let bench = Bench::new()?;
    let name = bench.vm.as_str();
    let _ = cbt(&bench, &["enable", name, "--cycle"])?.expect_code(0);
    let off = vm(&cbt(&bench, &["disable", name, "--json"])?.expect_code(0));
    assert_eq!(off["state"], "pending", "{off:#}");
    assert_eq!(causes(&off), ["still-on"]);
    Ok(())
}

#[test]
fn the_object_browser_shows_the_change_id_where_it_is_said() -> Result<()> {
    if let Err(error) = Command::new("curl").arg("--version").output() {
        // What a test prints is not seen when it passes; this is.
        writeln!(
            std::io::stderr(),
            "skipped: the object browser's pages: no curl ({error})"
        )?;
        return Ok(());
    }
    let bench = Bench::new()?;
    bench.lab.set_user("looker", "plain", None)?;
    let name = bench.vm.as_str();
    let _ = cbt(&bench, &["enable", name, "--cycle"])?.expect_code(0);
    let bare = cbt(&bench, &["status", name, "--mob"])?.expect_code(0);
    assert!(bare.stdout.contains("app01: it has no snapshot"));
    bench
        .lab
        .create_snapshot(name, &SnapshotSpec::named("mine"))?;
    let status = vm(&cbt(&bench, &["status", name, "--mob", "--json"])?.expect_code(0));
    for disk in status["disks"].as_array().into_iter().flatten() {
        let (page, id) = (&disk["mob"], &disk["change_id"]);
        let (Some(page), Some(id)) = (page.as_str(), id.as_str()) else {
            panic!("{disk:#}");
        };
        let mut curl = Command::new("curl");
        curl.args(["-sSkf", "-u", "looker:plain", page]);
        let shown = bench.start_command(curl)?.wait()?.expect_code(0);
        assert!(shown.stdout.contains(id), "{page}: {shown:#?}");
    }
    assert_eq!(status["disks"].as_array().map(Vec::len), Some(2));
    Ok(())
}

#[test]
fn the_way_by_hand_is_told_for_each_action_without_a_server() -> Result<()> {
    let bench = Bench::new()?;
    for (action, beginning) in [
        ("status", "See by hand"),
        ("enable", "Switch change tracking on"),
        ("disable", "Switch change tracking off"),
        ("reset", "Begin change tracking anew"),
    ] {
        let told = bench.run(["cbt", action, "--explain"])?.expect_code(0);
        assert!(told.stdout.starts_with(beginning), "{told:#?}");
        let _ = bench.run(["cbt", action])?.expect_code(2);
    }
    let all = bench.run(["cbt", "--explain"])?.expect_code(0).stdout;
    assert_eq!(all.matches("  1. ").count(), 4, "{all}");
    Ok(())
}
