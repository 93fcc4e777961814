//! Bytes a second, as people write them.

use std::num::NonZeroU64;
use std::str::FromStr;

use serde::Deserialize;

/// A rate such as `20MiB`, `500K` or `1000000`, in bytes a second. K, M and G are of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Rate(pub NonZeroU64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let shift = match unit {
            "" | "B" => 0,
            "K" | "KiB" => 10,
            "M" | "MiB" => 20,
            "G" | "GiB" => 30,
            _ => return Err("the unit is KiB, MiB or GiB".to_owned()),
        };
        let number: u64 = number.parse().map_err(|_| "no number".to_owned())?;
        let bytes = number.checked_mul(1 << shift).and_then(NonZeroU64::new);
        bytes
            .map(Self)
            .ok_or_else(|| "a rate is more than 0 and less than 16 EiB".to_owned())
    }
}

impl TryFrom<String> for Rate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn rates_are_read_and_nonsense_is_refused() {
        for (text, bytes) in [
            ("1000", 1000),
            ("500K", 512_000),
            ("20MiB", 20 << 20),
            ("1G", 1 << 30),
        ] {
            assert_eq!(text.parse::<Rate>().unwrap().0.get(), bytes, "{text}");
        }
        for text in ["", "0", "MiB", "-1", "1.5M", "10mb", "99999999999G", "10 M"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
