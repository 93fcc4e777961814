//! Types, members and methods as the rest of the server asks for them.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::{Version, table};

/// What a member or a value is declared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TypeRef {
    /// `xsd:anyType`.
    Any,
    /// A known member that is never set and never read.
    Opaque,
    /// A simple XML Schema type, by its local name.
    Simple(&'static str),
    /// A reference to a managed object of this type.
    Reference(&'static str),
    /// A data object or an enumeration.
    Named(&'static str),
}

impl TypeRef {
    /// The name an `ArrayOf…` is built from and its items are called by.
    pub(crate) fn item_name(self) -> &'static str {
        match self {
            TypeRef::Any | TypeRef::Opaque => "anyType",
            TypeRef::Simple(name) | TypeRef::Named(name) => name,
            TypeRef::Reference(_) => "ManagedObjectReference",
        }
    }
}

/// How often a member occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Exactly once.
    Required,
    /// At most once.
    Optional,
    /// Any number of times.
    List,
}

/// A field of a data object, a property of a managed object or a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// The element's name.
    pub(crate) name: &'static str,
    /// The declared type, of one item where it is a list.
    pub(crate) declared: TypeRef,
    /// How often it occurs.
    pub(crate) presence: Presence,
    /// Since which version it is there.
    pub(crate) since: Version,
}

/// The kinds of named types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A data object.
    Data,
    /// A data object of which only derived types exist.
    Abstract,
    /// An enumeration; its values are not listed.
    Enum,
    /// A managed object; its members are its properties.
    Managed,
}

/// A named type with the members of its bases first.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) base: Option<&'static str>,
    pub(crate) kind: Kind,
    pub(crate) members: Vec<Member>,
}

/// A method of a managed object.
#[derive(Debug)]
pub(crate) struct Method {
    /// The method's name on the wire.
    pub(crate) name: &'static str,
    /// The managed type it belongs to.
    pub(crate) receiver: &'static str,
    /// What it needs on the receiver; `System.Anonymous` needs no login.
    pub(crate) privilege: &'static str,
    /// Since which version it is there.
    pub(crate) since: Version,
    /// Parameters in order, without `_this`.
    pub(crate) parameters: Vec<Member>,
}

/// All types and methods.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(super) types: HashMap<&'static str, Type>,
    pub(super) methods: HashMap<&'static str, Method>,
}

impl Schema {
    /// The type of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// The name of the type as the table spells it, for text from outside.
    pub(crate) fn intern(&self, name: &str) -> Option<&'static str> {
        self.types.get_key_value(name).map(|(name, _)| *name)
    }

    /// The method of that name.
    pub(crate) fn method(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }

    /// What methods need.
    #[cfg(test)]
    pub(crate) fn privileges(&self) -> impl Iterator<Item = &'static str> {
        self.methods.values().map(|method| method.privilege)
    }

    /// The members of a type, bases first; none for an unknown type.
    pub(crate) fn members(&self, name: &str) -> &[Member] {
        self.named(name).map_or(&[], |found| &found.members)
    }

    /// One member of a type or of its bases.
    pub(crate) fn member(&self, type_name: &str, member: &str) -> Option<&Member> {
        self.members(type_name)
            .iter()
            .find(|found| found.name == member)
    }

    /// Whether `name` is `base` or derives from it.
    pub(crate) fn is_a(&self, name: &str, base: &str) -> bool {
        let mut current = Some(name);
        while let Some(name) = current {
            if name == base {
                return true;
            }
            current = self.named(name).and_then(|found| found.base);
        }
        false
    }

    /// The names of all types that derive from `base`, itself included.
    pub(crate) fn derived(&self, base: &str) -> impl Iterator<Item = &'static str> {
        self.types
            .keys()
            .copied()
            .filter(move |name| self.is_a(name, base))
    }
}

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    table::parse(&[include_str!("types.txt"), include_str!("managed.txt")])
        .expect("the table is part of the program and a test reads it")
});

/// The one schema.
pub(crate) fn schema() -> &'static Schema {
    &SCHEMA
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_members_follow_those_of_the_base() {
        let names: Vec<_> = schema()
            .members("VirtualDiskFlatVer2BackingInfo")
            .iter()
            .map(|member| member.name)
            .collect();
        assert_eq!(
            names[..4],
            ["fileName", "datastore", "backingObjectId", "diskMode"]
        );
    }

    #[test]
    fn inheritance_goes_over_several_steps() {
        assert!(schema().is_a("ParaVirtualSCSIController", "VirtualDevice"));
        assert!(schema().is_a("ClusterComputeResource", "ManagedEntity"));
        assert!(!schema().is_a("ManagedEntity", "Folder"));
        assert!(schema().derived("Folder").any(|name| name == "StoragePod"));
    }
}
