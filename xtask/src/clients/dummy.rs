//! The dummy VixDiskLib of nbdkit's tests, loaded by our own layer.
//!
//! Here the library is the stranger and `vddk` the client, by `vddk/examples/bare_library.rs`.

use anyhow::bail;

use super::ground::Ground;
use super::process::{foreign, hear};
use super::{Outcome, nbdkit};
use crate::output::line;
use crate::workspace::Build;

/// The example and the password it logs in with.
const EXAMPLE: &str = "bare_library";
const PASSWORD: &str = "a password that is no secret";

/// Runs the example on the dummy.
///
/// # Errors
///
/// When the example fails, or the dummy was not handed the password.
pub(super) fn run(ground: &Ground) -> anyhow::Result<Outcome> {
    let dummy = match nbdkit::dummy(&ground.tools) {
        Ok(dummy) => dummy,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let build = Build::run(&["-p", "vddk", "-p", "xtask", "--example", EXAMPLE])?;
    let example = build.program(EXAMPLE)?;
    let mut command = foreign(example);
    command.env("DUMMY_VDDK_PRINT_PASSWORD", "1").arg(dummy);
    let said = hear(&mut command)?;
    for text in said.text.lines() {
        line(&format!("  {text}"));
    }
    if !said.success {
        bail!("{EXAMPLE} ended with {:?}", said.code);
    }
    // The dummy reads it by the layout that its authors wrote down.
    if !said.text.contains(&format!("password={PASSWORD}\n")) {
        bail!("the library did not find the password in the parameters");
    }
    Ok(Outcome::Passed)
}
