//! The thumbprint: the digest of a server's certificate, as people compare it.

use std::fmt;
use std::str::FromStr;

use ring::digest;

use super::error::Error;

const SHA1_BYTES: usize = 20;
const SHA256_BYTES: usize = 32;

/// The digest of one certificate in DER form.
///
/// Written as upper case byte pairs between colons; read with or without colons, in either
/// case ("vsphere-api.md" 1.13).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thumbprint {
    /// The older form, which VDDK asks for.
    Sha1([u8; SHA1_BYTES]),
    /// The form to pin on.
    Sha256([u8; SHA256_BYTES]),
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: &[u8] = match self {
            Self::Sha1(bytes) => bytes,
            Self::Sha256(bytes) => bytes,
        };
        for (index, byte) in bytes.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Thumbprint {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let bad = || Error::BadThumbprint {
            given: given.chars().take(128).collect(),
        };
        let bytes = hex_bytes(given.trim()).ok_or_else(bad)?;
        if let Ok(sha1) = <[u8; SHA1_BYTES]>::try_from(bytes.as_slice()) {
            return Ok(Self::Sha1(sha1));
        }
        let sha256 = <[u8; SHA256_BYTES]>::try_from(bytes.as_slice()).map_err(|_| bad())?;
        Ok(Self::Sha256(sha256))
    }
}

/// Pairs of hex digits, all with or all without colons between them.
fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    if text.len() > 3 * SHA256_BYTES || !text.is_ascii() {
        return None;
    }
    let pair = |pair: &str| {
        let digits = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
        digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
    };
    if text.contains(':') {
        return text.split(':').map(pair).collect();
    }
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|p| pair(std::str::from_utf8(p).ok()?)).collect()
}

/// Both digests of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thumbprints {
    /// SHA-1, for VDDK.
    pub sha1: Thumbprint,
    /// SHA-256, for pinning.
    pub sha256: Thumbprint,
}

impl Thumbprints {
    /// The digests of the certificate `der`.
    pub(super) fn of(der: &[u8]) -> Self {
        let mut sha1 = [0; SHA1_BYTES];
        let mut sha256 = [0; SHA256_BYTES];
        sha1.copy_from_slice(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, der).as_ref());
        sha256.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        Self {
            sha1: Thumbprint::Sha1(sha1),
            sha256: Thumbprint::Sha256(sha256),
        }
    }

    /// True when `pin` is one of the two.
    pub fn matches(&self, pin: &Thumbprint) -> bool {
        *pin == self.sha1 || *pin == self.sha256
    }
}

#[cfg(test)]
mod tests {
    use super::{Thumbprint, Thumbprints};

    /// Digests of "abc", from the standard's own examples.
    const SHA1_ABC: &str = "A9:99:3E:36:47:06:81:6A:BA:3E:25:71:78:50:C2:6C:9C:D0:D8:9D";
    const SHA256_ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_are_those_of_the_standard() {
        let of = Thumbprints::of(b"abc");
        assert_eq!(of.sha1.to_string(), SHA1_ABC);
        assert!(of.matches(&SHA1_ABC.parse().unwrap()));
        assert!(of.matches(&SHA256_ABC.parse().unwrap()));
        assert!(!Thumbprints::of(b"abd").matches(&SHA1_ABC.parse().unwrap()));
    }

    #[test]
    fn both_lengths_and_cases_are_read_and_shown_one_way() {
        let sha1: Thumbprint = SHA1_ABC.to_lowercase().parse().unwrap();
        assert_eq!(sha1.to_string().len(), 59);
        let sha256: Thumbprint = SHA256_ABC.parse().unwrap();
        assert_eq!(sha256.to_string().len(), 95);
        assert_eq!(sha256.to_string().parse::<Thumbprint>().unwrap(), sha256);
    }

    #[test]
    fn other_text_is_refused() {
        let long = "00".repeat(64);
        let plus = SHA1_ABC.replace("A9", "+9");
        for given in ["", "zz", "A9:99", &SHA256_ABC[1..], &long, &plus, "é9"] {
            assert!(given.parse::<Thumbprint>().is_err(), "{given}");
        }
    }
}
