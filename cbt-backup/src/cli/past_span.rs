//! Spans of time that reach back from now, as people write them.

use std::{fmt, str::FromStr};

use jiff::{Span, Timestamp, tz::TimeZone};

use crate::repo::before;

/// Longer than any point is kept, and far from the ends of the calendar.
const MAX_YEARS: i16 = 1000;

/// A span such as `36h`, `10d` or `1y`; not below zero, and at most a thousand years.
#[derive(Clone, Copy, Debug)]
pub struct PastSpan(Span);

impl PastSpan {
    /// As a span.
    pub fn span(self) -> Span {
        self.0
    }
}

impl FromStr for PastSpan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let span: Span = text
            .parse()
            .map_err(|_| "a span such as 36h, 10d, 2w, 3mo or 1y is wanted".to_owned())?;
        let now = Timestamp::now();
        let earliest = before(now, Span::new().years(MAX_YEARS), &TimeZone::UTC);
        let begin = before(now, span, &TimeZone::UTC);
        match (begin, earliest) {
            (Ok(begin), Ok(earliest)) if (earliest..=now).contains(&begin) => Ok(Self(span)),
            _ => Err(format!("from 0s to {MAX_YEARS}y is allowed")),
        }
    }
}

impl fmt::Display for PastSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::PastSpan;

    #[test]
    fn spans_of_a_calendar_are_read_and_others_refused() {
        for text in ["0s", "36h", "10d", "2w", "3mo", "1y", "1000y", "1y 2mo"] {
            assert!(text.parse::<PastSpan>().is_ok(), "{text}");
        }
        for text in ["1001y", "19998y", "-1d", "2w ago"] {
            let error = text.parse::<PastSpan>().unwrap_err();
            assert!(error.contains("1000y"), "{text}: {error}");
        }
        for text in ["", "soon", "10"] {
            assert!(text.parse::<PastSpan>().is_err(), "{text}");
        }
    }
}
