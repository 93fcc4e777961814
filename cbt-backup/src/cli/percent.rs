//! Shares, as people write them.

use std::{fmt, str::FromStr};

/// A share between 0 and 100 %, both left out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(f64);

impl Percent {
    /// As a number between 0 and 1.
    pub fn share(self) -> f64 {
        self.0 / 100.0
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim_end();
        let percent: f64 = number.parse().map_err(|_| "no number".to_owned())?;
        // Less than one in a hundred million makes no difference on any disk.
        if (1e-6..=100.0 - 1e-6).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err("above 0 and below 100".to_owned())
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Percent;

    #[test]
    fn shares_are_read_and_nonsense_is_refused() {
        for (text, share) in [("99", 0.99), ("0.1", 0.001), ("5%", 0.05), ("0.1 %", 0.001)] {
            let percent: Percent = text.parse().unwrap();
            assert!((percent.share() - share).abs() < 1e-12, "{text}");
        }
        for text in ["", "0", "100", "-1", "nan", "inf", "1e-9", "x", "%"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
