//! Roles with numbers, and permissions that name them: what clients make and give.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::role::OF_EVERY_ROLE;
use crate::{Error, Kind, Lab, Permission, Role, Site, SystemRole, User};

/// A role and its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumberedRole {
    /// Its number, from 1 on.
    pub id: i32,
    /// Its name and privileges.
    pub role: Role,
}

impl Site {
    /// The roles besides those of the system: those that clients made, and those of permissions
    /// that name no such role, numbered in the order they are met.
    pub fn numbered_roles(&self) -> Vec<NumberedRole> {
        let mut roles = self.roles.clone();
        let mut next = self.next_role_number();
        for permission in self
            .users
            .iter()
            .flat_map(|user| user.permissions.iter().flatten())
        {
            let role = &permission.role;
            let is_known = SystemRole::named(&role.name).is_some()
                || roles.iter().any(|known| known.role == *role);
            if !is_known {
                roles.push(NumberedRole {
                    id: next,
                    role: role.clone(),
                });
                next = next.saturating_add(1);
            }
        }
        roles
    }

    /// The number of a permission's role.
    pub fn number_of_role(&self, role: &Role) -> Option<i32> {
        if let Some(system) = SystemRole::named(&role.name) {
            return Some(system.number());
        }
        let roles = self.numbered_roles().into_iter();
        let mut found = roles.filter(|known| known.role == *role);
        found.next().map(|known| known.id)
    }

    /// The user behind a name as clients write it: `name@domain`, or `DOMAIN\name`.
    pub fn principal(&self, name: &str) -> Option<&User> {
        let name = match name.split_once('\\') {
            Some((domain, user)) => format!("{user}@{domain}"),
            None => name.to_owned(),
        };
        let mut users = self.users.iter();
        users.find(|user| user.name.eq_ignore_ascii_case(&name))
    }

    /// The role of that number, the system's too.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a role.
    pub fn role_of_number(&self, id: i32) -> Result<Role, Error> {
        let mut system = SystemRole::ALL.into_iter();
        if let Some(system) = system.find(|role| role.number() == id) {
            return Ok(system.role());
        }
        let mut roles = self.numbered_roles().into_iter();
        roles
            .find(|known| known.id == id)
            .map(|known| known.role)
            .ok_or_else(|| Error::not_found(Kind::Role, id.to_string()))
    }

    /// Keeps the numbers that roles have by now.
    fn keep_numbers(&mut self) {
        self.roles = self.numbered_roles();
        self.next_role = self.next_role_number();
    }

    /// The number that no role has had yet.
    fn next_role_number(&self) -> i32 {
        let last = self.roles.iter().map(|known| known.id).max();
        self.next_role.max(last.unwrap_or(0).saturating_add(1))
    }

    /// A role that can be changed.
    fn own_role(&mut self, id: i32) -> Result<&mut NumberedRole, Error> {
        if SystemRole::ALL.iter().any(|role| role.number() == id) {
            return Err(Error::InvalidSpec {
                what: "roleId",
                reason: "a role of the system".into(),
            });
        }
        let mut roles = self.roles.iter_mut();
        roles
            .find(|known| known.id == id)
            .ok_or_else(|| Error::not_found(Kind::Role, id.to_string()))
    }

    /// Refuses a name that is empty or taken.
    fn check_role_name(&self, name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::InvalidName {
                name: name.into(),
                reason: "empty",
            });
        }
        let is_taken = SystemRole::named(name).is_some()
            || self.roles.iter().any(|known| known.role.name == name);
        if is_taken {
            return Err(Error::AlreadyExists {
                kind: Kind::Role,
                id: name.into(),
            });
        }
        Ok(())
    }

    fn principal_mut(&mut self, name: &str) -> Result<&mut User, Error> {
        let missing = || Error::not_found(Kind::User, name);
        let login = self.principal(name).ok_or_else(missing)?.name.clone();
        let mut users = self.users.iter_mut();
        users.find(|user| user.name == login).ok_or_else(missing)
    }

    /// Refuses a site where nobody may do everything.
    fn check_administrator(&self) -> Result<(), Error> {
        let is_one = |user: &User| {
            user.permissions.as_ref().is_none_or(|permissions| {
                permissions.iter().any(|permission| {
                    permission.entity == Self::ROOT_FOLDER
                        && permission.propagate
                        && permission.role.name == SystemRole::Admin.name()
                })
            })
        };
        if self.users.iter().any(is_one) {
            Ok(())
        } else {
            Err(Error::LastAdministrator)
        }
    }
}

impl User {
    /// The user's permissions, where one who may do everything is Admin of the root.
    fn own_permissions(&mut self) -> &mut Vec<Permission> {
        self.permissions.get_or_insert_with(|| {
            vec![Permission {
                entity: Site::ROOT_FOLDER.into(),
                role: SystemRole::Admin.role(),
                propagate: true,
            }]
        })
    }
}

/// A role that clients make: it has the privileges of every role, and says so.
fn made<I: Into<String>>(name: &str, privileges: impl IntoIterator<Item = I>) -> Role {
    let mut role = Role::new(name, privileges);
    let common: BTreeSet<String> = OF_EVERY_ROLE.map(str::to_owned).into();
    role.privileges.extend(common);
    role
}

impl Lab {
    /// Makes a role and returns its number.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] for an empty name, [`Error::AlreadyExists`] for one that is taken,
    /// [`Error::Io`].
    pub fn add_role<I: Into<String>>(
        &self,
        name: &str,
        privileges: impl IntoIterator<Item = I>,
    ) -> Result<i32, Error> {
        let role = made(name, privileges);
        self.update_site(|site| {
            site.keep_numbers();
            site.check_role_name(name)?;
            let id = site.next_role;
            site.next_role = id.saturating_add(1);
            site.roles.push(NumberedRole { id, role });
            Ok(id)
        })
    }

    /// Gives a role another name and other privileges, wherever users have it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a role, [`Error::InvalidSpec`] for one of the system; else
    /// as [`Lab::add_role`].
    pub fn update_role<I: Into<String>>(
        &self,
        id: i32,
        name: &str,
        privileges: impl IntoIterator<Item = I>,
    ) -> Result<(), Error> {
        let role = made(name, privileges);
        self.update_site(|site| {
            site.keep_numbers();
            if site.own_role(id)?.role.name != name {
                site.check_role_name(name)?;
            }
            let before = std::mem::replace(&mut site.own_role(id)?.role, role.clone());
            let users = site.users.iter_mut();
            let permissions = users.flat_map(|user| user.permissions.iter_mut().flatten());
            for permission in permissions.filter(|permission| permission.role == before) {
                permission.role = role.clone();
            }
            Ok(())
        })
    }

    /// Takes a role away, with the permissions that name it unless `fail_if_used`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a role, [`Error::InvalidSpec`] for one of the system,
    /// [`Error::NotEmpty`] for one that is used, [`Error::Io`].
    pub fn remove_role(&self, id: i32, fail_if_used: bool) -> Result<(), Error> {
        self.update_site(|site| {
            site.keep_numbers();
            let role = site.own_role(id)?.role.clone();
            let users = site.users.iter_mut();
            for permissions in users.filter_map(|user| user.permissions.as_mut()) {
                if fail_if_used && permissions.iter().any(|found| found.role == role) {
                    return Err(Error::NotEmpty { id: role.name });
                }
                permissions.retain(|found| found.role != role);
            }
            site.roles.retain(|known| known.id != id);
            Ok(())
        })
    }

    /// Gives users roles on an object, each in place of the one that the user has there: name of the
    /// user, number of the role, and whether it holds for what is below. All or none.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a user or role, [`Error::LastAdministrator`],
    /// [`Error::Io`].
    pub fn set_permissions(
        &self,
        entity: &str,
        permissions: &[(&str, i32, bool)],
    ) -> Result<(), Error> {
        self.update_site(|site| {
            site.keep_numbers();
            for (user, role, propagate) in permissions {
                let role = site.role_of_number(*role)?;
                let own = site.principal_mut(user)?.own_permissions();
                own.retain(|permission| permission.entity != entity);
                own.push(Permission {
                    entity: entity.into(),
                    role,
                    propagate: *propagate,
                });
            }
            site.check_administrator()
        })
    }

    /// Takes a user's role on an object away.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a user or where the user has none there,
    /// [`Error::LastAdministrator`], [`Error::Io`].
    pub fn remove_permission(&self, user: &str, entity: &str) -> Result<(), Error> {
        self.update_site(|site| {
            site.keep_numbers();
            let permissions = site.principal_mut(user)?.own_permissions();
            let before = permissions.len();
            permissions.retain(|permission| permission.entity != entity);
            if permissions.len() == before {
                return Err(Error::not_found(Kind::Permission, entity));
            }
            site.check_administrator()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteSpec;

    const SNAPSHOT: &str = "VirtualMachine.State.CreateSnapshot";

    fn may(lab: &Lab, user: &str, privilege: &str) -> bool {
        let path = ["vm-1021", "group-v4", Site::ROOT_FOLDER].map(str::to_owned);
        lab.site()
            .unwrap()
            .user(user)
            .unwrap()
            .may(&path, privilege)
    }

    #[test]
    fn a_role_is_what_its_users_may() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        lab.set_user("u@d", "p", Some(Vec::new())).unwrap();
        let none: [&str; 0] = [];
        let id = lab.add_role("r", none).unwrap();
        assert_eq!(id, 1);
        for taken in ["r", "Admin"] {
            let refused = lab.add_role(taken, none).unwrap_err();
            assert!(matches!(refused, Error::AlreadyExists { .. }));
        }
        lab.set_permissions(Site::ROOT_FOLDER, &[("D\\U", id, true)])
            .unwrap();
        assert!(!may(&lab, "u@d", SNAPSHOT) && may(&lab, "u@d", "System.Read"));
        lab.update_role(id, "s", [SNAPSHOT]).unwrap();
        assert!(may(&lab, "u@d", SNAPSHOT));
        assert!(lab.remove_role(id, true).is_err());
        assert!(lab.update_role(-1, "s", [SNAPSHOT]).is_err());
        // The nearest one decides, also one that says no.
        lab.set_permissions("vm-1021", &[("u@d", -5, true)])
            .unwrap();
        assert!(!may(&lab, "u@d", "System.Read"));
        lab.remove_permission("u@d", "vm-1021").unwrap();
        assert!(lab.remove_permission("u@d", "vm-1021").is_err());
        lab.remove_role(id, false).unwrap();
        assert!(!may(&lab, "u@d", "System.Read"));
        assert_eq!(lab.add_role("r", none).unwrap(), 2);
    }

    #[test]
    fn somebody_may_do_everything() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        let (root, admin) = (Site::ROOT_FOLDER, lab.site().unwrap().users[0].name.clone());
        let refused = lab.remove_permission(&admin, root).unwrap_err();
        assert!(matches!(refused, Error::LastAdministrator));
        assert!(lab.set_permissions(root, &[(&admin, -2, true)]).is_err());
        lab.set_user("u@d", "p", Some(Vec::new())).unwrap();
        lab.set_permissions(root, &[("u@d", -1, true)]).unwrap();
        lab.set_permissions(root, &[(&admin, -2, true)]).unwrap();
        assert!(may(&lab, "u@d", SNAPSHOT) && !may(&lab, &admin, SNAPSHOT));
    }
}
