//! Tags: words that people give to points, for retention.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest tag in bytes.
const MAX_BYTES: usize = 64;
/// What a tag may hold besides ASCII letters and digits.
const MARKS: &str = "-_.:/+=@";
/// Most tags of one point.
pub const MAX_TAGS: usize = 16;

/// A word that somebody has given to a point. One that was read from a repository is as it stands there: it is
/// shown like any other text from outside.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(String);

impl FromStr for Tag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !(1..=MAX_BYTES).contains(&text.len()) {
            return Err(format!("a tag has 1 to {MAX_BYTES} characters"));
        }
        let is_known = |c: char| c.is_ascii_alphanumeric() || MARKS.contains(c);
        if !text.chars().all(is_known) {
            return Err(format!(
                "a tag is of letters from A to Z, digits and {MARKS}"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Tags in one line.
pub fn join_tags<'t>(tags: impl IntoIterator<Item = &'t Tag>) -> String {
    let words: Vec<&str> = tags.into_iter().map(|tag| tag.0.as_str()).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_tags_and_what_could_deceive_is_not() {
        for text in ["gold", "before-update", "change:4711", "a", &"x".repeat(64)] {
            let tag: Tag = text.parse().unwrap();
            assert_eq!(tag.to_string(), text);
        }
        for text in [
            "",
            " ",
            "a b",
            "a,b",
            "\u{1b}[2J",
            "g\u{f6}ld",
            "\u{202e}dlog",
            &"x".repeat(65),
        ] {
            assert!(text.parse::<Tag>().is_err(), "{text:?}");
        }
    }

    /// A later build may allow more, and its points must stay readable.
    #[test]
    fn a_tag_of_another_build_is_read_as_it_is() {
        let tag: Tag = serde_json::from_str("\"a b\"").unwrap();
        assert_eq!(serde_json::to_string(&tag).unwrap(), "\"a b\"");
    }
}
