//! What the account may do, and methods that somebody disabled.

use super::client::Client;
use super::envelope::nothing;
use super::error::Error;
use super::moref::Moref;
use super::operation::Operation;
use super::xml::{Reader, Tag, XmlError};

/// More answers than this to one question are not believed.
const MAX_ANSWERS: usize = 100_000;

/// What the account may do on one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityPrivileges {
    /// The object.
    pub entity: Moref,
    /// Each privilege that was asked for, and whether it is granted.
    pub privileges: Vec<(String, bool)>,
}

impl EntityPrivileges {
    /// The privileges that are not granted.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        let privileges = self.privileges.iter();
        privileges
            .filter(|(_, is_granted)| !is_granted)
            .map(|(id, _)| id.as_str())
    }
}

impl Client {
    /// Asks which of `privileges` the session's account has on each of `entities`.
    ///
    /// # Errors
    ///
    /// [`Error::BadAnswer`] at a server without an authorization manager; any failure of the call.
    #[doc(alias = "HasPrivilegeOnEntities")]
    pub async fn has_privileges(
        &self,
        entities: &[Moref],
        privileges: &[&str],
    ) -> Result<Vec<EntityPrivileges>, Error> {
        let manager = self.authorization_manager("HasPrivilegeOnEntities")?;
        let operation =
            has_privileges_operation(manager, entities, &self.session_key(), privileges);
        self.read(&operation, read_entity_privileges).await
    }

    /// Makes the server refuse `methods` of a VM until they are enabled again by the same
    /// `source_id`. A repeated call of the same source is fine. VDDK does this by itself:
    /// `PrepareForAccess` disables `RelocateVM_Task`. Only a vCenter has it.
    ///
    /// # Errors
    ///
    /// A fault `NoPermission` without `Global.DisableMethods` on the root; any failure of the
    /// call.
    #[doc(alias = "DisableMethods")]
    pub async fn disable_methods(
        &self,
        vm: &Moref,
        methods: &[&str],
        source_id: &str,
    ) -> Result<(), Error> {
        let manager = self.authorization_manager("DisableMethods")?;
        let operation = disable_operation(manager, vm, methods, source_id);
        match self.write(&operation, nothing).await {
            Err(error) if error.fault_type() == Some("MethodAlreadyDisabledFault") => Ok(()),
            result => result,
        }
    }

    /// Ends what [`Client::disable_methods`] began with the same `source_id`, also in a session
    /// that is long gone.
    ///
    /// # Errors
    ///
    /// A fault `NoPermission` without `Global.EnableMethods` on the root; any failure of the
    /// call.
    #[doc(alias = "EnableMethods")]
    pub async fn enable_methods(
        &self,
        vm: &Moref,
        methods: &[&str],
        source_id: &str,
    ) -> Result<(), Error> {
        let manager = self.authorization_manager("EnableMethods")?;
        let operation = enable_operation(manager, vm, methods, source_id);
        self.write(&operation, nothing).await
    }

    fn authorization_manager(&self, method: &'static str) -> Result<&Moref, Error> {
        let manager = self.inner.content.authorization_manager.as_ref();
        manager.ok_or_else(|| Error::BadAnswer {
            method,
            what: "the server has no authorization manager".to_owned(),
        })
    }
}

/// The call; the order of its parameters is the schema's.
pub(super) fn has_privileges_operation(
    manager: &Moref,
    entities: &[Moref],
    session_key: &str,
    privileges: &[&str],
) -> Operation {
    let operation = Operation::new("HasPrivilegeOnEntities", manager);
    let operation = entities
        .iter()
        .fold(operation, |operation, entity| {
            operation.moref("entity", entity)
        })
        .text("sessionId", session_key);
    privileges.iter().fold(operation, |operation, privilege| {
        operation.text("privId", privilege)
    })
}

/// The call of the internal interface ("vSphere API reference, 2.10").
pub(super) fn disable_operation(
    manager: &Moref,
    vm: &Moref,
    methods: &[&str],
    source_id: &str,
) -> Operation {
    let operation = Operation::internal("DisableMethods", manager).moref("entity", vm);
    methods
        .iter()
        .fold(operation, |operation, method| {
            operation
                .open("method")
                .text("method", method)
                .text("reasonId", "backup")
                .close("method")
        })
        .text("sourceId", source_id)
        .boolean("sessionScope", false)
}

/// The call of the internal interface ("vSphere API reference, 2.10").
pub(super) fn enable_operation(
    manager: &Moref,
    vm: &Moref,
    methods: &[&str],
    source_id: &str,
) -> Operation {
    let operation = Operation::internal("EnableMethods", manager).moref("entity", vm);
    methods
        .iter()
        .fold(operation, |operation, method| {
            operation.text("method", method)
        })
        .text("sourceId", source_id)
}

/// Reads the answer to `HasPrivilegeOnEntities`.
pub(super) fn read_entity_privileges(
    r: &mut Reader<'_>,
    response: &Tag,
) -> Result<Vec<EntityPrivileges>, XmlError> {
    let mut answers = Vec::new();
    let mut count = 0;
    r.children(response, |r, tag| {
        if tag.name != "returnval" {
            return Ok(());
        }
        let (mut entity, mut privileges) = (None, Vec::new());
        r.children(tag, |r, tag| {
            match tag.name.as_str() {
                "entity" => entity = Some(r.moref(tag)?),
                "privAvailability" => {
                    count += 1;
                    if count > MAX_ANSWERS {
                        return Err(XmlError::TooMany {
                            what: "privileges",
                            limit: MAX_ANSWERS,
                        });
                    }
                    privileges.push(read_availability(r, tag)?);
                }
                _ => {}
            }
            Ok(())
        })?;
        let entity = entity.ok_or(XmlError::Missing {
            element: "entity",
            inside: "EntityPrivilege",
        })?;
        answers.push(EntityPrivileges { entity, privileges });
        Ok(())
    })?;
    Ok(answers)
}

fn read_availability(r: &mut Reader<'_>, tag: &Tag) -> Result<(String, bool), XmlError> {
    let (mut id, mut is_granted) = (String::new(), None);
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "privId" => id = r.text(tag)?,
            "isGranted" => is_granted = Some(r.boolean(tag)?),
            _ => {}
        }
        Ok(())
    })?;
    let is_granted = is_granted.ok_or(XmlError::Missing {
        element: "isGranted",
        inside: "PrivilegeAvailability",
    })?;
    Ok((id, is_granted))
}
