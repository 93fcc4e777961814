//! The live test: what the account lacks, object by object.

use std::collections::BTreeMap;

use anyhow::anyhow;
use serde_json::json;

use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::{Output, printable},
    },
    vsphere::{Client, Moref, Privilege, PrivilegeScope},
};

/// One object to be tested, and what is needed there.
struct Object {
    moref: Moref,
    name: String,
    scopes: &'static [PrivilegeScope],
}

/// Asks for each object, prints what is missing, and fails if that is needed.
pub(super) async fn run(
    client: &Client,
    vms: &[String],
    privileges: &[&Privilege],
    output: Output,
) -> Result<ExitCode, Failure> {
    if !client.about().is_vcenter() {
        let error = anyhow!("a stand-alone host has no roles to test");
        return Err(Failure::new(ExitCode::Usage, error)
            .with_hint("use an account with the Administrator role there"));
    }
    let (objects, disabled) = objects(client, vms).await?;
    let (mut rows, mut lacks) = (Vec::new(), false);
    for object in &objects {
        let wanted: Vec<&&Privilege> = privileges
            .iter()
            .filter(|privilege| object.scopes.contains(&privilege.scope))
            .collect();
        let ids: Vec<&str> = wanted.iter().map(|privilege| privilege.id).collect();
        if ids.is_empty() {
            continue;
        }
        let entity = std::slice::from_ref(&object.moref);
        let answers = client.has_privileges(entity, &ids).await?;
        let granted: BTreeMap<&str, bool> = answers
            .iter()
            .flat_map(|answer| &answer.privileges)
            .map(|(id, is_granted)| (id.as_str(), *is_granted))
            .collect();
        let missing: Vec<&Privilege> = wanted
            .into_iter()
            .filter(|privilege| granted.get(privilege.id) != Some(&true))
            .copied()
            .collect();
        lacks |= missing.iter().any(|privilege| !privilege.is_optional);
        rows.push((object, missing));
    }
    print(&rows, &disabled, lacks, output);
    Ok(if lacks {
        ExitCode::Refused
    } else {
        ExitCode::Done
    })
}

/// The root, and of each VM itself, its folder's and pool's rights as far as they show on it, its
/// host and its datastores; and the methods of it that are disabled now.
async fn objects(
    client: &Client,
    vms: &[String],
) -> Result<(Vec<Object>, Vec<(String, Vec<String>)>), Failure> {
    use PrivilegeScope::{Datastore, Pool, Root, Vm};
    let mut objects = vec![Object {
        moref: client.root_folder().clone(),
        name: "the root".to_owned(),
        scopes: &[Root],
    }];
    let mut disabled = Vec::new();
    for selector in vms {
        let vm = client.vm(&client.find_vm(selector).await?.moref).await?;
        let mut add = |moref: Moref, name: String, scopes: &'static [PrivilegeScope]| {
            if !objects.iter().any(|object: &Object| object.moref == moref) {
                objects.push(Object {
                    moref,
                    name,
                    scopes,
                });
            }
        };
        add(vm.moref(), format!("VM {}", vm.name), &[Vm]);
        if let Some(pool) = &vm.resource_pool {
            add(pool.clone(), format!("resource pool {}", pool.id), &[Pool]);
        }
        if let Some(host) = &vm.host {
            add(host.clone(), format!("host {}", host.id), &[Root]);
        }
        for datastore in &vm.datastores {
            let name = match client.datastore(datastore).await {
                Ok(read) => read.name,
                Err(_) => datastore.id.clone(),
            };
            add(datastore.clone(), format!("datastore {name}"), &[Datastore]);
        }
        disabled.push((vm.name, vm.disabled_methods));
    }
    Ok((objects, disabled))
}

fn print(
    rows: &[(&Object, Vec<&Privilege>)],
    disabled: &[(String, Vec<String>)],
    lacks: bool,
    output: Output,
) {
    if output.json {
        let objects: Vec<_> = rows
            .iter()
            .map(|(object, missing)| {
                let missing: Vec<_> = missing.iter().map(|p| super::document(p)).collect();
                json!({"type": object.moref.kind, "moref": object.moref.id, "name": object.name, "missing": missing})
            })
            .collect();
        let disabled: Vec<_> = disabled
            .iter()
            .map(|(vm, methods)| json!({"vm": vm, "disabled_methods": methods}))
            .collect();
        output.document(
            &json!({"version": 1, "sufficient": !lacks, "objects": objects, "vms": disabled}),
        );
        return;
    }
    for (object, missing) in rows {
        let name = printable(&object.name);
        if missing.is_empty() {
            output.line(&format!("{name}: nothing is missing"));
        }
        for privilege in missing {
            let word = if privilege.is_optional {
                "not granted, and wanted only for"
            } else {
                "missing, wanted to"
            };
            output.line(&format!(
                "{name}: {} ({}) is {word}: {}",
                privilege.id, privilege.ui_name, privilege.reason
            ));
        }
    }
    for (vm, methods) in disabled {
        if methods.iter().any(|method| method == "RelocateVM_Task") {
            output.line(&format!(
                "VM {}: RelocateVM_Task is disabled now, by a backup that runs or one that died",
                printable(vm)
            ));
        }
    }
}
