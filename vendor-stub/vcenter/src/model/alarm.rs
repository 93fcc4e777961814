//! The only alarm: a vCenter always has some, and clients that ask for all expect one at least.

use lab::Site;

use crate::schema::TypeRef;
use crate::value::{DataObject, Value};

/// Its id.
pub(crate) const ID: &str = "alarm-1";
const TEXT: &str = "Default alarm to monitor host connection state";
/// When all was set up.
const SETUP: &str = "2024-01-01T00:00:00Z";

/// The alarm. It watches the state of hosts, and is never raised.
pub(super) fn properties() -> DataObject {
    let state = DataObject::new("StateAlarmExpression")
        .with(
            "operator",
            Value::Enum("StateAlarmOperator", "isEqual".into()),
        )
        .text("type", "HostSystem")
        .text("statePath", "runtime.connectionState")
        .text("red", "notResponding");
    let states = vec![Value::Object(state)];
    let expression = DataObject::new("OrAlarmExpression").with(
        "expression",
        Value::Array(TypeRef::Named("AlarmExpression"), states),
    );
    let info = DataObject::new("AlarmInfo")
        .text("name", "Host connection and power state")
        .text("systemName", "alarm.HostConnectionStateAlarm")
        .text("description", TEXT)
        .with("enabled", Value::boolean(true))
        .part("expression", expression)
        .text("key", ID)
        .with("alarm", Value::reference("Alarm", ID))
        .with("entity", Value::reference("Folder", Site::ROOT_FOLDER))
        .with("lastModifiedTime", Value::time(SETUP))
        .text("lastModifiedUser", "")
        .with("creationEventId", Value::int(0));
    DataObject::new("Alarm").part("info", info)
}
