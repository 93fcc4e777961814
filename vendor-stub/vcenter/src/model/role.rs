//! Roles, privileges and permissions as data objects.

use lab::{Role, Site, SystemRole, User};

use crate::privilege;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

/// `AuthorizationManager`.
pub(super) fn manager(site: &Site) -> DataObject {
    let system = SystemRole::ALL.into_iter().map(|role| {
        let known = privilege::known().map(|known| known.id);
        let privileges = known.filter(|id| role.has(id));
        role_object(role.number(), true, role.name()).with("privilege", Value::strings(privileges))
    });
    let own = site.numbered_roles().into_iter().map(|known| {
        role_object(known.id, false, &known.role.name)
            .with("privilege", Value::strings(known.role.privileges))
    });
    let privileges = privilege::known().map(|known| {
        DataObject::new("AuthorizationPrivilege")
            .text("privId", known.id)
            .with("onParent", Value::boolean(known.on_parent))
            .text("name", known.name)
            .text("privGroupName", known.group)
    });
    DataObject::new("AuthorizationManager")
        .with(
            "privilegeList",
            Value::objects("AuthorizationPrivilege", privileges),
        )
        .with(
            "roleList",
            Value::objects("AuthorizationRole", system.chain(own)),
        )
}

/// The permissions of an object: its own and, if asked for, those it has from above.
pub(crate) fn permissions(
    world: &World<'_>,
    entity: &MoRef,
    inherited: bool,
) -> Result<Vec<DataObject>, Fault> {
    let mut path = world.path_up(&entity.id)?;
    if !inherited {
        path.truncate(1);
    }
    let site = world.site()?;
    let mut found = Vec::new();
    for (distance, id) in path.iter().enumerate() {
        for user in &site.users {
            for (entity, role, propagate) in granted(user) {
                if entity == id && (distance == 0 || propagate) {
                    found.extend(permission(world, user, (entity, role, propagate))?);
                }
            }
        }
    }
    Ok(found)
}

/// Every permission there is.
pub(crate) fn all_permissions(world: &World<'_>) -> Result<Vec<DataObject>, Fault> {
    let mut found = Vec::new();
    for user in &world.site()?.users {
        for given in granted(user) {
            found.extend(permission(world, user, given)?);
        }
    }
    Ok(found)
}

/// What a user is given: the object, the role, and whether it holds below. No role means every
/// privilege.
type Granted<'a> = (&'a str, Option<&'a Role>, bool);

fn granted(user: &User) -> Vec<Granted<'_>> {
    match &user.permissions {
        None => vec![(Site::ROOT_FOLDER, None, true)],
        Some(permissions) => permissions
            .iter()
            .map(|given| (given.entity.as_str(), Some(&given.role), given.propagate))
            .collect(),
    }
}

/// A permission, if there is its object.
fn permission(
    world: &World<'_>,
    user: &User,
    (entity, role, propagate): Granted<'_>,
) -> Result<Option<DataObject>, Fault> {
    let Some(entity) = world.known(&MoRef::new("ManagedEntity", entity))? else {
        return Ok(None);
    };
    let site = world.site()?;
    let number = match role {
        None => Some(SystemRole::Admin.number()),
        Some(role) => site.number_of_role(role),
    };
    let permission = DataObject::new("Permission")
        .with("entity", Value::Reference(entity))
        .text("principal", &user.name)
        .with("group", Value::boolean(false))
        .with("roleId", Value::int(number.unwrap_or_default()))
        .with("propagate", Value::boolean(propagate));
    Ok(Some(permission))
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
