//! The one TLS stack of the process: rustls with ring.

use rustls::crypto::CryptoProvider;

/// All authorities of a system together are less than a tenth of this.
pub(crate) const MAX_PEM_BYTES: u64 = 16 << 20;

/// Makes ring the default of the process: the HTTP client panics without one. An earlier one is
/// left in place.
pub(crate) fn install_provider() {
    if CryptoProvider::get_default().is_none() {
        // A failure means that another thread was first.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}
