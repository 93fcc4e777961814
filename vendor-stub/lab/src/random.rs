//! Random identities, in the forms vSphere writes them.

use std::fmt::Write as _;

use ring::rand::{SecureRandom, SystemRandom};

use crate::Error;

/// Sixteen bytes from the system.
pub(crate) fn sixteen() -> Result<[u8; 16], Error> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_unspecified| Error::Random)?;
    Ok(bytes)
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A UUID as in `config.instanceUuid`: `5029a3b2-....-....-....-............`.
pub(crate) fn uuid() -> Result<String, Error> {
    Ok(dashed(&hex(&sixteen()?)))
}

/// A disk UUID as in `backing.uuid`: `6000C29x-....`, the prefix VMware gives to disks.
pub(crate) fn disk_uuid() -> Result<String, Error> {
    let digits = hex(&sixteen()?);
    Ok(dashed(&format!("6000c29{}", &digits[7..])).replacen("6000c29", "6000C29", 1))
}

/// A content id as in `backing.contentId`: 32 digits.
pub(crate) fn content_id() -> Result<String, Error> {
    Ok(hex(&sixteen()?))
}

/// Puts the four dashes of a UUID into 32 digits.
pub(crate) fn dashed(digits: &str) -> String {
    [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_shape() {
        let uuid = disk_uuid().unwrap();
        assert!(uuid.starts_with("6000C29"));
        let lengths: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_ne!(self::uuid().unwrap(), self::uuid().unwrap());
    }
}
