//! `privileges`: the smallest role that will do, and whether the account has it.

mod check;
mod place;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::Context;
use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        options::ServerOptions,
        output::table,
        selection::{AnyVms, SELECTORS},
    },
    vsphere::{Privilege, PrivilegePurpose},
};

const EXAMPLES: &str = "\
Examples:
  cbt-backup privileges
  cbt-backup privileges --for restore --as govc
  cbt-backup privileges --check folder:Prod --for restore --server vcenter.example --user backup@vsphere.local
  cbt-backup privileges --check --for restore --to DC0/vm/Restored --to DC0/datastore/ds2 \\
    --server vcenter.example --user backup@vsphere.local
";

/// Print the smallest role that will do, or test whether this account has it.
///
/// The test asks the server what the account that logs in may do on the root, and on each VM that is
/// selected, its host, its datastores and their datacenters; for a restore also on the folder, the
/// resource pool and the networks it is in now, or on those it is to come to. What is missing is named
/// as vCenter's own pages name it.
#[derive(Debug, Args)]
#[command(after_help = format!("{SELECTORS}\n\n{EXAMPLES}"))]
#[command(mut_arg("vms", |vms| vms.requires("check").help(
    "The virtual machines to test it on: name, inventory path, id, UUID, or a group such as folder:Prod [default: the root only]"
)))]
#[command(mut_arg("exclude", |exclude| exclude.requires("vms")))]
pub struct Privileges {
    /// What the role is for
    #[arg(long = "for", value_enum, default_value_t = Purpose::Backup)]
    purpose: Purpose,
    /// In which form the role is printed
    #[arg(long = "as", value_enum, default_value_t = Form::Table)]
    form: Form,
    /// Take what only some VMs or ways want into the commands and ids too, such as encryption
    #[arg(long)]
    optional: bool,
    /// Name of the role in the printed commands
    #[arg(long, value_name = "NAME", default_value = "cbt-backup", value_parser = plain_name)]
    role: String,
    /// Test it with this account, and name what is missing
    #[arg(long)]
    check: bool,
    /// A folder, resource pool, datastore or network that a restore is to use, by its inventory path,
    /// such as DC0/vm/Prod, DC0/host/C0/Resources, DC0/datastore/ds1 or DC0/network/LAN; those that the
    /// VMs are in now are then not tested for it
    #[arg(long, value_name = "PATH", requires = "check")]
    to: Vec<String>,
    #[command(flatten)]
    wanted: AnyVms,
    #[command(flatten)]
    server: ServerOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Purpose {
    /// To back up
    Backup,
    /// Besides, on the proxy VM and the datastores of the disks, to read them by HotAdd
    Hotadd,
    /// To back up and to restore
    Restore,
}

impl From<Purpose> for PrivilegePurpose {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Backup => Self::Backup,
            Purpose::Hotadd => Self::HotAdd,
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
    /// The ids alone, one a line
    Ids,
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
    /// 2 for a word that is no selector, 12 when certificate or login is refused or a privilege is
    /// missing, 13 for a fault, 18 for a VM or place that is not there, or not alone.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let purpose = self.purpose.into();
        let privileges: Vec<&Privilege> = Privilege::of(purpose).collect();
        let in_role =
            |privilege: &&&Privilege| self.optional || !privilege.is_optional_for(purpose);
        let role: Vec<&Privilege> = privileges.iter().filter(in_role).copied().collect();
        if self.check {
            let selection = if self.wanted.vms.is_empty() {
                None
            } else {
                Some(self.wanted.selection()?)
            };
            if !self.to.is_empty() && self.purpose != Purpose::Restore {
                let error = anyhow!("--to names where a restore puts VMs");
                return Err(Failure::new(ExitCode::Usage, error).with_hint("add --for restore"));
            }
            return context.with_client(&self.server, async |client| {
                let wanted = check::Wanted {
                    selection: selection.as_ref(),
                    to: &self.to,
                    purpose,
                };
                let check = check::run(client, &wanted, context.output);
                context.unless_stopped(check).await
            });
        }
        if context.output.json {
            let rows: Vec<_> = privileges.iter().map(|p| document(p, purpose)).collect();
            context
                .output
                .document(&json!({"version": 1, "role": self.role, "privileges": rows}));
            return Ok(ExitCode::Done);
        }
        match self.form {
            Form::Table => context.output.line(&rows(&privileges, purpose)),
            Form::Powercli => context.output.line(&powercli(&self.role, &role)),
            Form::Govc => context.output.line(&govc(&self.role, &role)),
            Form::Ids => context.output.line(&ids(&role)),
        }
        Ok(ExitCode::Done)
    }
}

fn document(privilege: &Privilege, purpose: PrivilegePurpose) -> serde_json::Value {
    json!({
        "id": privilege.id,
        "name": privilege.ui_name,
        "on": privilege.scope.as_str(),
        "for": match privilege.purpose {
            PrivilegePurpose::Backup => "backup",
            PrivilegePurpose::HotAdd => "hotadd",
            PrivilegePurpose::Restore => "restore",
        },
        "reason": privilege.reason,
        "optional": privilege.is_optional_for(purpose),
    })
}

fn rows(privileges: &[&Privilege], purpose: PrivilegePurpose) -> String {
    let mut rows = vec![
        ["PRIVILEGE", "IN VCENTER", "ON", "FOR"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(privileges.iter().map(|privilege| {
        vec![
            privilege.id.to_owned(),
            privilege.ui_name.to_owned(),
            privilege.scope.as_str().to_owned(),
            purpose_words(privilege, purpose),
        ]
    }));
    table(&rows)
}

/// What a privilege is for, in words.
fn purpose_words(privilege: &Privilege, purpose: PrivilegePurpose) -> String {
    let optional = if privilege.is_optional_for(purpose) {
        " (where wanted)"
    } else {
        ""
    };
    format!("{}{optional}", privilege.reason)
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

fn ids(privileges: &[&Privilege]) -> String {
    let ids: Vec<&str> = privileges.iter().map(|p| p.id).collect();
    ids.join("\n")
}

#[cfg(test)]
mod tests {
    use super::{Privilege, PrivilegePurpose, govc, ids, plain_name, powercli, rows};

    #[test]
    fn every_form_has_every_privilege() {
        let privileges: Vec<&Privilege> = Privilege::of(PrivilegePurpose::Restore).collect();
        for text in [
            rows(&privileges, PrivilegePurpose::Restore),
            powercli("r", &privileges),
            govc("r", &privileges),
            ids(&privileges),
        ] {
            for privilege in &privileges {
                assert!(text.contains(privilege.id), "{}", privilege.id);
            }
        }
    }

    #[test]
    fn the_commands_are_word_for_word_what_the_tools_take() {
        let privileges: Vec<&Privilege> = Privilege::of(PrivilegePurpose::Backup)
            .filter(|privilege| privilege.id.starts_with("Global."))
            .collect();
        assert_eq!(
            govc("r", &privileges),
            "govc role.create r Global.DisableMethods Global.EnableMethods\n\
             govc permissions.set -principal ACCOUNT@DOMAIN -role r -propagate=true /"
        );
        assert_eq!(
            powercli("r", &privileges),
            "New-VIRole -Name \"r\" -Privilege (Get-VIPrivilege -Id \"Global.DisableMethods\",\"Global.EnableMethods\")\n\
             New-VIPermission -Entity (Get-Folder -NoRecursion) -Principal \"DOMAIN\\ACCOUNT\" -Role \"r\" -Propagate:$true"
        );
        assert_eq!(
            ids(&privileges),
            "Global.DisableMethods\nGlobal.EnableMethods"
        );
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
