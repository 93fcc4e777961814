//! The live test: what the account lacks, object by object.

use std::collections::BTreeSet;

use anyhow::anyhow;
use serde_json::json;

use super::place::{Place, VmFound, places, targets};
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::{Output, note, printable, table},
    },
    vsphere::{Client, Moref, Privilege, PrivilegePurpose, VmSelection},
};

/// Objects in one question.
const MAX_ASKED: usize = 100;

/// An object, and what is missing there.
type Answer<'p> = (&'p Place, Vec<&'static Privilege>);

/// What is to be tested.
pub(super) struct Wanted<'w> {
    /// The VMs; without any, the root and `to` alone.
    pub(super) selection: Option<&'w VmSelection>,
    /// Inventory paths of what a restore is to use.
    pub(super) to: &'w [String],
    pub(super) purpose: PrivilegePurpose,
}

/// Asks for each object, prints what is missing, and fails if that is needed.
pub(super) async fn run(
    client: &Client,
    wanted: &Wanted<'_>,
    output: Output,
) -> Result<ExitCode, Failure> {
    let (selection, purpose) = (wanted.selection, wanted.purpose);
    if !client.about().is_vcenter() {
        let error = anyhow!("a stand-alone host has no roles to test");
        return Err(Failure::new(ExitCode::Usage, error)
            .with_hint("use an account with the Administrator role there"));
    }
    let vms = match selection {
        Some(selection) => client.select_vms(selection).await?,
        None => Vec::new(),
    };
    let targets = targets(client, wanted.to).await?;
    let (places, vms) = places(client, &vms, targets, purpose).await?;
    let answers = ask(client, &places, purpose).await?;
    let mut missing = answers.iter().flat_map(|(_, missing)| missing);
    let lacks = missing.any(|privilege| !privilege.is_optional_for(purpose));
    if output.json {
        output.document(&document(&answers, &vms, purpose, lacks));
    } else {
        for line in lines(&answers, &vms, purpose, lacks) {
            output.line(&line);
        }
        if selection.is_none() && wanted.to.is_empty() {
            note("note: only the root was tested; name VMs to test what is needed on them");
        }
    }
    Ok(if lacks {
        ExitCode::Refused
    } else {
        ExitCode::Done
    })
}

/// Asks once for all objects on which the same is needed.
async fn ask<'p>(
    client: &Client,
    places: &'p [Place],
    purpose: PrivilegePurpose,
) -> Result<Vec<Answer<'p>>, Failure> {
    let mut answers = Vec::with_capacity(places.len());
    let mut rest: Vec<&Place> = places.iter().collect();
    while let Some(first) = rest.first() {
        let wanted = first.wanted(purpose);
        let alike = first.kind;
        let (mut group, others): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|place| place.kind == alike);
        rest = others;
        rest.extend(group.split_off(group.len().min(MAX_ASKED)));
        if wanted.is_empty() {
            continue;
        }
        let entities: Vec<Moref> = group.iter().map(|place| place.moref.clone()).collect();
        let ids: Vec<&str> = wanted.iter().map(|privilege| privilege.id).collect();
        let told = client.has_privileges(&entities, &ids).await?;
        let granted: BTreeSet<(&Moref, &str)> = told
            .iter()
            .flat_map(|answer| answer.privileges.iter().map(|one| (&answer.entity, one)))
            .filter(|(_, (_, is_granted))| *is_granted)
            .map(|(entity, (id, _))| (entity, id.as_str()))
            .collect();
        answers.extend(group.into_iter().map(|place| {
            let is_missing = |privilege: &&&Privilege| {
                // What was not answered is not granted.
                !granted.contains(&(&place.moref, privilege.id))
            };
            (place, wanted.iter().filter(is_missing).copied().collect())
        }));
    }
    Ok(answers)
}

fn document(
    answers: &[Answer<'_>],
    vms: &[VmFound],
    purpose: PrivilegePurpose,
    lacks: bool,
) -> serde_json::Value {
    let objects = answers.iter().map(|(place, missing)| {
        let missing: Vec<_> = missing.iter().map(|p| super::document(p, purpose)).collect();
        json!({"type": place.moref.kind, "moref": place.moref.id, "name": place.name, "as": place.kind.as_str(), "missing": missing})
    });
    let vms = vms
        .iter()
        .map(|vm| json!({"vm": vm.path, "disabled_methods": vm.disabled_methods}));
    json!({
        "version": 1,
        "sufficient": !lacks,
        "objects": objects.collect::<Vec<_>>(),
        "vms": vms.collect::<Vec<_>>(),
    })
}

fn lines(
    answers: &[Answer<'_>],
    vms: &[VmFound],
    purpose: PrivilegePurpose,
    lacks: bool,
) -> Vec<String> {
    let mut rows = vec![
        ["MISSING ON", "PRIVILEGE", "IN VCENTER", "TO"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for (place, missing) in answers {
        rows.extend(missing.iter().map(|privilege| {
            vec![
                printable(&place.to_string()),
                privilege.id.to_owned(),
                privilege.ui_name.to_owned(),
                super::purpose_words(privilege, purpose),
            ]
        }));
    }
    let mut lines = Vec::new();
    if rows.len() > 1 {
        lines.push(table(&rows));
    }
    let tested = match answers.len() {
        1 => "1 object was tested".to_owned(),
        count => format!("{count} objects were tested"),
    };
    lines.push(match (lacks, rows.len() > 1) {
        (false, false) => format!("{tested}: nothing is missing"),
        (false, true) => format!("{tested}: nothing is missing but what only some VMs want"),
        (true, _) => format!("{tested}: the account lacks privileges"),
    });
    for vm in vms {
        let path = printable(&vm.path);
        if vm.is_in_vapp {
            lines.push(format!(
                "{path}: it is in a vApp; a restore puts it into a folder, which was not tested"
            ));
        }
        if vm.disabled_methods.iter().any(|m| m == "RelocateVM_Task") {
            lines.push(format!(
                "{path}: RelocateVM_Task is disabled now, by a backup that runs or one that died"
            ));
        }
    }
    lines
}
