//! libvirt's driver for ESX, by virsh: a client in C with a schema of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

use super::process::{foreign, must, need};
use super::{Outcome, VM};
use crate::output::line;
use crate::stage::{Stage, write_secret};

/// The commands, and what each must print.
const COMMANDS: [(&str, &[&str]); 18] = [
    ("version", &["Running hypervisor: ESX 8.0"]),
    ("hostname", &["esx01.lab.test"]),
    ("nodeinfo", &["CPU(s):", "2400 MHz"]),
    ("list --all", &["app01", "running"]),
    ("domstate app01", &["running"]),
    // It reads the VM's own file for this.
    (
        "dumpxml app01",
        &[
            "<name>app01</name>",
            "arch='x86_64'",
            "[datastore1] app01/app01",
            "<target dev='sdb'",
        ],
    ),
    ("pool-info datastore1", &["State:          running"]),
    ("vol-list datastore1", &["app01/app01_1.vmdk"]),
    ("dominfo app01", &["CPU(s):", "Autostart:      disable"]),
    ("domblklist app01", &["[datastore1] app01/app01.vmdk"]),
    ("pool-list --all", &["datastore1", "active"]),
    (
        "vol-info --pool datastore1 app01/app01.vmdk",
        &["Type:           file", "Capacity:"],
    ),
    ("suspend app01", &["suspended"]),
    ("resume app01", &["resumed"]),
    (
        "snapshot-create-as app01 first",
        &["snapshot first created"],
    ),
    (
        "snapshot-list app01",
        &["Creation Time", "first", "running"],
    ),
    ("snapshot-revert app01 first", &["reverted"]),
    ("snapshot-delete app01 first", &["deleted"]),
];

/// Runs the commands.
///
/// # Errors
///
/// When one does not do what it must.
pub(super) fn run(stage: &Stage, tools: &Path) -> anyhow::Result<Outcome> {
    if let Err(error) = need("virsh", "libvirt-clients") {
        return Ok(Outcome::Skipped(format!("{error:#}")));
    }
    let secret = fs::read_to_string(&stage.password_file)?;
    let login = tools.join("stage").join("libvirt.conf");
    let (user, password) = (&stage.user, secret.trim_end());
    let credentials = format!("[credentials-one]\nusername={user}\npassword={password}\n");
    let use_them = "[auth-esx-127.0.0.1]\ncredentials=one";
    write_secret(&login, &(credentials + use_them))?;
    for (command, parts) in COMMANDS {
        let mut virsh = virsh(stage, &login);
        let said =
            must(virsh.args(command.split(' '))).with_context(|| format!("virsh {command}"))?;
        if let Some(part) = parts.iter().find(|part| !said.contains(**part)) {
            bail!("virsh {command} of {VM} did not say {part:?} but:\n{said}");
        }
        line(&format!("  virsh {command}: ok"));
    }
    fs::remove_file(&login)?;
    Ok(Outcome::Passed)
}

/// The driver can't be given an authority of our own, so it is told not to look.
fn virsh(stage: &Stage, login: &Path) -> Command {
    let address = stage.vcenter.address();
    let user = stage.user.replace('@', "%40");
    let uri = format!("vpx://{user}@{address}/DC0/esx01.lab.test?no_verify=1");
    let mut command = foreign("virsh");
    command
        .env("LIBVIRT_AUTH_FILE", login)
        .env("LIBVIRT_LOG_OUTPUTS", "4:stderr")
        .args(["--connect", &uri]);
    command
}
