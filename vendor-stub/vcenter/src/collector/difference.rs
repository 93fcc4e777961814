//! What changed between two readings of an object's properties.

use crate::value::{DataObject, Value};

/// The set properties of an object by path.
pub(super) type Properties = [(String, Value)];

/// The `PropertyChange`s from one reading to the next. With `partial`, changes inside a
/// property are told by themselves. `is_there` tells whether a path leads to something now.
pub(super) fn differences(
    old: &Properties,
    new: &Properties,
    partial: bool,
    is_there: impl Fn(&str) -> bool,
) -> Vec<DataObject> {
    let mut changes = Vec::new();
    for (path, value) in new {
        match value_at(old, path) {
            None if path.ends_with(']') => changes.push(change(path, "add", Some(value))),
            Some(before) if before == value => {}
            Some(before) if partial => nested(&mut changes, path, before, value),
            None | Some(_) => changes.push(change(path, "assign", Some(value))),
        }
    }
    for (path, _) in old {
        if value_at(new, path).is_none() {
            let element = path.rfind(']').map(|end| &path[..=end]);
            changes.push(match element {
                Some(element) if element == path => change(path, "remove", None),
                Some(element) if !is_there(element) => change(path, "indirectRemove", None),
                _ => change(path, "assign", None),
            });
        }
    }
    changes
}

/// All properties as an object shows them when it enters.
pub(super) fn all(properties: &Properties) -> Vec<DataObject> {
    let assign = |(path, value): &(String, Value)| change(path, "assign", Some(value));
    properties.iter().map(assign).collect()
}

fn value_at<'a>(properties: &'a Properties, path: &str) -> Option<&'a Value> {
    let mut found = properties.iter().filter(|(name, _)| name == path);
    found.next().map(|(_, value)| value)
}

fn nested(changes: &mut Vec<DataObject>, path: &str, old: &Value, new: &Value) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) if before.type_name == after.type_name => {
            members(changes, path, before, after);
        }
        (Value::Array(_, before), Value::Array(_, after)) => {
            match (by_key(before), by_key(after)) {
                (Some(before), Some(after)) => elements(changes, path, &before, &after),
                _ => changes.push(change(path, "assign", Some(new))),
            }
        }
        _ => changes.push(change(path, "assign", Some(new))),
    }
}

fn members(changes: &mut Vec<DataObject>, path: &str, before: &DataObject, after: &DataObject) {
    for (name, new) in after.members() {
        let path = format!("{path}.{name}");
        match before.get(name) {
            None => changes.push(change(&path, "assign", Some(new))),
            Some(old) if old == new => {}
            Some(old) => nested(changes, &path, old, new),
        }
    }
    for (name, _) in before.members() {
        if after.get(name).is_none() {
            changes.push(change(&format!("{path}.{name}"), "assign", None));
        }
    }
}

type Element<'a> = (String, &'a Value);

/// The items of a list by their keys; `None` when it has items without a key.
fn by_key(items: &[Value]) -> Option<Vec<Element<'_>>> {
    let key = |item: &Value| match item.object()?.get("key")? {
        Value::Simple("int" | "long", number) => Some(number.clone()),
        Value::Simple(_, text) => Some(format!("\"{text}\"")),
        _ => None,
    };
    items.iter().map(|item| Some((key(item)?, item))).collect()
}

fn elements(changes: &mut Vec<DataObject>, path: &str, before: &[Element], after: &[Element]) {
    let find = |list: &[Element<'_>], key: &str| list.iter().position(|(found, _)| found == key);
    for (key, new) in after {
        let path = format!("{path}[{key}]");
        match find(before, key).map(|position| before[position].1) {
            None => changes.push(change(&path, "add", Some(new))),
            Some(old) if old == *new => {}
            Some(old) => nested(changes, &path, old, new),
        }
    }
    for (key, _) in before {
        if find(after, key).is_none() {
            changes.push(change(&format!("{path}[{key}]"), "remove", None));
        }
    }
}

fn change(path: &str, op: &str, value: Option<&Value>) -> DataObject {
    DataObject::new("PropertyChange")
        .text("name", path)
        .with("op", Value::Enum("PropertyChangeOp", op.to_owned()))
        .with_some("val", value.cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(key: i32, mode: &str) -> DataObject {
        let backing = DataObject::new("VirtualDiskFlatVer2BackingInfo").text("diskMode", mode);
        DataObject::new("VirtualDisk")
            .with("key", Value::int(key))
            .part("backing", backing)
    }

    fn config(annotation: Option<&str>, disks: Vec<DataObject>) -> (String, Value) {
        let hardware = DataObject::new("VirtualHardware")
            .with("device", Value::objects("VirtualDevice", disks));
        let config = DataObject::new("VirtualMachineConfigInfo")
            .with_some("annotation", annotation.map(Value::string))
            .part("hardware", hardware);
        ("config".to_owned(), Value::Object(config))
    }

    fn told(changes: &[DataObject]) -> Vec<String> {
        let told = |change: &DataObject| {
            let text = |name| change.get_text(name).unwrap_or_default().to_owned();
            format!("{} {} {}", text("op"), text("name"), text("val"))
        };
        changes.iter().map(told).collect()
    }

    #[test]
    fn partial_changes_name_the_members_and_elements() {
        let old = [config(
            Some("a"),
            vec![disk(2000, "persistent"), disk(2001, "x")],
        )];
        let new = [config(None, vec![disk(2000, "y"), disk(2002, "z")])];
        let partial = differences(&old, &new, true, |_| true);
        assert_eq!(
            told(&partial),
            [
                "assign config.hardware.device[2000].backing.diskMode y",
                "add config.hardware.device[2002] ",
                "remove config.hardware.device[2001] ",
                "assign config.annotation ",
            ]
        );
        let whole = differences(&old, &new, false, |_| true);
        assert_eq!(told(&whole), ["assign config "]);
        assert!(differences(&new, &new, true, |_| true).is_empty());
    }

    #[test]
    fn asked_elements_come_and_go_by_other_words() {
        let one = |path: &str| [(path.to_owned(), Value::int(1))];
        let element = one("config.hardware.device[2000]");
        assert_eq!(
            told(&differences(&[], &element, false, |_| true)),
            ["add config.hardware.device[2000] 1"]
        );
        assert_eq!(
            told(&differences(&element, &[], false, |_| false)),
            ["remove config.hardware.device[2000] "]
        );
        let inside = one("config.hardware.device[2000].unitNumber");
        let gone = differences(&inside, &[], false, |path| {
            assert_eq!(path, "config.hardware.device[2000]");
            false
        });
        assert_eq!(
            told(&gone),
            ["indirectRemove config.hardware.device[2000].unitNumber "]
        );
        let unset = differences(&inside, &[], false, |_| true);
        assert_eq!(
            told(&unset),
            ["assign config.hardware.device[2000].unitNumber "]
        );
    }
}
