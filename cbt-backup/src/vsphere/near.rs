//! Names that are almost the one asked for.

/// Longer names are compared by their start only.
const MAX_CHARS: usize = 128;
/// More suggestions than this help nobody.
const MAX_SUGGESTIONS: usize = 5;

/// The names nearest to `wanted`, best first, none that is quite different.
pub(super) fn near<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> Vec<String> {
    let wanted: Vec<char> = fold(wanted);
    let limit = (wanted.len() / 3).max(2);
    let mut found: Vec<(usize, &str)> = names
        .map(|name| (distance(&wanted, &fold(name)), name))
        .filter(|(distance, _)| *distance <= limit)
        .collect();
    found.sort_unstable();
    found.dedup();
    let best = found.into_iter().take(MAX_SUGGESTIONS);
    best.map(|(_, name)| name.to_owned()).collect()
}

fn fold(name: &str) -> Vec<char> {
    let lower = name.chars().flat_map(char::to_lowercase);
    lower.take(MAX_CHARS).collect()
}

/// Levenshtein's distance, one row at a time.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b) {
            let best = (diagonal + usize::from(from != to))
                .min(left + 1)
                .min(*cell + 1);
            diagonal = *cell;
            *cell = best;
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::{distance, near};

    #[test]
    fn distances_count_edits() {
        let of = |a: &str, b: &str| {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            distance(&a, &b)
        };
        assert_eq!(of("kitten", "sitting"), 3);
        assert_eq!(of("", "abc"), 3);
        assert_eq!(of("abc", ""), 3);
        assert_eq!(of("abc", "abc"), 0);
    }

    #[test]
    fn typing_errors_are_found_and_strangers_are_not() {
        let names = ["app01", "app02", "database", "App-01"];
        assert_eq!(
            near("app1", names.into_iter()),
            ["app01", "App-01", "app02"]
        );
        assert!(near("mail", names.into_iter()).is_empty());
    }
}
