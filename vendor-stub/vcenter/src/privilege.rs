//! Who may do what: privileges of users on objects ("vSphere API reference", 6).

mod list;

use lab::Site;

use crate::schema::schema;
use crate::soap::Fault;
use crate::value::{MoRef, Value};
use crate::world::World;

pub(crate) use list::{exists, known};

/// More steps than this lead up from no object.
const MAX_DEPTH: usize = 64;

impl World<'_> {
    /// Whether the caller has a privilege on an object.
    pub(crate) fn may(&self, object: &MoRef, privilege: &str) -> Result<bool, Fault> {
        let login = self
            .state
            .sessions
            .with(self.cookie, |session| session.login().to_owned());
        match login {
            Some(login) => self.user_may(&login, object, privilege),
            None => Ok(false),
        }
    }

    /// Whether a user has a privilege on an object.
    pub(crate) fn user_may(
        &self,
        login: &str,
        object: &MoRef,
        privilege: &str,
    ) -> Result<bool, Fault> {
        let Some(user) = self.site()?.user(login) else {
            return Ok(false);
        };
        // The common case needs no look at the inventory.
        if user.permissions.is_none() {
            return Ok(true);
        }
        // A snapshot is no part of the inventory: it takes the permissions of its VM.
        let id = match self.vm_by_snapshot(&object.id)? {
            Some(vm) => vm.moref.clone(),
            None => object.id.clone(),
        };
        Ok(user.may(&self.path_up(&id)?, privilege))
    }

    /// Whether the caller has one of the privileges of `System` on an object. Objects outside
    /// the inventory are the caller's own, or everybody's.
    pub(crate) fn sees(&self, object: &MoRef, privilege: &str) -> Result<bool, Fault> {
        let inventory = ["ManagedEntity", "VirtualMachineSnapshot"]
            .iter()
            .any(|base| schema().is_a(&object.type_name, base));
        Ok(!inventory || self.may(object, privilege)?)
    }

    /// `NoPermission`, naming object and privilege, unless the caller has it.
    pub(crate) fn demand(&self, object: &MoRef, privilege: &str) -> Result<(), Fault> {
        if self.may(object, privilege)? {
            Ok(())
        } else {
            Err(Fault::no_permission(object, privilege))
        }
    }

    /// An object and all above it. What is no part of the inventory counts as the root folder.
    pub(crate) fn path_up(&self, id: &str) -> Result<Vec<String>, Fault> {
        let mut path = Vec::new();
        let mut next = Some(id.to_owned());
        while let Some(id) = next.take().filter(|_| path.len() < MAX_DEPTH) {
            next = self.above(&id)?;
            path.push(id);
        }
        Ok(path)
    }

    fn above(&self, id: &str) -> Result<Option<String>, Fault> {
        let site = self.site()?;
        if let Some(vm) = self.vm(id)? {
            return Ok(Some(vm.folder.clone()));
        }
        // What is not in the inventory counts as right below the root folder.
        let above = match site.above(id) {
            None if id == Site::ROOT_FOLDER => return Ok(None),
            above => above.unwrap_or(Site::ROOT_FOLDER),
        };
        Ok(Some(above.to_owned()))
    }
}

impl Fault {
    /// There is no such user.
    pub(crate) fn user_not_found(principal: &str) -> Self {
        Self::new(
            "UserNotFound",
            "The specified user account could not be found.",
        )
        .with("principal", Value::string(principal))
        .with("unresolved", Value::boolean(true))
    }

    /// The role lacks a privilege.
    pub(crate) fn no_permission(object: &MoRef, privilege: &str) -> Self {
        Self::new(
            "NoPermission",
            "Permission to perform this operation was denied.",
        )
        .with("object", Value::Reference(object.clone()))
        .with("privilegeId", Value::string(privilege))
    }
}
