//! Short texts that people, files and servers give: addresses, paths, selectors, certificates.

use rustls::pki_types::CertificateDer;

use crate::vsphere::tls::subject;
use crate::vsphere::{
    DatastorePath, HostVersion, PropertyPath, ProxyAddress, Selector, ServerAddress, Thumbprint,
};

/// Reads `text` as everything it may be. What was read is said in a form that reads the same.
pub fn text(text: &str) {
    if let Ok(address) = text.parse::<ServerAddress>() {
        assert_eq!(address.to_string().parse().ok(), Some(address));
    }
    if let Ok(path) = text.parse::<DatastorePath>() {
        assert_eq!(path.to_string().parse().ok(), Some(path));
    }
    if let Ok(thumbprint) = text.parse::<Thumbprint>() {
        assert_eq!(thumbprint.to_string().parse().ok(), Some(thumbprint));
    }
    if let Some(path) = PropertyPath::parse(text) {
        assert_eq!(PropertyPath::parse(&path.to_string()), Some(path));
    }
    if let Ok(version) = text.parse::<HostVersion>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    if let Ok(selector) = text.parse::<Selector>() {
        assert!(!selector.as_str().is_empty());
    }
    if let Ok(proxy) = text.parse::<ProxyAddress>() {
        assert!(!proxy.to_string().is_empty());
    }
}

/// Reads the subject of what a server shows as its certificate.
pub fn certificate(der: &[u8]) {
    let subject = subject::subject(&CertificateDer::from(der));
    assert!(!subject.is_empty() && subject.chars().count() <= 1000);
    assert!(!subject.contains(char::is_control));
    let described = subject::describe(der);
    assert!(!described.contains(char::is_control));
}
