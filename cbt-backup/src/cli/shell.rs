//! Commands that an administrator gives as a line for the shell.

use std::process::Command;

use super::{
    reexec,
    secret_input::{
        NEW_PASSPHRASE_VARIABLE, PASSPHRASE_VARIABLE, PASSWORD_VARIABLE, PROXY_PASSWORD_VARIABLE,
        TO_PASSPHRASE_VARIABLE,
    },
};

/// A shell for a line, with the environment that this program was started with, but for the secrets in
/// it: a command that fetches one has no business with the others, and any other has none with any.
pub(super) fn shell(line: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(line);
    reexec::restore_environment(&mut shell);
    for secret in [
        PASSWORD_VARIABLE,
        PROXY_PASSWORD_VARIABLE,
        PASSPHRASE_VARIABLE,
        NEW_PASSPHRASE_VARIABLE,
        TO_PASSPHRASE_VARIABLE,
    ] {
        shell.env_remove(secret);
    }
    shell
}
