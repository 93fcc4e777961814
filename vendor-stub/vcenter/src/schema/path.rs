//! Property paths such as `config.hardware.device[2000].backing`.

use super::Version;
use super::types::{Presence, TypeRef, schema};

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathStep<'a> {
    /// The member's name.
    pub(crate) name: &'a str,
    /// The key of one array element, where given.
    pub(crate) key: Option<&'a str>,
}

/// The path does not exist in that type.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such property path")]
pub(crate) struct PathError;

/// Splits a path at its dots; a dot inside brackets does not count.
pub(crate) fn split_path(path: &str) -> Result<Vec<PathStep<'_>>, PathError> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let name = &rest[..end];
        if name.is_empty() {
            return Err(PathError);
        }
        rest = &rest[end..];
        let mut key = None;
        if let Some(inside) = rest.strip_prefix('[') {
            let close = inside.find(']').ok_or(PathError)?;
            key = Some(inside[..close].trim_matches('"'));
            rest = &inside[close + 1..];
        }
        steps.push(PathStep { name, key });
        if rest.is_empty() {
            return Ok(steps);
        }
        rest = rest.strip_prefix('.').ok_or(PathError)?;
    }
}

/// Checks a path against the schema, without an object. Members of derived types
/// count, since what an element really is shows only in the object. Members newer than
/// `version` do not.
pub(crate) fn check_path(version: Version, type_name: &str, path: &str) -> Result<(), PathError> {
    let steps = split_path(path)?;
    let mut declared = TypeRef::Named(schema().intern(type_name).ok_or(PathError)?);
    for (index, step) in steps.iter().enumerate() {
        let TypeRef::Named(name) = declared else {
            return match declared {
                // Below a part that is never filled nothing can be told.
                TypeRef::Opaque | TypeRef::Any => Ok(()),
                _ => Err(PathError),
            };
        };
        let member = if index == 0 {
            schema().member(name, step.name)
        } else {
            schema()
                .derived(name)
                .find_map(|name| schema().member(name, step.name))
        };
        let member = member.filter(|member| member.since <= version);
        let member = member.ok_or(PathError)?;
        let list = member.presence == Presence::List;
        if step.key.is_some() && !list {
            return Err(PathError);
        }
        if list && step.key.is_none() && index + 1 < steps.len() {
            return Err(PathError);
        }
        declared = member.declared;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest() -> Version {
        Version::parse("8.0.3.0").unwrap()
    }

    #[test]
    fn a_path_through_a_newer_member_does_not_exist() {
        let path = "config.hardware.device[2000].capacityInBytes";
        let at = |version| check_path(Version::parse(version).unwrap(), "VirtualMachine", path);
        assert_eq!(at("5.1"), Err(PathError));
        assert_eq!(at("5.5"), Ok(()));
    }

    #[test]
    fn paths_that_exist() {
        for path in [
            "name",
            "config",
            "config.hardware.device",
            "config.hardware.device[2000].capacityInBytes",
            "config.extraConfig[\"scsi0:0.ctkEnabled\"]",
            "summary.config",
            "config.keyId",
            "config.keyId.keyId",
            "runtime.host",
        ] {
            assert_eq!(
                check_path(newest(), "VirtualMachine", path),
                Ok(()),
                "{path}"
            );
        }
        assert_eq!(
            check_path(newest(), "ComputeResource", "resourcePool"),
            Ok(())
        );
    }

    #[test]
    fn paths_that_do_not() {
        for path in [
            "",
            "config.hardwar",
            "runtime.host.name",
            "config.hardware.device.key",
            "config[1].name",
            "config..name",
            "config.hardware.device[2000",
        ] {
            assert_eq!(
                check_path(newest(), "VirtualMachine", path),
                Err(PathError),
                "{path}"
            );
        }
    }
}
