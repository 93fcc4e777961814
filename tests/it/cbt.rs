//! `cbt` and `privileges`: looking at tracking, switching it, and testing an account.

use anyhow::Result;
use cbt_tests::{Bench, BenchOptions, Outcome};
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

#[test]
fn what_cannot_be_tracked_is_refused_with_its_cause_and_others_get_their_turn() -> Result<()> {
    let options = BenchOptions {
        change_tracking_supported: false,
        ..BenchOptions::default()
    };
    let bench = Bench::with(&options)?;
    let refused = cbt(&bench, &["enable", "nobody", &bench.vm, "--json"])?.expect_code(18);
    let document: Value = serde_json::from_str(&refused.stdout)?;
    let message = document["vms"][1]["error"]["message"].as_str().unwrap();
    assert!(message.contains("can't be tracked"), "{message}");
    assert_eq!(bench.calls()?.count("vcenter", "ReconfigVM_Task"), 0);
    Ok(())
}

#[test]
fn a_full_account_lacks_nothing() -> Result<()> {
    let bench = Bench::new()?;
    let arguments = bench.server_arguments("privileges", &["--check", &bench.vm, "--json"]);
    let checked = bench.run(arguments)?.expect_code(0);
    let document: Value = serde_json::from_str(&checked.stdout)?;
    assert_eq!(document["sufficient"], true, "{document:#}");
    assert!(document["objects"].as_array().unwrap().len() >= 3);
    Ok(())
}
