//! The subject of a certificate, for people who are to recognise it.

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::vsphere::xml::short;

/// What is said of a certificate whose subject can't be read.
const UNKNOWN: &str = "of an unknown subject";
/// More parts of a name than this are not shown.
const MAX_PARTS: usize = 16;

/// The kinds of parts that are named, by their object identifiers (RFC 4514, 3).
const KINDS: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "E"),
];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BMP_STRING: u8 = 0x1e;

/// The subject of `leaf`, such as `CN=vc.example, O=Example`. It is the server's own word and
/// proves nothing.
pub(in crate::vsphere) fn subject(leaf: &CertificateDer<'_>) -> String {
    // The library does not tell subjects of leaves, but it does of authorities.
    let mut store = RootCertStore::empty();
    let name = match store.add(leaf.clone()) {
        Ok(()) => store
            .roots
            .first()
            .map(|root| root.subject.as_ref().to_vec()),
        Err(_) => None,
    };
    match name.map(|name| describe(&name)) {
        Some(text) if !text.is_empty() => short(&text),
        _ => UNKNOWN.to_owned(),
    }
}

/// The content of an `RDNSequence`: sets of pairs of kind and value.
pub(in crate::vsphere) fn describe(mut sets: &[u8]) -> String {
    let mut parts = Vec::new();
    while let Some((SET, mut pairs, rest)) = element(sets) {
        sets = rest;
        while let Some((SEQUENCE, pair, rest)) = element(pairs) {
            pairs = rest;
            if let Some(part) = part(pair).filter(|_| parts.len() < MAX_PARTS) {
                parts.push(part);
            }
        }
    }
    parts.join(", ")
}

fn part(pair: &[u8]) -> Option<String> {
    let (OBJECT_IDENTIFIER, kind, rest) = element(pair)? else {
        return None;
    };
    let (tag, value, _) = element(rest)?;
    let (_, name) = KINDS.iter().find(|(known, _)| *known == kind)?;
    let text = if tag == BMP_STRING {
        let units = value
            .chunks_exact(2)
            .map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
        char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    } else {
        String::from_utf8_lossy(value).into_owned()
    };
    // It goes to a terminal: whatever is not plain is spelled out.
    Some(format!("{name}={}", text.escape_debug()))
}

/// Tag, content and what follows of a DER element; nothing for a broken one.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => {
            let (&length, rest) = rest.split_first()?;
            (usize::from(length), rest)
        }
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use rcgen::{CertificateParams, DnType, KeyPair};
    use rustls::pki_types::CertificateDer;

    use super::{UNKNOWN, describe, subject};

    fn certificate(parts: &[(DnType, &str)]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(vec!["vc.example".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, text) in parts {
            params.distinguished_name.push(kind.clone(), *text);
        }
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_subject_is_told_in_its_parts() {
        let named = certificate(&[
            (DnType::CountryName, "DE"),
            (DnType::OrganizationName, "Beispiel für \u{1b}[31mrot"),
            (DnType::CommonName, "vc.example"),
        ]);
        assert_eq!(
            subject(&named),
            "C=DE, O=Beispiel für \\u{1b}[31mrot, CN=vc.example"
        );
        let long = certificate(&[(DnType::CommonName, &"x".repeat(5000))]);
        assert_eq!(subject(&long).chars().count(), 1000);
        assert_eq!(subject(&certificate(&[])), UNKNOWN);
        assert_eq!(subject(&CertificateDer::from(vec![1, 2, 3])), UNKNOWN);
    }

    proptest! {
        #[test]
        fn any_bytes_are_described_without_a_panic(bytes in any::<Vec<u8>>()) {
            describe(&bytes);
            describe(&[&[0x31, 0x20, 0x30, 0x1e, 0x06, 3, 0x55, 4, 3][..], &bytes].concat());
        }
    }
}
