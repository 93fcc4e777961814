//! `privileges`: the role it prints is enough, and what an account lacks is named.

use anyhow::{Context as _, Result};
use cbt_tests::{Bench, Outcome, PASSWORD, USER, VM};
use lab::{Permission, Role, Site};
use serde_json::Value;

fn check(bench: &Bench, options: &[&str]) -> Result<Outcome> {
    let options = [&["--check"], options].concat();
    bench.run(bench.server_arguments("privileges", &options))
}

/// The ids that the program prints for a purpose.
fn role(bench: &Bench, purpose: &str, options: &[&str]) -> Result<Vec<String>> {
    let asked = [&["privileges", "--as", "ids", "--for", purpose], options].concat();
    let printed = bench.run(asked)?;
    let printed = printed.expect_code(0).stdout;
    Ok(printed.lines().map(str::to_owned).collect())
}

/// Gives the account these privileges on the root and all below it, and on `other` instead only
/// those that do not end in `lacking`.
fn grant(bench: &Bench, ids: &[String], other: Option<(&str, &str)>) -> Result<()> {
    let permission = |entity: &str, ids: Vec<String>| Permission {
        entity: entity.to_owned(),
        role: Role::new("cbt-backup", ids),
        propagate: true,
    };
    let mut permissions = vec![permission(Site::ROOT_FOLDER, ids.to_vec())];
    if let Some((entity, lacking)) = other {
        let mut ids = ids.to_vec();
        ids.retain(|id| !id.ends_with(lacking));
        permissions.push(permission(entity, ids));
    }
    Ok(bench.lab.set_user(USER, PASSWORD, Some(permissions))?)
}

/// Object and privilege of everything that is missing.
fn missing(document: &Value) -> Vec<(String, String)> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects = list(&document["objects"]);
    let pairs = objects.iter().flat_map(|object| {
        let missing = list(&object["missing"]).into_iter();
        missing.map(|privilege| (text(&object["as"]), text(&privilege["id"])))
    });
    pairs.collect()
}

#[test]
fn an_account_with_the_printed_role_lacks_nothing_and_can_back_up() -> Result<()> {
    let mut bench = Bench::new()?;
    grant(&bench, &role(&bench, "backup", &["--optional"])?, None)?;
    let shown = check(&bench, &["glob:app*"])?.expect_code(0);
    assert_eq!(shown.stdout, "5 objects were tested: nothing is missing\n");
    // The smallest one does too.
    grant(&bench, &role(&bench, "backup", &[])?, None)?;
    let document = check(&bench, &[VM, "--json"])?.expect_code(0).result();
    assert_eq!(document["sufficient"], true, "{document:#}");
    let missing = missing(&document);
    let ids: Vec<&str> = missing.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "VirtualMachine.Config.DiskLease",
            "Cryptographer.Access",
            "Datastore.Browse",
            "Datastore.FileManagement",
            "Datastore.Browse",
            "Datastore.FileManagement"
        ]
    );
    let kinds = document["objects"].as_array().context("objects")?;
    let kinds: Vec<&Value> = kinds.iter().map(|object| &object["as"]).collect();
    assert_eq!(kinds, ["root", "VM", "host", "datastore", "datacenter"]);

    let _ = bench.init()?.expect_code(0);
    let _ = bench.backup(&[])?.expect_code(0);
    bench.guest_write(2000, 0, &[7; 512])?;
    let _ = bench.backup(&[])?.expect_code(0);
    bench.assert_put_back()
}

#[test]
fn what_is_missing_is_named_where_it_is_missing() -> Result<()> {
    let bench = Bench::new()?;
    let ids = role(&bench, "backup", &["--optional"])?;
    grant(&bench, &ids, Some((&bench.vm, "CreateSnapshot")))?;
    let lacking = check(&bench, &[VM])?.expect_code(12);
    let rows: Vec<&str> = lacking.stdout.lines().collect();
    assert_eq!(rows.len(), 3, "{lacking:#?}");
    assert_eq!(
        rows[1]
            .split("  ")
            .filter(|cell| !cell.is_empty())
            .collect::<Vec<_>>(),
        [
            "VM app01",
            "VirtualMachine.State.CreateSnapshot",
            "Virtual machine > Snapshot management > Create snapshot",
            "make the snapshot"
        ]
    );
    assert_eq!(
        rows[2],
        "5 objects were tested: the account lacks privileges"
    );
    // What only some VMs want is told and does not fail.
    grant(&bench, &ids, Some((&bench.vm, "DiskLease")))?;
    let optional = check(&bench, &[VM, "--json"])?.expect_code(0).result();
    let lease = (
        "VM".to_owned(),
        "VirtualMachine.Config.DiskLease".to_owned(),
    );
    assert_eq!(missing(&optional), [lease]);
    assert_eq!(optional["sufficient"], true);
    Ok(())
}

#[test]
fn a_restore_is_tested_on_folder_and_pool_too() -> Result<()> {
    let bench = Bench::new()?;
    let ids = role(&bench, "restore", &["--optional"])?;
    let pool = bench.lab.site()?.pool.moref;
    grant(&bench, &ids, Some((&pool, "AssignVMToPool")))?;
    let restore = [VM, "--for", "restore", "--json"];
    let document = check(&bench, &restore)?.expect_code(12).result();
    let assign = ("resource pool", "Resource.AssignVMToPool");
    let assign = (assign.0.to_owned(), assign.1.to_owned());
    assert_eq!(missing(&document), [assign], "{document:#}");
    // For a backup that matters to nobody.
    let _ = check(&bench, &[VM])?.expect_code(0);

    let folder = bench.lab.vm(&bench.vm)?.folder;
    grant(&bench, &ids, Some((&folder, "AddNewDisk")))?;
    let document = check(&bench, &restore)?.expect_code(12).result();
    let on: Vec<String> = missing(&document).into_iter().map(|(on, _)| on).collect();
    // The VM is in it, and has what it has from it.
    assert_eq!(on, ["VM", "folder"], "{document:#}");
    Ok(())
}

#[test]
fn files_want_their_privileges_on_the_datacenter_too() -> Result<()> {
    let bench = Bench::new()?;
    let ids = role(&bench, "restore", &["--optional"])?;
    let datacenter = bench.lab.site()?.datacenter.moref;
    let permission = |entity: &str, lacking: &str, propagate| Permission {
        entity: entity.to_owned(),
        role: Role::new(
            "cbt-backup",
            ids.iter().filter(|id| !id.ends_with(lacking)).cloned(),
        ),
        propagate,
    };
    let permissions = vec![
        permission(Site::ROOT_FOLDER, "nothing", true),
        permission(&datacenter, "FileManagement", false),
    ];
    bench.lab.set_user(USER, PASSWORD, Some(permissions))?;
    let restore = check(&bench, &[VM, "--for", "restore", "--json"])?.expect_code(12);
    let files = ("datacenter", "Datastore.FileManagement");
    let files = (files.0.to_owned(), files.1.to_owned());
    assert_eq!(missing(&restore.result()), [files]);
    // A backup only fetches the NVRAM file by it.
    let _ = check(&bench, &[VM])?.expect_code(0);
    Ok(())
}

#[test]
fn a_restore_to_somewhere_else_is_tested_there() -> Result<()> {
    let bench = Bench::new()?;
    let ids = role(&bench, "restore", &["--optional"])?;
    let site = bench.lab.site()?;
    let network = site.networks.first().context("no network")?.clone();
    let name = |moref: &str| -> Result<String> {
        let folders = site.folders.iter();
        let mut found = folders.filter(|folder| folder.moref == moref);
        Ok(found.next().context("no folder")?.name.clone())
    };
    let networks = name(Site::NETWORK_FOLDER)?;
    let to = format!("{}/{networks}/{}", site.datacenter.name, network.name);
    grant(&bench, &ids, Some((&network.moref, "Network.Assign")))?;
    let restore = ["--for", "restore", "--to", to.as_str()];
    let lacking = check(&bench, &restore)?.expect_code(12);
    assert!(
        lacking
            .stdout
            .contains(&format!("network {}", network.name)),
        "{lacking:#?}"
    );
    assert!(lacking.stdout.contains("2 objects were tested"));

    // The VM's own folder does not matter when another one is named.
    let folder = bench.lab.vm(&bench.vm)?.folder;
    assert_eq!(folder, Site::VM_FOLDER);
    grant(&bench, &ids, Some((&folder, "Inventory.Create")))?;
    let pool = format!("{}/{}", site.datacenter.name, name(Site::VM_FOLDER)?);
    let in_folder = ["--for", "restore", "--to", pool.as_str()];
    let folders = check(&bench, &in_folder)?.expect_code(12);
    assert!(folders.stdout.contains("VirtualMachine.Inventory.Create"));

    let nowhere = check(&bench, &["--for", "restore", "--to", "DC9/vm"])?;
    let _ = nowhere.expect_code(18).expect_said("nothing is at");
    let wrong = site.datacenter.name.as_str();
    let wrong = check(&bench, &["--for", "restore", "--to", wrong])?;
    let _ = wrong.expect_code(2).expect_said("is a Datacenter");
    let _ = check(&bench, &["--to", &to])?
        .expect_code(2)
        .expect_said("--for restore");
    Ok(())
}

#[test]
fn the_root_is_tested_alone_where_no_vm_is_named() -> Result<()> {
    let bench = Bench::new()?;
    let alone = check(&bench, &[])?
        .expect_code(0)
        .expect_said("only the root was tested");
    assert_eq!(alone.stdout, "1 object was tested: nothing is missing\n");
    let _ = check(&bench, &["nobody"])?.expect_code(18);
    // VMs without a test mean nothing.
    let _ = bench.run(["privileges", VM])?.expect_code(2);
    Ok(())
}
