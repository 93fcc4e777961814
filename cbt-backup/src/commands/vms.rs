//! `vms`: the virtual machines of a server.

mod details;
mod groups;
#[cfg(test)]
mod typed_tests;

use clap::Args;
use serde_json::{Value, json};

use self::{
    details::{Detailed, read},
    groups::By,
};
use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::ServerOptions,
        output::{Output, note, printable, table, table_below},
        selection::{AnyVms, SELECTORS},
    },
    vsphere::{Client, VmSelection, VmSummary},
};

const EXAMPLES: &str = "\
Examples:
  cbt-backup vms --server vcenter.example --user backup@vsphere.local
  cbt-backup vms --by host
  cbt-backup vms folder:Prod --exclude glob:*-test
  cbt-backup vms --details app01
";

/// List the virtual machines that this account can see, or some of them.
///
/// Without more, one line for each. `--by` groups them by the place that holds them, `--details` tells
/// what a backup depends on: disks with their way of tracking, snapshots, encryption, guest, host.
#[derive(Debug, Args)]
#[command(after_help = format!("{SELECTORS}\n\n{EXAMPLES}"))]
pub struct Vms {
    #[command(flatten)]
    wanted: AnyVms,
    /// Group the VMs by the place that holds them
    #[arg(long, value_enum, value_name = "PLACE")]
    by: Option<By>,
    /// Tell all that matters for a backup of each VM
    #[arg(long, conflicts_with = "by")]
    details: bool,
    /// Print VMs as they arrive, in the server's order and with little memory; with --json one object a line
    #[arg(long, conflicts_with_all = ["by", "details"])]
    unsorted: bool,
    #[command(flatten)]
    server: ServerOptions,
}

impl Vms {
    /// Runs the command.
    ///
    /// # Errors
    /// 2 for a word that is no selector, 12 when certificate or login is refused, 13 for a fault,
    /// 18 for a VM or place that is not there, or not alone.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let selection = self.wanted.selection()?;
        context.with_client(&self.server, async |client| {
            let list = self.list(client, &selection, context.output);
            context.unless_stopped(list).await
        })?;
        Ok(ExitCode::Done)
    }

    async fn list(
        &self,
        client: &Client,
        selection: &VmSelection,
        output: Output,
    ) -> Result<(), Failure> {
        if self.unsorted {
            return as_they_arrive(client, selection, output).await;
        }
        let vms = client.select_vms(selection).await?;
        if vms.is_empty() {
            note("note: this account sees no VM that is meant");
        }
        if self.details {
            let vms = read(client, vms).await?;
            if output.json {
                output.document(&details::document(&vms));
            } else if !vms.is_empty() {
                let all: Vec<String> = vms.iter().map(Detailed::text).collect();
                output.line(&all.join("\n\n"));
            }
            return Ok(());
        }
        match (self.by, output.json) {
            (Some(by), true) => output.document(&groups::document(by, &vms)),
            (Some(by), false) => output.line(&groups::text(by, &vms)),
            (None, true) => {
                let rows: Vec<Value> = vms.iter().map(summary_json).collect();
                output.document(&json!({"version": 1, "vms": rows}));
            }
            (None, false) => {
                let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
                rows.extend(vms.iter().map(|vm| row(vm).to_vec()));
                output.line(&table(&rows));
            }
        }
        Ok(())
    }
}

const HEAD: [&str; 5] = ["ID", "NAME", "PATH", "POWER", "TRACKING"];

/// Prints each page of the server and forgets it.
async fn as_they_arrive(
    client: &Client,
    selection: &VmSelection,
    output: Output,
) -> Result<(), Failure> {
    let mut pages = client.vm_pages(selection).await?;
    let mut widths = Vec::new();
    let mut head = Some(HEAD.map(str::to_owned).to_vec());
    while let Some(page) = pages.next().await? {
        if output.json {
            for vm in &page {
                let mut line = summary_json(vm);
                line["version"] = 1.into();
                line["type"] = "vm".into();
                output.json_line(&line);
            }
        } else {
            let mut rows: Vec<Vec<String>> = head.take().into_iter().collect();
            rows.extend(page.iter().map(|vm| row(vm).to_vec()));
            output.line(&table_below(&rows, &mut widths));
        }
    }
    if let Some(head) = head.filter(|_| !output.json) {
        output.line(&table(&[head]));
    }
    Ok(())
}

/// The fields of a VM that scripts may rely on.
fn summary_json(vm: &VmSummary) -> Value {
    json!({
        "moref": vm.moref.id,
        "name": vm.name,
        "path": vm.path,
        "folder": vm.folder,
        "host": vm.host,
        "cluster": vm.cluster,
        "pool": vm.pool,
        "vapp": vm.vapp,
        "datastores": vm.datastores,
        "power_state": vm.power_state.to_string(),
        "connection_state": vm.connection_state,
        "instance_uuid": vm.instance_uuid,
        "bios_uuid": vm.bios_uuid,
        "template": vm.is_template,
        "change_tracking": vm.change_tracking_enabled,
    })
}

fn row(vm: &VmSummary) -> [String; 5] {
    [
        vm.moref.id.clone(),
        printable(&vm.name),
        printable(&vm.path),
        vm.power_state.to_string(),
        tracking(vm).to_owned(),
    ]
}

fn tracking(vm: &VmSummary) -> &'static str {
    match vm.change_tracking_enabled {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::summary_json;
    use crate::vsphere::{Moref, PowerState, VmSummary};

    pub(super) fn vm(id: &str, name: &str) -> VmSummary {
        VmSummary {
            moref: Moref::vm(id),
            name: name.to_owned(),
            path: format!("DC0/vm/{name}"),
            folder: "DC0/vm".to_owned(),
            host: Some("esx1".to_owned()),
            cluster: Some("C1".to_owned()),
            pool: Some("DC0/host/C1/Resources".to_owned()),
            vapp: None,
            datastores: vec!["ds1".to_owned()],
            power_state: PowerState::On,
            connection_state: "connected".to_owned(),
            bios_uuid: None,
            instance_uuid: None,
            is_template: false,
            change_tracking_enabled: Some(true),
        }
    }

    #[test]
    fn the_fields_of_the_json_form_are_a_promise() {
        let row = summary_json(&vm("vm-1", "app"));
        let fields: Vec<&String> = row.as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            [
                "bios_uuid",
                "change_tracking",
                "cluster",
                "connection_state",
                "datastores",
                "folder",
                "host",
                "instance_uuid",
                "moref",
                "name",
                "path",
                "pool",
                "power_state",
                "template",
                "vapp"
            ]
        );
    }
}
