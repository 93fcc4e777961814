//! `vms`: the virtual machines of a server.

use clap::Args;
use serde_json::json;

use super::Context;
use crate::cli::{
    exit_code::{ExitCode, Failure},
    options::ServerOptions,
    output::{printable, table},
};

/// List the virtual machines that this account can see.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  cbt-backup vms --server vcenter.example --user backup@vsphere.local"
)]
pub struct Vms {
    #[command(flatten)]
    server: ServerOptions,
}

impl Vms {
    /// Runs the command.
    ///
    /// # Errors
    /// 12 when certificate or login is refused, 13 for a fault.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let vms = context.runtime.block_on(async {
            let client = self.server.connect(&context.config).await?.client;
            let vms = client.vms().await;
            let _ = client.logout().await;
            Ok::<_, Failure>(vms?)
        })?;
        if context.output.json {
            let rows: Vec<_> = vms
                .iter()
                .map(|vm| {
                    json!({
                        "moref": vm.moref.id,
                        "name": vm.name,
                        "path": vm.path,
                        "power_state": vm.power_state.to_string(),
                        "instance_uuid": vm.instance_uuid,
                        "template": vm.is_template,
                        "change_tracking": vm.change_tracking_enabled,
                    })
                })
                .collect();
            context.output.document(&json!({"version": 1, "vms": rows}));
        } else {
            let mut rows = vec![
                ["ID", "NAME", "PATH", "POWER", "TRACKING"]
                    .map(str::to_owned)
                    .to_vec(),
            ];
            rows.extend(vms.iter().map(|vm| {
                vec![
                    vm.moref.id.clone(),
                    printable(&vm.name),
                    printable(&vm.path),
                    vm.power_state.to_string(),
                    match vm.change_tracking_enabled {
                        Some(true) => "on",
                        Some(false) => "off",
                        None => "unknown",
                    }
                    .to_owned(),
                ]
            }));
            context.output.line(&table(&rows));
        }
        Ok(ExitCode::Done)
    }
}
