//! The certificate the stand-ins show.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::digest;

use crate::{Error, Lab};

/// Makes a key and a self-signed v3 certificate in a folder.
pub(crate) fn make(folder: &Path) -> Result<(), Error> {
    let failed = |source| Error::Certificate { source };
    let names = ["localhost", "127.0.0.1", "::1"].map(String::from);
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "vcenter.lab.test");
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    for (name, content) in [
        ("key.pem", key.serialize_pem()),
        ("cert.pem", certificate.pem()),
    ] {
        let path = folder.join(name);
        fs::write(&path, content).map_err(Error::io("write", path))?;
    }
    Ok(())
}

/// The first certificate of a PEM text, in DER form.
fn first_der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    let digits: String = body.split_whitespace().collect();
    STANDARD.decode(digits).ok()
}

/// Pairs of upper-case digits with colons between them.
fn colons(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    pairs.join(":")
}

impl Lab {
    /// The certificate in PEM form.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn certificate_pem(&self) -> Result<String, Error> {
        read(self.tls_file("cert.pem"))
    }

    /// The private key in PEM form (PKCS #8).
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn private_key_pem(&self) -> Result<String, Error> {
        read(self.tls_file("key.pem"))
    }

    /// SHA-1 of the certificate in DER form, as `AA:BB:...`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::NoCertificate`].
    pub fn thumbprint_sha1(&self) -> Result<String, Error> {
        self.thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY)
    }

    /// SHA-256 of the certificate in DER form, as `AA:BB:...`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::NoCertificate`].
    pub fn thumbprint_sha256(&self) -> Result<String, Error> {
        self.thumbprint(&digest::SHA256)
    }

    fn thumbprint(&self, algorithm: &'static digest::Algorithm) -> Result<String, Error> {
        let der = first_der(&self.certificate_pem()?).ok_or_else(|| Error::NoCertificate {
            path: self.tls_file("cert.pem"),
        })?;
        Ok(colons(digest::digest(algorithm, &der).as_ref()))
    }

    fn tls_file(&self, name: &str) -> PathBuf {
        self.root().join("tls").join(name)
    }
}

fn read(path: PathBuf) -> Result<String, Error> {
    fs::read_to_string(&path).map_err(Error::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteSpec;

    #[test]
    fn the_certificate_is_v3_and_has_thumbprints() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        let der = first_der(&lab.certificate_pem().unwrap()).unwrap();
        // The version field: [0] { INTEGER 2 }, which means v3.
        assert!(der.windows(5).any(|bytes| bytes == [0xa0, 3, 2, 1, 2]));
        for name in [b"localhost".as_slice(), &[0x87, 4, 127, 0, 0, 1]] {
            assert!(der.windows(name.len()).any(|bytes| bytes == name));
        }
        assert!(lab.private_key_pem().unwrap().contains("BEGIN PRIVATE KEY"));
        let (sha1, sha256) = (
            lab.thumbprint_sha1().unwrap(),
            lab.thumbprint_sha256().unwrap(),
        );
        assert_eq!((sha1.len(), sha256.len()), (20 * 3 - 1, 32 * 3 - 1));
        assert!(
            sha1.bytes()
                .all(|byte| byte == b':' || byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
        );
    }

    #[test]
    fn a_damaged_certificate_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        fs::write(lab.tls_file("cert.pem"), "nothing").unwrap();
        assert!(matches!(
            lab.thumbprint_sha1(),
            Err(Error::NoCertificate { .. })
        ));
    }

    #[test]
    fn colons_are_upper_case() {
        assert_eq!(colons(&[0x0a, 0xff]), "0A:FF");
    }
}
