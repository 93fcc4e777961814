//! Why the server does not start.

use std::net::SocketAddr;

/// A failure to start the server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The lab cannot be read.
    #[error("failed to read the lab")]
    Lab(#[from] lab::Error),
    /// The certificate or the key of the lab cannot be used.
    #[error("certificate or key of the lab unusable: {problem}")]
    Certificate {
        /// What is wrong with it.
        problem: String,
    },
    /// The address cannot be listened on.
    #[error("failed to listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// The answer of the system.
        source: std::io::Error,
    },
    /// The server's thread or runtime cannot be made.
    #[error("failed to start the server's thread")]
    Thread {
        /// The answer of the system.
        source: std::io::Error,
    },
}
