//! Texts of the server as they go into errors, events and logs: never long, and of one line.

/// The longest text of the server that is kept for people. Real ones stay far below.
pub(crate) const MAX_TEXT_CHARS: usize = 1000;

/// `text`, cut after [`MAX_TEXT_CHARS`] characters; an ellipsis, the last of them, tells of it. Line
/// breaks become spaces: else a server could add lines that look like ours.
pub(crate) fn short(text: &str) -> String {
    let chars = text.chars().map(|c| match c {
        '\n' | '\r' => ' ',
        other => other,
    });
    if text.chars().nth(MAX_TEXT_CHARS).is_none() {
        return chars.collect();
    }
    let kept = chars.take(MAX_TEXT_CHARS - 1);
    kept.chain(std::iter::once('…')).collect()
}

#[cfg(test)]
mod tests {
    use super::{MAX_TEXT_CHARS, short};

    #[test]
    fn only_what_is_too_long_is_cut_and_says_so() {
        let longest = "é".repeat(MAX_TEXT_CHARS);
        assert_eq!(short(&longest), longest);
        let cut = short(&(longest.clone() + "x"));
        assert_eq!(cut.chars().count(), MAX_TEXT_CHARS);
        assert!(cut.ends_with("é…"), "{cut}");
        assert_eq!(short(""), "");
        assert_eq!(short("one\r\nerror: two"), "one  error: two");
    }
}
