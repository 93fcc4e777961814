//! Typed faults with the text that goes with them.

use crate::schema::schema;
use crate::value::{DataObject, MoRef, Value};

/// A fault: typed detail and human text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// The fault as a data object.
    pub(crate) detail: DataObject,
    /// `faultstring`, or `localizedMessage` inside data.
    pub(crate) text: String,
}

impl Fault {
    /// A fault of that type without fields.
    pub(crate) fn new(type_name: &'static str, text: impl Into<String>) -> Self {
        Self {
            detail: DataObject::new(type_name),
            text: text.into(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.detail.set(name, value);
        self
    }

    /// The type's name.
    pub(crate) fn type_name(&self) -> &str {
        &self.detail.type_name
    }

    /// The request does not match the declaration of the method.
    pub(crate) fn invalid_request(text: impl Into<String>) -> Self {
        Self::new("InvalidRequest", text)
    }

    /// A parameter is wrong.
    pub(crate) fn invalid_argument(property: &str) -> Self {
        let text = format!("A specified parameter was not correct: {property}");
        Self::new("InvalidArgument", text).with("invalidProperty", Value::string(property))
    }

    /// A property path is unknown to the type.
    pub(crate) fn invalid_property(path: &str) -> Self {
        Self::new("InvalidProperty", "").with("name", Value::string(path))
    }

    /// The object does not exist.
    pub(crate) fn not_found(object: &MoRef) -> Self {
        let text = format!(
            "The object 'vim.{}:{}' has already been deleted or has not been completely created",
            object.type_name, object.id
        );
        Self::new("ManagedObjectNotFound", text).with("obj", Value::Reference(object.clone()))
    }

    /// The method is unknown, or not one of that object.
    pub(crate) fn method_not_found(receiver: &MoRef, method: &str) -> Self {
        Self::new("MethodNotFound", "")
            .with("receiver", Value::Reference(receiver.clone()))
            .with("method", Value::string(method))
    }

    /// There is no session. Methods that decide by their arguments ask for `System.View` first.
    pub(crate) fn not_authenticated(object: &MoRef, privilege: &str) -> Self {
        let privilege = if privilege == "-" {
            "System.View"
        } else {
            privilege
        };
        Self::new("NotAuthenticated", "The session is not authenticated.")
            .with("object", Value::Reference(object.clone()))
            .with("privilegeId", Value::string(privilege))
    }

    /// User or password are wrong.
    pub(crate) fn invalid_login() -> Self {
        Self::new(
            "InvalidLogin",
            "Cannot complete login due to an incorrect user name or password.",
        )
    }

    /// Another task holds the VM.
    pub(crate) fn task_in_progress(task: &str) -> Self {
        let text = "The operation is not allowed in the current state.";
        Self::new("TaskInProgress", text).with("task", Value::reference("Task", task))
    }

    /// The server does not do that.
    pub(crate) fn not_supported(what: &str) -> Self {
        Self::new(
            "NotSupported",
            format!("The operation is not supported on the object: {what}"),
        )
    }

    /// There is no such datastore, or not for that.
    pub(crate) fn invalid_datastore(name: &str) -> Self {
        Self::new(
            "InvalidDatastore",
            format!("Datastore '{name}' is invalid."),
        )
        .with("name", Value::string(name))
    }

    /// A file of the storage layer cannot be used.
    pub(crate) fn file(type_name: &'static str, file: &str) -> Self {
        Self::new(type_name, format!("Error caused by file {file}"))
            .with("file", Value::string(file))
    }

    /// The server itself failed.
    pub(crate) fn system_error(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::new(
            "SystemError",
            format!("A general system error occurred: {reason}"),
        )
        .with("reason", Value::string(reason))
    }

    /// A fault that a test ordered by name. Required fields get plausible values; a type
    /// this server does not know is sent without fields.
    pub(crate) fn ordered(type_name: &str, text: Option<String>, receiver: &MoRef) -> Self {
        let known = schema().intern(type_name);
        let mut fault = Self {
            detail: match known {
                Some(known) => DataObject::new(known),
                None => DataObject::new(type_name.to_owned()),
            },
            text: text.unwrap_or_else(|| format!("{type_name} as ordered")),
        };
        let reason = Value::string(fault.text.clone());
        for member in schema().members(type_name) {
            let value = match member.name {
                "file" => Value::string("[datastore1] ordered/ordered.vmdk"),
                "datastore" => Value::string("datastore1"),
                "reason" => reason.clone(),
                "name" | "method" | "invalidProperty" | "source" => Value::string("ordered"),
                "privilegeId" => Value::string("System.View"),
                "obj" | "object" | "receiver" => Value::Reference(receiver.clone()),
                "task" => Value::reference("Task", "task-1"),
                _ => continue,
            };
            fault.detail.set(member.name, value);
        }
        fault
    }

    /// The fault as it stands inside data.
    pub(crate) fn localized(&self) -> DataObject {
        DataObject::new("LocalizedMethodFault")
            .part("fault", self.detail.clone())
            .text("localizedMessage", self.text.clone())
    }
}
