//! Options that say how disks are reached.

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use vddk::{TransportModes, TransportPolicy};

use super::{
    config::Config,
    exit_code::{ExitCode, Failure},
};

/// Ways to the disks.
#[derive(Debug, Args)]
pub struct TransportOptions {
    /// Ways to reach the disks, most wanted first: nbdssl, hotadd, san [default: nbdssl]
    #[arg(long, env = "CBT_BACKUP_TRANSPORT", value_name = "MODE[:MODE]")]
    transport: Option<String>,
    /// What to do when a disk does not come by the transport wanted most [default: prefer]
    #[arg(
        long,
        env = "CBT_BACKUP_TRANSPORT_POLICY",
        value_enum,
        value_name = "POLICY"
    )]
    transport_policy: Option<Policy>,
}

/// What is acceptable besides the wanted transports.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    /// Nothing else: a disk that comes otherwise is not read
    Require,
    /// nbdssl as a last resort; whatever is not the first of the list is told
    Prefer,
    /// Any of the list, without a word
    Allow,
}

impl From<Policy> for TransportPolicy {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Require => Self::Require,
            Policy::Prefer => Self::Prefer,
            Policy::Allow => Self::Allow,
        }
    }
}

impl TransportOptions {
    /// The ways, from option, environment or configuration.
    ///
    /// # Errors
    /// 2 for a word that is no transport.
    pub fn modes(&self, config: &Config) -> Result<TransportModes, Failure> {
        let words = self.transport.as_deref().or(config.transport.as_deref());
        words
            .unwrap_or("nbdssl")
            .parse()
            .map_err(|error: vddk::Error| Failure::new(ExitCode::Usage, error))
    }

    /// The policy, from option, environment or configuration.
    ///
    /// # Errors
    /// 2 for a word that is no policy.
    pub fn policy(&self, config: &Config) -> Result<TransportPolicy, Failure> {
        let word = config.transport_policy.as_deref();
        match (self.transport_policy, word) {
            (Some(policy), _) => Ok(policy.into()),
            (None, None) => Ok(TransportPolicy::Prefer),
            (None, Some(word)) => Policy::from_str(word, false)
                .map(TransportPolicy::from)
                .map_err(|_| {
                    let error = anyhow!("transport-policy {word:?} in the configuration");
                    Failure::new(ExitCode::Usage, error).with_hint("require, prefer or allow")
                }),
        }
    }
}
