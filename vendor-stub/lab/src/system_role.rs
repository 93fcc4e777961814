//! The roles that every server has ("vSphere API reference", 6).

use crate::Role;

/// A role that cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemRole {
    /// Everything.
    Admin,
    /// To see all and change nothing.
    ReadOnly,
    /// To see that an object is there.
    View,
    /// What needs no login.
    Anonymous,
    /// Nothing.
    NoAccess,
}

impl SystemRole {
    /// All of them, by their numbers.
    pub const ALL: [Self; 5] = [
        Self::Admin,
        Self::ReadOnly,
        Self::View,
        Self::Anonymous,
        Self::NoAccess,
    ];

    /// Its number.
    pub fn number(self) -> i32 {
        match self {
            Self::Admin => -1,
            Self::ReadOnly => -2,
            Self::View => -3,
            Self::Anonymous => -4,
            Self::NoAccess => -5,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "Admin",
            Self::ReadOnly => "ReadOnly",
            Self::View => "View",
            Self::Anonymous => "Anonymous",
            Self::NoAccess => "NoAccess",
        }
    }

    /// The role of that name, if it is one of these.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Does the role have the privilege?
    pub fn has(self, privilege: &str) -> bool {
        match self {
            Self::Admin => true,
            Self::ReadOnly => {
                ["System.Anonymous", "System.Read", "System.View"].contains(&privilege)
            }
            Self::View => ["System.Anonymous", "System.View"].contains(&privilege),
            Self::Anonymous => privilege == "System.Anonymous",
            Self::NoAccess => false,
        }
    }

    /// The role as permissions name it. Its name says what it may.
    pub(crate) fn role(self) -> Role {
        Role::new(self.name(), Vec::<String>::new())
    }
}
