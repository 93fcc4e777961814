//! The time as vim25 writes it.

use jiff::{Timestamp, Unit};

/// The wall clock in UTC with at most six digits of a second, trailing zeros dropped ("vSphere API
/// reference", 1.7).
pub fn timestamp() -> String {
    let now = Timestamp::now();
    now.round(Unit::Microsecond).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_end_in_z_with_at_most_six_digits() {
        let text = timestamp();
        let text = text.strip_suffix('Z').unwrap();
        let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
        assert!(fraction.len() <= 6 && text.as_bytes()[10] == b'T', "{text}");
    }
}
