//! `privileges`: the smallest role that will do, and whether the account has it.

mod check;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::ServerOptions,
        output::table,
    },
    vsphere::{Privilege, PrivilegePurpose},
};

/// Print the smallest role that will do, or test whether this account has it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cbt-backup privileges\n  cbt-backup privileges --for restore --as govc\n  cbt-backup privileges --check web01 --server vcenter.example --user backup@vsphere.local"
)]
pub struct Privileges {
    /// What the role is for
    #[arg(long = "for", value_enum, default_value_t = Purpose::Backup)]
    purpose: Purpose,
    /// In which form the role is printed
    #[arg(long = "as", value_enum, default_value_t = Form::Table)]
    form: Form,
    /// Name of the role in the printed commands
    #[arg(long, value_name = "NAME", default_value = "cbt-backup", value_parser = plain_name)]
    role: String,
    /// Test it with this account: on the root, each VM named, its host and its datastores
    #[arg(long)]
    check: bool,
    /// Virtual machines to test it on
    #[arg(value_name = "VM", requires = "check")]
    vms: Vec<String>,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// To back up
    Backup,
    /// To back up and to restore
    Restore,
}

impl From<Purpose> for PrivilegePurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Backup => Self::Backup,
            Purpose::Restore => Self::Restore,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Ids, vCenter's names, where and why
    Table,
    /// Commands for PowerCLI
    Powercli,
    /// Commands for govc
    Govc,
}

/// A name that needs no quoting in a shell of any kind.
fn plain_name(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("letters, digits, '-', '_' and '.' are expected".to_owned())
}

impl Privileges {
    /// Runs the command.
    ///
    /// # Errors
    /// 12 when certificate or login is refused or a privilege is missing, 13 for a fault, 18 for
    /// a VM that is not found.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let privileges: Vec<&Privilege> = Privilege::of(self.purpose.into()).collect();
        if self.check {
            return context.runtime.block_on(async {
                let client = self.server.connect(&context.config).await?.client;
                let checked = check::run(&client, &self.vms, &privileges, context.output).await;
                let _ = client.logout().await;
                checked
            });
        }
        if context.output.json {
            let rows: Vec<_> = privileges.iter().map(|p| document(p)).collect();
            context
                .output
                .document(&json!({"version": 1, "role": self.role, "privileges": rows}));
            return Ok(ExitCode::Done);
        }
        match self.form {
            Form::Table => context.output.line(&rows(&privileges)),
            Form::Powercli => context.output.line(&powercli(&self.role, &privileges)),
            Form::Govc => context.output.line(&govc(&self.role, &privileges)),
        }
        Ok(ExitCode::Done)
    }
}

fn document(privilege: &Privilege) -> serde_json::Value {
    json!({
        "id": privilege.id,
        "name": privilege.ui_name,
        "on": privilege.scope.as_str(),
        "for": match privilege.purpose {
            PrivilegePurpose::Backup => "backup",
            PrivilegePurpose::Restore => "restore",
        },
        "reason": privilege.reason,
        "optional": privilege.is_optional,
    })
}

fn rows(privileges: &[&Privilege]) -> String {
    let mut rows = vec![
        ["PRIVILEGE", "IN VCENTER", "ON", "FOR"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(privileges.iter().map(|privilege| {
        let optional = if privilege.is_optional {
            " (where wanted)"
        } else {
            ""
        };
        vec![
            privilege.id.to_owned(),
            privilege.ui_name.to_owned(),
            privilege.scope.as_str().to_owned(),
            format!("{}{optional}", privilege.reason),
        ]
    }));
    table(&rows)
}

fn powercli(role: &str, privileges: &[&Privilege]) -> String {
    let ids: Vec<String> = privileges.iter().map(|p| format!("\"{}\"", p.id)).collect();
    format!(
        "New-VIRole -Name \"{role}\" -Privilege (Get-VIPrivilege -Id {})\nNew-VIPermission -Entity (Get-Folder -NoRecursion) -Principal \"DOMAIN\\ACCOUNT\" -Role \"{role}\" -Propagate:$true",
        ids.join(",")
    )
}

fn govc(role: &str, privileges: &[&Privilege]) -> String {
    let ids: Vec<&str> = privileges.iter().map(|p| p.id).collect();
    format!(
        "govc role.create {role} {}\ngovc permissions.set -principal ACCOUNT@DOMAIN -role {role} -propagate=true /",
        ids.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::{Privilege, PrivilegePurpose, govc, plain_name, powercli, rows};

    #[test]
    fn every_form_has_every_privilege() {
        let privileges: Vec<&Privilege> = Privilege::of(PrivilegePurpose::Restore).collect();
        for text in [
            rows(&privileges),
            powercli("r", &privileges),
            govc("r", &privileges),
        ] {
            for privilege in &privileges {
                assert!(text.contains(privilege.id), "{}", privilege.id);
            }
        }
    }

    #[test]
    fn a_roles_name_is_no_command() {
        assert_eq!(
            plain_name("cbt-backup_2.0").as_deref(),
            Ok("cbt-backup_2.0")
        );
        for bad in ["", "a b", "a\"", "$(x)", "a;b"] {
            assert!(plain_name(bad).is_err(), "{bad}");
        }
    }
}
