//! The form of the lines: `name=value`, comments, quotes, lists, patterns.

/// The key and the value of a line; `None` for an empty one and for a comment.
///
/// # Errors
///
/// Why the line is no setting.
pub(super) fn setting(line: &str) -> Result<Option<(&str, &str)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (key, value) = line.split_once('=').ok_or("no equals sign")?;
    let key = key.trim_end();
    if key.is_empty() || key.contains('#') {
        return Err("no name before the equals sign");
    }
    let value = value.trim_start();
    let Some(quoted) = value.strip_prefix('"') else {
        let bare = value.split('#').next().unwrap_or_default();
        return Ok(Some((key, bare.trim_end())));
    };
    let (inside, rest) = quoted.split_once('"').ok_or("no closing quote")?;
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(Some((key, inside)))
    } else {
        Err("text after the closing quote")
    }
}

/// The entries of a comma list.
pub(super) fn list(value: &str) -> Vec<String> {
    let entries = value.split(',').map(str::trim);
    entries
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect()
}

/// Does a pattern with `*`, `?` and `[...]` match a whole name? A bracket that is never closed
/// stands for itself.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut here) = (0, 0);
    // Where to go on when the rest does not match: after the last star, one character further.
    let mut retry: Option<(usize, usize)> = None;
    while here < name.len() {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at + 1, here));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], name[here]) {
            at += length;
            here += 1;
        } else if let Some((after, from)) = retry {
            retry = Some((after, from + 1));
            (at, here) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|character| *character == '*')
}

/// How much of the pattern stands for this one character; `None` if its head does not match.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match pattern.iter().position(|close| *close == ']') {
            Some(close) => in_set(&pattern[1..close], character).then_some(close + 1),
            None => (character == '[').then_some(1),
        },
        literal => (*literal == character).then_some(1),
    }
}

/// Is a character in a set such as `a-cx`?
fn in_set(mut set: &[char], character: char) -> bool {
    loop {
        match set {
            [] => return false,
            [low, '-', high, rest @ ..] => {
                if (*low..=*high).contains(&character) {
                    return true;
                }
                set = rest;
            }
            [single, rest @ ..] => {
                if *single == character {
                    return true;
                }
                set = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_names_values_quotes_and_comments() {
        assert_eq!(setting("  a = b c  # d"), Ok(Some(("a", "b c"))));
        assert_eq!(setting("a=\"b # c\" # d"), Ok(Some(("a", "b # c"))));
        assert_eq!(setting("a="), Ok(Some(("a", ""))));
        for nothing in ["", "   ", "# a=b", "\t#"] {
            assert_eq!(setting(nothing), Ok(None), "{nothing:?}");
        }
        for bad in ["a", "=b", "a # = b", "a=\"b", "a=\"b\" c"] {
            assert!(setting(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name) in [
            ("/dev/sda", "/dev/sda"),
            ("/dev/sd*", "/dev/sdab"),
            ("/dev/sd?", "/dev/sdb"),
            ("/dev/sd[a-c]", "/dev/sdb"),
            ("/dev/sd[xb]", "/dev/sdb"),
            ("*a*b", "aabab"),
            ("[", "["),
            ("*", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("/dev/sd", "/dev/sda"),
            ("/dev/sd?", "/dev/sd"),
            ("/dev/sd[a-c]", "/dev/sdd"),
            ("[]", "]"),
            ("", "a"),
            ("*a", "ab"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
