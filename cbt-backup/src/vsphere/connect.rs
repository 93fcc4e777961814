//! Setting up a connection: its options, and a look at the server beforehand.

use std::time::Duration;

use super::address::ServerAddress;
use super::error::Error;
use super::http::{Http, HttpOptions};
use super::thumbprint::Thumbprints;
use super::tls::{Trust, observing_config};
use super::version::VERSIONS;
use crate::secret::Secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A query of changed areas may take long on a big disk.
const TOTAL_TIMEOUT: Duration = Duration::from_mins(5);
const MAX_BODY_BYTES: usize = 64 << 20;

/// Time limits of one exchange.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For name resolution, TCP and TLS.
    pub connect: Duration,
    /// From the first byte to the last one of the answer.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: CONNECT_TIMEOUT,
            total: TOTAL_TIMEOUT,
        }
    }
}

/// How often reads are tried when the transport fails. Writes are tried once, always.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Attempts in all, at least one.
    pub attempts: u32,
    /// The wait after the first failure; it doubles from there.
    pub first_wait: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_wait: Duration::from_millis(500),
        }
    }
}

/// How often the state of a task is asked for.
#[derive(Debug, Clone, Copy)]
pub struct PollDelays {
    /// The wait after the first look; it grows by half from there.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Default for PollDelays {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(2),
        }
    }
}

/// What [`Client::connect`](super::Client::connect) wants to know.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The vCenter, or a stand-alone host.
    pub server: ServerAddress,
    /// The user name.
    pub user: String,
    /// The password; kept for logging in again when a session expires.
    pub password: Secret,
    /// How the server proves itself.
    pub trust: Trust,
    /// Shown in the server's list of sessions.
    pub user_agent: String,
    /// Starts the id of each call in the server's logs; letters, digits and `-` are kept.
    pub operation_id_prefix: String,
    /// Time limits of one exchange.
    pub timeouts: Timeouts,
    /// Repetition of reads.
    pub retry: RetryPolicy,
    /// Pace of waiting for tasks.
    pub poll: PollDelays,
    /// The longest answer taken, in bytes after unpacking.
    pub max_body_bytes: usize,
}

impl ConnectOptions {
    /// Options with defaults for all that is not asked here.
    pub fn new(server: ServerAddress, user: String, password: Secret, trust: Trust) -> Self {
        Self {
            server,
            user,
            password,
            trust,
            user_agent: concat!("cbt-backup/", env!("CARGO_PKG_VERSION")).to_owned(),
            operation_id_prefix: "cbt-backup".to_owned(),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            poll: PollDelays::default(),
            max_body_bytes: MAX_BODY_BYTES,
        }
    }
}

/// Looks at the server's certificate, so that a person can compare it before pinning it.
///
/// Nothing is believed and nothing is sent: the handshake is broken off once the certificate
/// is seen.
///
/// # Errors
///
/// [`Error::Transport`] if there is no TLS server at that address.
pub async fn observe(server: &ServerAddress) -> Result<Thumbprints, Error> {
    let http = Http::new(HttpOptions {
        server,
        tls: Some(observing_config()?),
        user_agent: "cbt-backup",
        connect_timeout: CONNECT_TIMEOUT,
        total_timeout: CONNECT_TIMEOUT,
        max_body_bytes: 0,
    })?;
    match http.get(VERSIONS).await {
        Err(Error::CertificateRefused { observed, .. }) => Ok(*observed),
        Err(error) => Err(error),
        Ok(_) => Err(Error::Tls {
            reason: "a handshake that should have been broken off went through".to_owned(),
        }),
    }
}
