//! Identities: points, sessions, VMs, packs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// A text is not an id of the kind that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}")]
pub struct BadId {
    /// What was expected.
    kind: &'static str,
}

macro_rules! ulid_type {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Ulid);

        impl $name {
            /// A new one; its random part decides, its time part is a convenience.
            pub fn generate() -> Self {
                Self(Ulid::generate())
            }

            /// The 16 bytes, big-endian.
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_bytes()
            }

            /// The id with these 16 bytes, big-endian.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Ulid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0.to_string())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0.to_string())
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            /// Takes the one canonical spelling only: a name means one object.
            fn from_str(text: &str) -> Result<Self, BadId> {
                match Ulid::from_string(text) {
                    Ok(id) if id.to_string() == text => Ok(Self(id)),
                    _ => Err(BadId { kind: $kind }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;

            fn try_from(text: String) -> Result<Self, BadId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.to_string()
            }
        }
    };
}

ulid_type!(
    /// A point: one backup of one VM at one moment.
    PointId,
    "point id"
);
ulid_type!(
    /// A session: one writer or reader at work.
    SessionId,
    "session id"
);
impl SessionId {
    /// When it was made, in milliseconds since 1970, by the clock of its machine: for people.
    pub fn made_ms(self) -> i64 {
        i64::try_from(self.0.timestamp_ms()).unwrap_or(i64::MAX)
    }
}

ulid_type!(
    /// A repository, a key slot, a sweep or a list.
    ObjectId,
    "object id"
);

/// A VM, as object names tell it: 16 hex digits of a keyed hash, so listings leak no names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VmKey(String);

impl VmKey {
    pub(crate) fn from_hash(bytes: [u8; 8]) -> Self {
        Self(hex(&bytes))
    }

    /// The 16 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for VmKey {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        match unhex::<8>(text) {
            Some(bytes) => Ok(Self::from_hash(bytes)),
            None => Err(BadId { kind: "VM key" }),
        }
    }
}

impl TryFrom<String> for VmKey {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<VmKey> for String {
    fn from(key: VmKey) -> Self {
        key.0
    }
}

/// What a pack holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum PackKind {
    /// Blocks of disks.
    #[serde(rename = "d")]
    Data,
    /// Nodes, usage tables and small files.
    #[serde(rename = "n")]
    Node,
}

impl PackKind {
    /// The letter in names and headers.
    pub const fn letter(self) -> u8 {
        match self {
            Self::Data => b'd',
            Self::Node => b'n',
        }
    }

    /// The kind with this letter.
    pub const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'd' => Some(Self::Data),
            b'n' => Some(Self::Node),
            _ => None,
        }
    }
}

/// One pack of the repository.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PackId {
    /// What it holds.
    pub kind: PackKind,
    /// The session that wrote it.
    pub session: SessionId,
    /// Its number among the packs of this kind and session.
    pub seq: u32,
}

impl fmt::Display for PackId {
    /// The object's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = char::from(self.kind.letter());
        write!(f, "pack/{}/{letter}{:08x}", self.session, self.seq)
    }
}

/// Lower case hex digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| {
            [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]
        })
        .map(char::from)
        .collect()
}

/// The `N` bytes of exactly `2 * N` lower case hex digits.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    unhex_all(text)?.try_into().ok()
}

/// The bytes of lower-case hex digits, as many as there are.
pub(crate) fn unhex_all(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Byte strings of fixed length as hex text in JSON.
pub(crate) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<const N: usize, S: Serializer>(
        bytes: &[u8; N],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::hex(bytes))
    }

    pub(crate) fn deserialize<'de, const N: usize, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; N], D::Error> {
        let text = String::deserialize(deserializer)?;
        super::unhex(&text).ok_or_else(|| D::Error::custom("wrong number or kind of hex digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let id = PointId::generate();
        let text = id.to_string();
        assert_eq!(text.parse(), Ok(id));
        assert!(text.to_lowercase().parse::<PointId>().is_err());
        assert!("".parse::<PointId>().is_err());
        assert!("AF0".parse::<VmKey>().is_err());
        assert!("00000000000000AF".parse::<VmKey>().is_err());
    }

    #[test]
    fn hex_goes_both_ways() {
        assert_eq!(hex(&[0, 0xaf, 9]), "00af09");
        assert_eq!(unhex::<3>("00af09"), Some([0, 0xaf, 9]));
        assert_eq!(unhex::<3>("00af0"), None);
        assert_eq!(unhex::<1>("+1"), None);
    }
}
