//! Why we believe that the server is the server.
//!
//! The pin replaces the chain of authorities, nothing else: that the server holds the key of
//! the certificate it shows is verified in every case, by rustls and ring.

pub(super) mod subject;

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use self::subject::subject;
use super::error::Error;
use super::thumbprint::{Thumbprint, Thumbprints};
use crate::tls::{MAX_PEM_BYTES, install_provider};
use crate::whole_file;

/// How the server proves itself. There is no way to go without.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trust {
    /// The authorities this system trusts.
    SystemRoots,
    /// The authorities in this PEM file, and no others.
    CaFile(PathBuf),
    /// The one certificate with this thumbprint, whatever name and dates it bears.
    Thumbprint(Thumbprint),
}

/// What our verifiers say through rustls, to be found again by [`refusal`].
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the thumbprint is not the pinned one")]
    Mismatch {
        expected: Thumbprint,
        observed: Thumbprints,
    },
    #[error("the certificate is of X.509 version 1")]
    Version1 { observed: Thumbprints },
    #[error("{reason}")]
    Untrusted {
        reason: String,
        subject: String,
        observed: Thumbprints,
    },
    #[error("only looked at")]
    Observed(Thumbprints),
}

impl From<Refusal> for rustls::Error {
    fn from(refusal: Refusal) -> Self {
        CertificateError::Other(OtherError(Arc::new(refusal))).into()
    }
}

/// How one of our verifiers decides on a leaf.
#[derive(Debug)]
enum Rule {
    Pinned(Thumbprint),
    Authorities(Arc<dyn ServerCertVerifier>),
    Observe,
}

/// The leaf that was believed last. The HTTP client tells it too, but not behind a proxy.
#[derive(Debug, Clone, Default)]
pub(super) struct BelievedLeaf(Arc<Mutex<Option<Thumbprints>>>);

impl BelievedLeaf {
    /// Its thumbprints; nothing before the first handshake.
    pub(super) fn thumbprints(&self) -> Option<Thumbprints> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Verifier {
    rule: Rule,
    believed: BelievedLeaf,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let observed = Thumbprints::of(leaf);
        match &self.rule {
            Rule::Observe => return Err(Refusal::Observed(observed).into()),
            Rule::Pinned(expected) if !observed.matches(expected) => {
                let expected = *expected;
                return Err(Refusal::Mismatch { expected, observed }.into());
            }
            Rule::Pinned(_) | Rule::Authorities(_) => {}
        }
        if is_version_1(leaf) {
            return Err(Refusal::Version1 { observed }.into());
        }
        if let Rule::Authorities(authorities) = &self.rule {
            let verified = authorities.verify_server_cert(leaf, intermediates, name, ocsp, now);
            if let Err(error) = verified {
                return Err(Refusal::Untrusted {
                    reason: error.to_string(),
                    subject: subject(leaf),
                    observed,
                }
                .into());
            }
        }
        let believed = &self.believed.0;
        *believed.lock().unwrap_or_else(PoisonError::into_inner) = Some(observed);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, leaf, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, leaf, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// The TLS set-up for `trust`.
///
/// # Errors
///
/// [`Error::CaFile`] if the file can't be used, [`Error::Tls`] if rustls refuses or this system
/// has no authorities.
pub(super) fn client_config(trust: &Trust, believed: &BelievedLeaf) -> Result<ClientConfig, Error> {
    install_provider();
    let rule = match trust {
        Trust::SystemRoots => Rule::Authorities(system_authorities()?),
        Trust::CaFile(path) => Rule::Authorities(authorities(path)?),
        Trust::Thumbprint(pin) => Rule::Pinned(*pin),
    };
    with_rule(rule, believed.clone())
}

/// A TLS set-up that refuses every server and reports what it showed.
pub(super) fn observing_config() -> Result<ClientConfig, Error> {
    install_provider();
    with_rule(Rule::Observe, BelievedLeaf::default())
}

fn with_rule(rule: Rule, believed: BelievedLeaf) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(Verifier {
        rule,
        believed,
        provider: Arc::clone(&provider),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Tls {
            reason: error.to_string(),
        })?
        .dangerous() // rustls's word for any verifier of one's own
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    Ok(config)
}

fn system_authorities() -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new(provider);
    let verifier = verifier.map_err(|error| Error::Tls {
        reason: error.to_string(),
    })?;
    Ok(Arc::new(verifier))
}

fn authorities(path: &Path) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let bad = |why: String| Error::CaFile {
        path: path.to_owned(),
        why,
    };
    let mut certificates = Vec::new();
    let mut skipped = 0;
    let pem = whole_file::read(path, MAX_PEM_BYTES).map_err(|error| bad(error.to_string()))?;
    for found in CertificateDer::pem_slice_iter(&pem) {
        match found {
            Ok(certificate) => certificates.push(certificate),
            Err(_) => skipped += 1,
        }
    }
    // Bundles have odd ones among them: old, or for another purpose.
    let mut roots = RootCertStore::empty();
    skipped += roots.add_parsable_certificates(certificates).1;
    match (roots.is_empty(), skipped) {
        (true, 0) => return Err(bad("there is no certificate in it".to_owned())),
        (true, skipped) => {
            return Err(bad(format!(
                "none of its {skipped} certificates can be read"
            )));
        }
        (false, 0) => {}
        (false, skipped) => {
            tracing::warn!(file = %path.display(), skipped, "certificates that can't be read are left out");
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    Ok(verifier.map_err(|e| bad(e.to_string()))?)
}

/// True when the version field is left out, which means version 1.
///
/// `Certificate ::= SEQUENCE { TBSCertificate ::= SEQUENCE { [0] version OPTIONAL, … }, … }`
/// (RFC 5280 4.1). Anything unexpected is left to the real parser.
fn is_version_1(der: &[u8]) -> bool {
    let first = sequence_content(der).and_then(sequence_content);
    first.is_some_and(|content| content.first() == Some(&0x02)) // the serial number
}

fn sequence_content(der: &[u8]) -> Option<&[u8]> {
    let (&0x30, rest) = der.split_first()? else {
        return None;
    };
    let (&length, rest) = rest.split_first()?;
    let more = if length < 0x80 {
        0
    } else {
        usize::from(length & 0x7f)
    };
    rest.get(more..)
}

/// What our verifier or rustls said, somewhere in the chain behind `error`.
pub(super) fn tls_error(error: &reqwest::Error) -> Option<Error> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(link) = next {
        if let Some(tls) = link.downcast_ref::<rustls::Error>() {
            return Some(from_rustls(tls));
        }
        // An I/O error is not the source of itself: what it wraps has to be asked for.
        let wrapped = link
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(wrapped) => Some(wrapped),
            None => link.source(),
        };
    }
    None
}

fn from_rustls(error: &rustls::Error) -> Error {
    let refusal = match error {
        rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(other))) => {
            other.downcast_ref::<Refusal>()
        }
        _ => None,
    };
    match refusal {
        Some(Refusal::Mismatch { expected, observed }) => Error::ThumbprintMismatch {
            expected: *expected,
            observed_sha1: observed.sha1,
            observed_sha256: observed.sha256,
        },
        Some(Refusal::Version1 { observed }) => Error::CertificateVersion1 {
            observed: *observed,
        },
        Some(Refusal::Untrusted {
            reason,
            subject,
            observed,
        }) => Error::CertificateRefused {
            reason: reason.clone(),
            subject: subject.clone(),
            observed: Box::new(*observed),
        },
        // Never reported: `observe` takes it out of the chain.
        Some(Refusal::Observed(observed)) => Error::CertificateRefused {
            reason: "only looked at".to_owned(),
            subject: String::new(),
            observed: Box::new(*observed),
        },
        None => Error::Tls {
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{BelievedLeaf, MAX_PEM_BYTES, Trust, client_config, is_version_1};
    use crate::vsphere::error::Error;

    #[test]
    fn version_1_is_told_from_version_3() {
        assert!(is_version_1(&[
            0x30, 0x06, 0x30, 0x04, 0x02, 0x01, 0x05, 0x30
        ]));
        assert!(is_version_1(&[
            0x30, 0x82, 0x01, 0x00, 0x30, 0x81, 0xf0, 0x02, 0x01
        ]));
        assert!(!is_version_1(&[
            0x30, 0x06, 0x30, 0x05, 0xa0, 0x03, 0x02, 0x01, 0x02
        ]));
        for junk in [
            &[][..],
            &[0x30],
            &[0x30, 0x84],
            &[0x31, 0x00],
            &[0x30, 0x02, 0x30],
        ] {
            assert!(!is_version_1(junk));
        }
    }

    #[test]
    fn a_useless_file_of_authorities_is_named() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"no certificate here\n").unwrap();
        let missing = file.path().with_extension("missing");
        for path in [file.path().to_owned(), missing] {
            let trust = Trust::CaFile(path.clone());
            let error = client_config(&trust, &BelievedLeaf::default()).unwrap_err();
            assert!(matches!(error, Error::CaFile { .. }), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()));
        }
        file.as_file().set_len(MAX_PEM_BYTES + 1).unwrap();
        let trust = Trust::CaFile(file.path().to_owned());
        let error = client_config(&trust, &BelievedLeaf::default()).unwrap_err();
        assert!(
            matches!(&error, Error::CaFile { why, .. } if why.contains("longer than")),
            "{error}"
        );
    }
}
