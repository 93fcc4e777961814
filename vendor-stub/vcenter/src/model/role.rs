//! Roles and permissions as data objects. Admin is the system's, the others are those of the
//! lab's users, numbered in the order they are met.

use lab::{Role, Site, User};

use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

/// The role with every privilege, as every vCenter has it.
const ADMIN: i32 = -1;

/// `AuthorizationManager`.
pub(super) fn manager(site: &Site) -> DataObject {
    let admin = role_object(ADMIN, true, "Admin");
    let own = roles(site).into_iter().zip(1..).map(|(role, id)| {
        let privileges = role.privileges.iter().map(String::as_str);
        role_object(id, false, &role.name).with("privilege", Value::strings(privileges))
    });
    let all = std::iter::once(admin).chain(own);
    DataObject::new("AuthorizationManager")
        .with("roleList", Value::objects("AuthorizationRole", all))
}

/// The permissions of an object: its own and, if asked for, those it has from above.
pub(crate) fn permissions(
    world: &World<'_>,
    entity: &MoRef,
    inherited: bool,
) -> Result<Vec<DataObject>, Fault> {
    let site = world.site()?;
    let roles = roles(site);
    let mut path = world.path_up(&entity.id)?;
    if !inherited {
        path.truncate(1);
    }
    let mut found = Vec::new();
    for (distance, id) in path.iter().enumerate() {
        for user in &site.users {
            for (role, propagate) in granted(user, id) {
                if distance > 0 && !propagate {
                    continue;
                }
                let number = match role {
                    None => ADMIN,
                    Some(role) => number_of(&roles, role),
                };
                let place = MoRef::new("ManagedEntity", id);
                let Some(place) = world.known(&place)? else {
                    continue;
                };
                found.push(
                    DataObject::new("Permission")
                        .with("entity", Value::Reference(place))
                        .text("principal", &user.name)
                        .with("group", Value::boolean(false))
                        .with("roleId", Value::int(number))
                        .with("propagate", Value::boolean(propagate)),
                );
            }
        }
    }
    Ok(found)
}

/// What a user is given on an object, and whether it holds below. No role means every privilege.
fn granted<'a>(user: &'a User, id: &str) -> Vec<(Option<&'a Role>, bool)> {
    match &user.permissions {
        None if id == Site::ROOT_FOLDER => vec![(None, true)],
        None => Vec::new(),
        Some(permissions) => permissions
            .iter()
            .filter(|permission| permission.entity == id)
            .map(|permission| (Some(&permission.role), permission.propagate))
            .collect(),
    }
}

/// The roles of a site's users, each once.
fn roles(site: &Site) -> Vec<&Role> {
    let mut roles: Vec<&Role> = Vec::new();
    for permission in site
        .users
        .iter()
        .flat_map(|user| user.permissions.iter().flatten())
    {
        if !roles.contains(&&permission.role) {
            roles.push(&permission.role);
        }
    }
    roles
}

fn number_of(roles: &[&Role], role: &Role) -> i32 {
    let number = roles.iter().zip(1..).find(|(known, _)| **known == role);
    number.map_or(0, |(_, number)| number)
}

fn role_object(id: i32, system: bool, name: &str) -> DataObject {
    DataObject::new("AuthorizationRole")
        .with("roleId", Value::int(id))
        .with("system", Value::boolean(system))
        .text("name", name)
        .part(
            "info",
            DataObject::new("Description")
                .text("label", name)
                .text("summary", name),
        )
}
