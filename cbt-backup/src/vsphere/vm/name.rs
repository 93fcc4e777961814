//! Names of the inventory, in which three characters are written otherwise.

/// Undoes what the API does to `/`, `\` and `%` in names of the inventory ("vsphere-api.md"
/// 1.7).
pub(in crate::vsphere) fn unescape_name(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let code = after.get(..2).map(str::to_ascii_lowercase);
        let (c, used) = match code.as_deref() {
            Some("2f") => ('/', 2),
            Some("5c") => ('\\', 2),
            Some("25") => ('%', 2),
            _ => ('%', 0),
        };
        plain.push(c);
        rest = after.get(used..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// A name as the API writes it.
pub(in crate::vsphere) fn escape_name(name: &str) -> String {
    let mut escaped = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '%' => escaped.push_str("%25"),
            '/' => escaped.push_str("%2f"),
            '\\' => escaped.push_str("%5c"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{escape_name, unescape_name};

    #[test]
    fn names_are_unescaped_once() {
        for (sent, plain) in [
            ("app01", "app01"),
            ("a%2fb%5cc%25d", "a/b\\c%d"),
            ("%252f", "%2f"),
            ("100%", "100%"),
            ("%2", "%2"),
            ("%é", "%é"),
            ("%2F", "/"),
        ] {
            assert_eq!(unescape_name(sent), plain);
        }
    }

    #[test]
    fn what_is_escaped_comes_back() {
        for name in ["app01", "a/b\\c%d", "%2f", "é & <"] {
            assert_eq!(unescape_name(&escape_name(name)), name);
        }
        assert_eq!(escape_name("a/b\\c%"), "a%2fb%5cc%25");
    }
}
