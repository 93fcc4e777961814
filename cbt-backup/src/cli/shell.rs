//! Commands that an administrator gives as a line for the shell.

use std::process::Command;

use super::{
    reexec,
    secret_input::{
        NEW_PASSPHRASE_VARIABLE, PASSPHRASE_VARIABLE, PASSWORD_VARIABLE, PROXY_PASSWORD_VARIABLE,
        TO_PASSPHRASE_VARIABLE,
    },
};

/// The variables that may hold a secret: our own, and those that the clients of the stores take
/// credentials from, under each of their names. The id of Amazon's key goes with the key: half a pair
/// is an error to Amazon's own tools.
const SECRET_VARIABLES: &[&str] = &[
    PASSWORD_VARIABLE,
    PROXY_PASSWORD_VARIABLE,
    PASSPHRASE_VARIABLE,
    NEW_PASSPHRASE_VARIABLE,
    TO_PASSPHRASE_VARIABLE,
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

/// A shell for a line, with the environment that this program was started with, but for the secrets in
/// it: a command that fetches one has no business with the others, and any other has none with any.
pub(super) fn shell(line: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(line);
    reexec::restore_environment(&mut shell);
    for secret in SECRET_VARIABLES {
        shell.env_remove(secret);
    }
    shell
}

#[cfg(test)]
mod tests {
    use super::SECRET_VARIABLES;

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
            assert!(SECRET_VARIABLES.contains(&name), "{name} is passed on");
        }
    }
}
