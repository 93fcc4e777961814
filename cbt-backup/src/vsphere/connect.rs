//! Setting up a connection: its options, and a look at the server beforehand.

use std::time::Duration;

use super::address::ServerAddress;
use super::error::Error;
use super::http::{Http, HttpOptions};
use super::proxy::Proxy;
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

/// A session is ended by the server after about 30 idle minutes.
const KEEP_ALIVE: Duration = Duration::from_mins(10);

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
    /// The cookie of a session that exists already: the value of `vmware_soap_session`, or the
    /// whole `name=value`. Then nobody logs in, user and password are not used, and the session
    /// is left as it is in the end. Anything else is [`Error::BadCookie`].
    pub session: Option<Secret>,
    /// How the server proves itself.
    pub trust: Trust,
    /// The way to the server.
    pub proxy: Proxy,
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
    /// After how much idle time the server is asked for its clock, so that the session lives on
    /// while the data are read; nothing: not at all.
    pub keep_alive: Option<Duration>,
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
            session: None,
            trust,
            proxy: Proxy::None,
            user_agent: concat!("cbt-backup/", env!("CARGO_PKG_VERSION")).to_owned(),
            operation_id_prefix: "cbt-backup".to_owned(),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            poll: PollDelays::default(),
            keep_alive: Some(KEEP_ALIVE),
            max_body_bytes: MAX_BODY_BYTES,
        }
    }

    /// Options for a session that exists already.
    pub fn with_session(server: ServerAddress, cookie: Secret, trust: Trust) -> Self {
        let mut options = Self::new(server, String::new(), Secret::new(String::new()), trust);
        options.session = Some(cookie);
        options
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
    observe_through(server, &Proxy::None).await
}

/// The same on another way.
///
/// # Errors
///
/// As [`observe`].
pub async fn observe_through(server: &ServerAddress, proxy: &Proxy) -> Result<Thumbprints, Error> {
    let http = Http::new(HttpOptions {
        server,
        tls: observing_config()?,
        user_agent: "cbt-backup",
        connect_timeout: CONNECT_TIMEOUT,
        total_timeout: CONNECT_TIMEOUT,
        max_body_bytes: 0,
        proxy,
    })?;
    match http.get(VERSIONS).await {
        Err(Error::CertificateRefused { observed, .. }) => Ok(*observed),
        Err(error) => Err(error),
        Ok(_) => Err(Error::Tls {
            reason: "a handshake that should have been broken off went through".to_owned(),
        }),
    }
}
