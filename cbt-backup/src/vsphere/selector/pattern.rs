//! Patterns over names and paths: globs and regular expressions.

use regex::{Regex, RegexBuilder};

/// A pattern that is larger than this when compiled is refused.
const MAX_COMPILED_BYTES: usize = 1 << 20;

/// A pattern. Matching takes time in proportion to the text, whatever the pattern.
#[derive(Debug, Clone)]
pub(in crate::vsphere) struct Pattern {
    regex: Regex,
}

impl Pattern {
    /// A glob over a name: `*` any text, `?` any character, `[a-z]` and `[!a-z]` one of them,
    /// `\` before a character takes it as it is.
    pub(super) fn glob(text: &str) -> Result<Self, String> {
        Self::compile(&translate(text, ".", ".*")?)
    }

    /// The same over a path, which begins with a slash: `*` stays between two slashes, `**`
    /// does not.
    pub(super) fn path_glob(text: &str) -> Result<Self, String> {
        let absolute = if text.starts_with(['/', '*']) {
            text.to_owned()
        } else {
            format!("/{text}")
        };
        Self::compile(&translate(&absolute, "[^/]", "[^/]*")?)
    }

    /// A regular expression, which may match anywhere in the text.
    pub(super) fn regex(text: &str) -> Result<Self, String> {
        Self::compile(text)
    }

    fn compile(regex: &str) -> Result<Self, String> {
        RegexBuilder::new(regex)
            .size_limit(MAX_COMPILED_BYTES)
            .build()
            .map(|regex| Self { regex })
            .map_err(|error| format!("the pattern is not understood: {}", last_line(&error)))
    }

    /// True if `text` follows the pattern.
    pub(in crate::vsphere) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// The reason; what stands above it draws the pattern.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// A glob as a regular expression; `one` and `many` are what `?` and `*` stand for.
fn translate(glob: &str, one: &str, many: &str) -> Result<String, String> {
    let mut regex = String::from("(?s)^");
    let mut rest = glob.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if rest.peek() == Some(&'*') => {
                rest.next();
                regex.push_str(".*");
            }
            '*' => regex.push_str(many),
            '?' => regex.push_str(one),
            '[' => {
                let mut set = String::new();
                loop {
                    match rest.next() {
                        Some(']') if !set.is_empty() => break,
                        Some('!') if set.is_empty() => set.push('^'),
                        Some(c @ ('\\' | '[' | ']' | '^' | '&' | '~')) => set.extend(['\\', c]),
                        Some(c) => set.push(c),
                        None => return Err("a [ without its ]".to_owned()),
                    }
                }
                regex.extend(["[", &set, "]"]);
            }
            '\\' => match rest.next() {
                Some(c) => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
                None => return Err("a \\ with nothing behind it".to_owned()),
            },
            c => regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    Ok(regex)
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn globs_match_whole_names() {
        for (glob, matching, others) in [
            (
                "app*",
                &["app", "app01", "app/1"][..],
                &["App01", "my app"][..],
            ),
            ("app?", &["app1", "appé"], &["app", "app01"]),
            ("a[0-9]b", &["a1b"], &["axb", "a12b"]),
            ("a[!0-9]b", &["axb"], &["a1b"]),
            ("a.b+(c)", &["a.b+(c)"], &["axb+(c)"]),
            (r"a\*", &["a*"], &["ab"]),
            ("[]]", &["]"], &["a"]),
        ] {
            let pattern = Pattern::glob(glob).unwrap();
            for name in matching {
                assert!(pattern.matches(name), "{glob} {name}");
            }
            for name in others {
                assert!(!pattern.matches(name), "{glob} {name}");
            }
        }
    }

    #[test]
    fn in_paths_one_star_stays_in_its_folder() {
        let is_match = |glob, path| Pattern::path_glob(glob).unwrap().matches(path);
        assert!(is_match("/DC0/vm/*", "/DC0/vm/app01"));
        assert!(is_match("DC0/vm/*", "/DC0/vm/app01"));
        assert!(!is_match("/DC0/vm/*", "/DC0/vm/Prod/app01"));
        assert!(is_match("/DC0/vm/**", "/DC0/vm/Prod/app01"));
        assert!(is_match("**/app*", "/DC0/vm/Prod/app01"));
        assert!(!is_match("/DC?/app", "/DC/x/app"));
    }

    #[test]
    fn a_pattern_is_bounded() {
        assert!(Pattern::regex("(a{1000}){1000}").is_err());
        assert!(Pattern::regex(r"^app\d+$").unwrap().matches("app12"));
    }
}
