//! Newer virtual hardware, after asking.

use std::io::{self, BufRead, IsTerminal};

use anyhow::anyhow;

use crate::{
    cli::{
        exit_code::{ExitCode, Failure},
        output::note,
    },
    vsphere::{Client, MIN_TRACKED_HARDWARE, Moref, PowerState, SwitchOptions},
};

/// Upgrades hardware that is too old to be tracked, if the person agrees. Newer hardware is left
/// as it is.
pub(super) async fn offer(
    client: &Client,
    vm: &Moref,
    name: &str,
    yes: bool,
    options: &SwitchOptions<'_>,
) -> Result<(), Failure> {
    let state = client.vm(vm).await?;
    let Some(version) = state
        .hardware_version
        .filter(|version| *version < MIN_TRACKED_HARDWARE)
    else {
        return Ok(());
    };
    if state.power_state != PowerState::Off {
        let error = anyhow!("the hardware of a VM is upgraded only while it is off");
        return Err(Failure::new(ExitCode::Vsphere, error).with_hint("power it off first"));
    }
    if !yes && !agreed(name, version)? {
        let error = anyhow!("the hardware stays vmx-{version:02}");
        return Err(Failure::new(ExitCode::Vsphere, error));
    }
    (options.on_step)("upgrade the virtual hardware");
    let task = client.upgrade_hardware(vm, None).await?;
    client
        .wait_task(&task, options.task_limit, &mut |_| {}, &|| false)
        .await?;
    Ok(())
}

fn agreed(name: &str, version: u32) -> Result<bool, Failure> {
    let usage = |error| Failure::new(ExitCode::Usage, error);
    if !io::stdin().is_terminal() {
        return Err(usage(anyhow!("nobody can be asked"))
            .with_hint("--yes upgrades the hardware without asking"));
    }
    note(&format!(
        "{name} has hardware vmx-{version:02}. Upgrade it to the newest its host knows? It can't be undone. [y/N]"
    ));
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| usage(error.into()))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
