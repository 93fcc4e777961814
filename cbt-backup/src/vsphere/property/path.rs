//! Paths of properties, as partial updates name them: with keys of list items in brackets.

use std::fmt;

/// The key of an item of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ItemKey {
    /// A number, such as that of a device: `[2000]`.
    Number(i64),
    /// A text: `["ctkEnabled"]`.
    Text(String),
}

/// One step of a path: a field, and which item of it where it is a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathStep {
    /// The field.
    pub name: String,
    /// The item.
    pub key: Option<ItemKey>,
}

/// A path such as `config.hardware.device[2000].backing` in its steps ("vSphere API
/// reference", 2.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PropertyPath {
    /// From the object inwards, at least one.
    pub steps: Vec<PathStep>,
}

impl PropertyPath {
    /// Takes a path apart; nothing if it is none. A text in brackets may hold dots and
    /// brackets; it ends with the quote before the closing bracket.
    pub fn parse(path: &str) -> Option<Self> {
        let mut steps = Vec::new();
        let mut rest = path;
        loop {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() || name.contains(['"', ']']) {
                return None;
            }
            let (key, after) = match after.strip_prefix('[') {
                Some(inside) => key(inside).map(|(key, after)| (Some(key), after))?,
                None => (None, after),
            };
            steps.push(PathStep {
                name: name.to_owned(),
                key,
            });
            match after.strip_prefix('.') {
                Some(next) => rest = next,
                None if after.is_empty() => return Some(Self { steps }),
                None => return None,
            }
        }
    }

    /// True if this path is `asked` or leads further in from there.
    pub fn is_within(&self, asked: &Self) -> bool {
        self.steps.len() >= asked.steps.len()
            && self.steps.iter().zip(&asked.steps).all(|(step, asked)| {
                step.name == asked.name && (asked.key.is_none() || step.key == asked.key)
            })
    }
}

/// The key after an opening bracket, and what follows the closing one.
fn key(inside: &str) -> Option<(ItemKey, &str)> {
    if let Some(quoted) = inside.strip_prefix('"') {
        let (text, after) = quoted.split_once("\"]")?;
        return Some((ItemKey::Text(text.to_owned()), after));
    }
    let (number, after) = inside.split_once(']')?;
    Some((ItemKey::Number(number.parse().ok()?), after))
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            if index > 0 {
                f.write_str(".")?;
            }
            f.write_str(&step.name)?;
            match &step.key {
                Some(ItemKey::Number(number)) => write!(f, "[{number}]")?,
                Some(ItemKey::Text(text)) => write!(f, "[\"{text}\"]")?,
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ItemKey, PropertyPath};

    #[test]
    fn paths_are_taken_apart_and_put_together() {
        for path in [
            "name",
            "config.hardware.device[2000]",
            "config.hardware.device[2000].backing.fileName",
            "config.extraConfig[\"scsi0:0.ctkEnabled\"].value",
            "a[-1]",
        ] {
            assert_eq!(PropertyPath::parse(path).unwrap().to_string(), path);
        }
        let path = PropertyPath::parse("config.extraConfig[\"a.b[1]\"].value").unwrap();
        assert_eq!(path.steps.len(), 3);
        assert_eq!(path.steps[1].key, Some(ItemKey::Text("a.b[1]".to_owned())));
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "", ".", "a.", ".a", "a[", "a[]", "a[x]", "a[\"x]", "a[1]b", "a]", "a[1", "[1]",
        ] {
            assert_eq!(PropertyPath::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_is_within_what_was_asked() {
        let path = |text| PropertyPath::parse(text).unwrap();
        let device = path("config.hardware.device[2000].backing");
        assert!(device.is_within(&path("config")));
        assert!(device.is_within(&path("config.hardware.device")));
        assert!(device.is_within(&path("config.hardware.device[2000]")));
        assert!(!device.is_within(&path("config.hardware.device[2001]")));
        assert!(!device.is_within(&path("config.hardware.dev")));
        assert!(!path("config").is_within(&device));
    }
}
