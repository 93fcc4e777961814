//! Who may do what: roles, and where users have them ("vSphere API reference", 6).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Error, Lab, Site, SystemRole, User};

/// Privileges that every role has, but some of the system.
pub(crate) const OF_EVERY_ROLE: [&str; 3] = ["System.Anonymous", "System.View", "System.Read"];

/// Privileges under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name. That of a [`SystemRole`] makes it that role, whatever its privileges say.
    pub name: String,
    /// Ids such as `VirtualMachine.State.CreateSnapshot`. The three of `System` are in every role.
    pub privileges: BTreeSet<String>,
}

impl Role {
    /// A role with these privileges.
    pub fn new<I: Into<String>>(name: &str, privileges: impl IntoIterator<Item = I>) -> Self {
        Self {
            name: name.into(),
            privileges: privileges.into_iter().map(Into::into).collect(),
        }
    }

    /// Does the role have the privilege?
    pub fn has(&self, privilege: &str) -> bool {
        match SystemRole::named(&self.name) {
            Some(role) => role.has(privilege),
            None => OF_EVERY_ROLE.contains(&privilege) || self.privileges.contains(privilege),
        }
    }
}

/// The role a user has on an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// Moref of the object, such as [`Site::ROOT_FOLDER`].
    pub entity: String,
    /// What the user may do there.
    pub role: Role,
    /// Does it hold for what is below, too?
    pub propagate: bool,
}

impl User {
    /// May the user do what needs the privilege? `path` names the object and all above it, the
    /// object first. The nearest permission decides.
    pub fn may(&self, path: &[String], privilege: &str) -> bool {
        let Some(permissions) = &self.permissions else {
            return true;
        };
        path.iter()
            .enumerate()
            .find_map(|(distance, entity)| {
                permissions.iter().find(|permission| {
                    permission.entity == *entity && (distance == 0 || permission.propagate)
                })
            })
            .is_some_and(|permission| permission.role.has(privilege))
    }
}

impl Site {
    /// The user of that login name.
    pub fn user(&self, name: &str) -> Option<&User> {
        self.users.iter().find(|user| user.name == name)
    }
}

impl Lab {
    /// Lets another user log in, or replaces one of the same name. `permissions` = `None` lets
    /// the user do everything.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSpec`] for a user without name, [`Error::Io`].
    pub fn set_user(
        &self,
        name: &str,
        password: &str,
        permissions: Option<Vec<Permission>>,
    ) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::InvalidSpec {
                what: "user",
                reason: "no name".into(),
            });
        }
        let lock = self.lock()?;
        let mut site = self.load_site()?;
        site.users.retain(|user| user.name != name);
        site.users.push(User {
            name: name.into(),
            password: password.into(),
            permissions,
        });
        self.store_site(&lock, &site)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNAPSHOT: &str = "VirtualMachine.State.CreateSnapshot";

    fn user(permissions: Option<Vec<Permission>>) -> User {
        User {
            name: "u@d".into(),
            password: "p".into(),
            permissions,
        }
    }

    fn on(entity: &str, privileges: &[&str], propagate: bool) -> Permission {
        Permission {
            entity: entity.into(),
            role: Role::new("r", privileges.iter().copied()),
            propagate,
        }
    }

    #[test]
    fn the_nearest_permission_decides() {
        let path = ["vm-1", "group-v4", "group-d1"].map(str::to_owned);
        assert!(user(None).may(&path, SNAPSHOT));
        assert!(!user(Some(vec![])).may(&path, "System.View"));
        let above = on("group-d1", &[SNAPSHOT], true);
        assert!(user(Some(vec![above.clone()])).may(&path, SNAPSHOT));
        assert!(user(Some(vec![above.clone()])).may(&path, "System.View"));
        assert!(!user(Some(vec![above.clone()])).may(&path, "Global.DisableMethods"));
        let nearer = on("group-v4", &[], true);
        assert!(!user(Some(vec![above.clone(), nearer])).may(&path, SNAPSHOT));
        let not_below = on("group-v4", &[], false);
        assert!(user(Some(vec![above, not_below.clone()])).may(&path, SNAPSHOT));
        assert!(!user(Some(vec![not_below])).may(&path, "System.View"));
        assert!(user(Some(vec![on("vm-1", &[SNAPSHOT], false)])).may(&path, SNAPSHOT));
    }

    #[test]
    fn a_user_is_replaced_by_name_and_may_log_in() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), crate::SiteSpec::default()).unwrap();
        lab.set_user("u@d", "one", None).unwrap();
        lab.set_user("u@d", "two", Some(vec![on("group-d1", &[], true)]))
            .unwrap();
        assert!(lab.check_login("u@d", "one").is_err());
        lab.check_login("u@d", "two").unwrap();
        assert_eq!(lab.site().unwrap().users.len(), 2);
        assert!(lab.set_user("", "x", None).is_err());
    }
}
