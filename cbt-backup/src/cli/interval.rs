//! Times between runs, as people write them.

use std::{fmt, str::FromStr, time::Duration};

/// A time such as `90s`, `5m`, `1h` or `1d`; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(Duration);

impl Interval {
    /// As a duration.
    pub fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit_seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err("a number and s, m, h or d are wanted".to_owned()),
        };
        let number: u64 = number.parse().map_err(|_| "no number".to_owned())?;
        let seconds = number.checked_mul(unit_seconds);
        match seconds.filter(|seconds| (1..=366 * 86_400).contains(seconds)) {
            Some(seconds) => Ok(Self(Duration::from_secs(seconds))),
            None => Err("from one second to a year".to_owned()),
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_nonsense_is_refused() {
        for (text, seconds) in [("1s", 1), ("5m", 300), ("2h", 7200), ("1d", 86_400)] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!(interval.duration().as_secs(), seconds, "{text}");
        }
        for text in [
            "",
            "5",
            "0s",
            "m",
            "-1m",
            "1.5h",
            "400d",
            "99999999999999999999s",
            "5 m",
        ] {
            assert!(text.parse::<Interval>().is_err(), "{text}");
        }
    }
}
