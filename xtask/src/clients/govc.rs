//! govc, the command line of govmomi.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use lab::SnapshotSpec;

use super::process::{Said, hear};
use super::{Outcome, VM, certificate, moref};
use crate::output::line;
use crate::stage::Stage;

const PACKAGE: &str = "github.com/vmware/govmomi/govc@latest";
const SNAPSHOT: &str = "before the update";

/// The commands in order, and what each must print among other things.
const COMMANDS: [(&[&str], &str); 15] = [
    (&["about"], "VMware vCenter Server"),
    (&["ls"], "/DC0/vm"),
    (&["ls", "-l", "/DC0/vm"], "app01 (VirtualMachine)"),
    (&["find", "/", "-type", "m"], "/DC0/vm/app01"),
    (&["find", "."], "datastore1"),
    (&["datacenter.info"], "DC0"),
    (&["datastore.info"], "VMFS"),
    (&["vm.info", VM], "poweredOn"),
    (&["vm.info", "-json", VM], "[datastore1] app01/app01.vmdk"),
    (&["device.info", "-vm", VM], "Hard disk 2"),
    (&["snapshot.tree", "-vm", VM], SNAPSHOT),
    (&["snapshot.create", "-vm", VM, "-m=false", "by govc"], ""),
    (&["snapshot.tree", "-vm", VM], "by govc"),
    (&["snapshot.remove", "-vm", VM, "by govc"], ""),
    (&["object.collect", "-s", "vm/app01", "name"], VM),
];

/// Runs the commands.
///
/// # Errors
///
/// When one does not do what it must.
pub(super) fn run(stage: &Stage, tools: &Path) -> anyhow::Result<Outcome> {
    let govc = match program(tools) {
        Ok(program) => program,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let password = std::fs::read_to_string(&stage.password_file)?;
    let password = password.trim_end();
    refused(&mut command(&govc, stage, "not the password"))?;

    let snapshot = stage
        .lab
        .create_snapshot(&moref(stage)?, &SnapshotSpec::named(SNAPSHOT))?;
    for (arguments, expected) in COMMANDS {
        let shown = arguments.join(" ");
        let mut command = command(&govc, stage, password);
        let Said { success, text, .. } = hear(command.args(arguments))?;
        if !success || !text.contains(expected) {
            bail!("govc {shown} did not print {expected:?} but:\n{text}");
        }
        line(&format!("  govc {shown}: ok"));
    }
    stage.lab.remove_snapshot(&snapshot.moref, true)?;
    Ok(Outcome::Passed)
}

fn refused(command: &mut Command) -> anyhow::Result<()> {
    let Said { success, text, .. } = hear(command.arg("ls"))?;
    if success || !text.contains("incorrect user name or password") {
        bail!("govc with a wrong password was not refused as it must be:\n{text}");
    }
    line("  govc ls with a wrong password: refused");
    Ok(())
}

fn command(govc: &Path, stage: &Stage, password: &str) -> Command {
    let mut command = Command::new(govc);
    command
        .env("GOVC_URL", stage.vcenter.url())
        .env("GOVC_USERNAME", &stage.user)
        .env("GOVC_PASSWORD", password)
        .env("GOVC_TLS_CA_CERTS", certificate(stage))
        .env("GOVC_PERSIST_SESSION", "false")
        .env_remove("GOVC_INSECURE");
    command
}

/// The govc of the system, else one of our own.
fn program(tools: &Path) -> anyhow::Result<PathBuf> {
    let own = tools.join("bin/govc");
    for govc in [Path::new("govc"), &own] {
        let mut command = Command::new(govc);
        command
            .arg("version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            return Ok(govc.to_path_buf());
        }
    }
    let mut install = Command::new("go");
    install
        .args(["install", PACKAGE])
        .env("GOBIN", tools.join("bin"))
        .stdin(Stdio::null());
    let output = install.output().context("no go")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!(
            "go install failed: {}",
            text.lines().last().unwrap_or_default()
        );
    }
    Ok(own)
}
