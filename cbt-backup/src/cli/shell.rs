//! Commands that an administrator gives as a line for the shell.

use std::process::Command;

use super::{
    reexec,
    secret_input::{
        NEW_PASSPHRASE_VARIABLE, PASSPHRASE_VARIABLE, PASSWORD_VARIABLE, PROXY_PASSWORD_VARIABLE,
        TO_PASSPHRASE_VARIABLE,
    },
};

/// Our own variables that may hold a secret.
const OWN_VARIABLES: &[&str] = &[
    PASSWORD_VARIABLE,
    PROXY_PASSWORD_VARIABLE,
    PASSPHRASE_VARIABLE,
    NEW_PASSPHRASE_VARIABLE,
    TO_PASSPHRASE_VARIABLE,
];

/// The variables that the clients of the stores take credentials from, under each of their names. The id of
/// Amazon's key goes with the key: half a pair is an error to Amazon's own tools.
const STORE_VARIABLES: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_SSE_CUSTOMER_KEY_BASE64",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_ENCRYPTION_KEY",
    "AZURE_CLIENT_SECRET",
    "AZURE_FABRIC_SESSION_TOKEN",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_BEARER_TOKEN",
];

/// A shell for a line, with the environment that this program was started with, but for the secrets in it.
pub(super) fn shell(line: &str) -> Command {
    let mut shell = shell_for_a_secret(line);
    for variable in STORE_VARIABLES {
        shell.env_remove(variable);
    }
    shell
}

/// A shell for a line that prints a secret. It has no business with our others, but may fetch it with the credentials
/// of a cloud.
pub(super) fn shell_for_a_secret(line: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(line);
    reexec::restore_environment(&mut shell);
    for variable in OWN_VARIABLES {
        shell.env_remove(variable);
    }
    shell
}

#[cfg(test)]
mod tests {
    use super::{OWN_VARIABLES, STORE_VARIABLES};

    #[test]
    fn every_secret_that_the_documents_put_into_a_variable_is_in_the_list() {
        let text = include_str!("../../../doc/operations.md");
        let is_of_a_name = |c: char| c.is_ascii_uppercase() || c == '_';
        let names = text.split(|c| !is_of_a_name(c));
        let secrets = names.filter(|name| {
            let ends = [
                "_KEY",
                "_KEY_ID",
                "_TOKEN",
                "_SECRET",
                "_PASSWORD",
                "_PASSPHRASE",
            ];
            ends.iter().any(|end| name.ends_with(end))
        });
        let secrets: Vec<&str> = secrets.collect();
        assert!(secrets.len() >= 7, "{secrets:?}");
        for name in secrets {
            let is_known = OWN_VARIABLES.contains(&name) || STORE_VARIABLES.contains(&name);
            assert!(is_known, "{name} is passed on");
        }
    }
}
