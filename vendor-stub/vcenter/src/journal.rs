//! What the journal of the lab says about a call: small, and without secrets.

use serde_json::{Map, Value as Json, json};

use crate::value::{DataObject, MoRef, Value};

const MAX_TEXT_CHARS: usize = 200;
const SECRETS: [&str; 2] = ["password", "cloneTicket"];

/// Receiver and parameters. Texts are cut, lists are counted.
pub(crate) fn arguments(this: &MoRef, args: &DataObject) -> Json {
    let mut map = members(args);
    map.insert("_this".to_owned(), json!(this.id));
    Json::Object(map)
}

fn members(object: &DataObject) -> Map<String, Json> {
    object
        .members()
        .filter(|(name, _)| !SECRETS.contains(name))
        .map(|(name, value)| (name.to_owned(), small(value)))
        .collect()
}

fn small(value: &Value) -> Json {
    match value {
        Value::Simple("boolean", text) => json!(matches!(text.as_str(), "true" | "1")),
        Value::Simple("short" | "int" | "long", text) => match text.parse::<i64>() {
            Ok(number) => json!(number),
            Err(_) => json!(text),
        },
        Value::Simple(_, text) | Value::Enum(_, text) => {
            json!(text.chars().take(MAX_TEXT_CHARS).collect::<String>())
        }
        Value::Reference(reference) => json!(reference.id),
        Value::Object(object) => Json::Object(members(object)),
        Value::Array(_, items) => json!(items.len()),
        Value::Opaque => json!("present"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_never_show_and_numbers_stay_numbers() {
        let this = MoRef::new("SessionManager", "SessionManager");
        let args = DataObject::new("Login")
            .text("userName", "u".repeat(300))
            .text("password", "secret")
            .with("deviceKey", Value::int(2000))
            .with("specSet", Value::strings(["a", "b"]));
        let json = arguments(&this, &args);
        assert!(!json.to_string().contains("secret"));
        assert_eq!(json["userName"].as_str().map(str::len), Some(200));
        assert_eq!(json["deviceKey"], 2000);
        assert_eq!(json["specSet"], 2);
        assert_eq!(json["_this"], "SessionManager");
    }
}
