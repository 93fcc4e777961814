//! The object browser: objects and their properties as pages of HTML, to be read only.

use std::fmt::Write as _;

use quick_xml::escape::escape;

use crate::schema::{Member, Presence, TypeRef, schema};
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

/// Lists of more items are cut on a page; the API has them whole.
const MAX_ITEMS: usize = 1000;

/// The page of an object, or with a path that of a part of it. `None` = there is no such
/// object, or no such path.
///
/// # Errors
///
/// `NoPermission`, and what reading the lab gives.
pub(crate) fn page(
    world: &World<'_>,
    id: &str,
    path: Option<&str>,
) -> Result<Option<String>, Fault> {
    let inside = world.dialect.inside(id);
    let Some(object) = world.object(&MoRef::new("ManagedObject", inside))? else {
        return Ok(None);
    };
    if !world.sees(&object.reference, "System.Read")? {
        return Err(Fault::no_permission(&object.reference, "System.Read"));
    }
    let mut page = Page {
        world,
        id,
        out: String::new(),
    };
    let type_name = &object.reference.type_name;
    let Some(path) = path else {
        page.head(&format!("Managed Object Type: vim.{type_name}"));
        page.table(&object.properties, "");
        return Ok(Some(page.finish()));
    };
    let Ok(Some(value)) = object.properties.at(path) else {
        return Ok(None);
    };
    page.head(&format!("Property Path: {path}"));
    page.whole(value, path);
    Ok(Some(page.finish()))
}

struct Page<'a> {
    world: &'a World<'a>,
    id: &'a str,
    out: String,
}

impl Page<'_> {
    fn head(&mut self, title: &str) {
        let (title, id) = (escape(title), escape(self.id));
        self.add(&format!(
            "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
             <body><h1>{title}</h1>\n<p>Managed Object ID: <b><a href=\"{}\">{id}</a></b></p>\n",
            link(self.id, None)
        ));
    }

    fn finish(mut self) -> String {
        self.add("</body></html>\n");
        self.out
    }

    fn add(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// All members of an object. `path` leads to it, empty for the managed object itself.
    fn table(&mut self, object: &DataObject, path: &str) {
        self.add(&format!(
            "<p>Type: <b>{}</b></p>\n<table border=\"1\">\n\
             <tr><th>NAME</th><th>TYPE</th><th>VALUE</th></tr>\n",
            escape(object.type_name.as_ref())
        ));
        for member in schema().members(&object.type_name) {
            if !self.world.dialect.has(member) {
                continue;
            }
            let inner = match path {
                "" => member.name.to_owned(),
                _ => format!("{path}.{}", member.name),
            };
            self.add(&format!(
                "<tr><td>{}</td><td>{}</td><td>",
                member.name,
                escape(declared(member))
            ));
            match object.get(member.name) {
                None => self.add("Unset"),
                Some(value) => self.cell(value, &inner),
            }
            self.add("</td></tr>\n");
        }
        self.add("</table>\n");
    }

    /// A value in a table: short, with a link to the rest.
    fn cell(&mut self, value: &Value, path: &str) {
        match value {
            Value::Simple(_, text) | Value::Enum(_, text) => self.add(&escape(text)),
            Value::Reference(reference) => self.reference(reference),
            Value::Object(object) => self.part(path, &object.type_name),
            Value::Opaque => self.add("Unset"),
            Value::Array(_, items) if items.iter().all(|item| item.object().is_none()) => {
                self.items(items);
            }
            Value::Array(item, _) => self.part(path, &format!("{}[]", item.item_name())),
        }
    }

    fn items(&mut self, items: &[Value]) {
        self.add("<ul>");
        for item in items.iter().take(MAX_ITEMS) {
            self.add("<li>");
            self.cell(item, "");
            self.add("</li>");
        }
        self.add("</ul>");
        self.cut(items.len());
    }

    fn cut(&mut self, count: usize) {
        if count > MAX_ITEMS {
            self.add(&format!("<p>{} more</p>", count - MAX_ITEMS));
        }
    }

    /// What a path leads to.
    fn whole(&mut self, value: &Value, path: &str) {
        match value {
            Value::Object(object) => self.table(object, path),
            Value::Array(_, items) if items.iter().any(|item| item.object().is_some()) => {
                for item in items.iter().take(MAX_ITEMS) {
                    self.element(item, path);
                }
                self.cut(items.len());
            }
            other => {
                self.add("<p>");
                self.cell(other, path);
                self.add("</p>\n");
            }
        }
    }

    /// An item of a list: by its key a page of its own, without one all of it here.
    fn element(&mut self, item: &Value, path: &str) {
        let Some(object) = item.object() else {
            return;
        };
        let key = match object.get("key") {
            Some(Value::Simple("int" | "long", number)) => Some(number.clone()),
            Some(Value::Simple(_, text)) => Some(format!("\"{text}\"")),
            _ => None,
        };
        match key {
            None => self.table(object, path),
            Some(key) => {
                self.add("<p>");
                self.part(&format!("{path}[{key}]"), &object.type_name);
                self.add("</p>\n");
            }
        }
    }

    fn part(&mut self, path: &str, type_name: &str) {
        let target = link(self.id, Some(path));
        self.add(&format!(
            "<a href=\"{target}\">{}</a> {}",
            escape(path),
            escape(type_name)
        ));
    }

    fn reference(&mut self, reference: &MoRef) {
        let id = self.world.dialect.outside(&reference.id).into_owned();
        let target = link(&id, None);
        self.add(&format!("<a href=\"{target}\">{}</a>", escape(&id)));
        if let Ok(Some(object)) = self.world.object_with(reference, &name_only())
            && let Some(name) = object.properties.get_text("name")
        {
            self.add(&format!(" ({})", escape(name)));
        }
    }
}

fn name_only() -> crate::world::Wanted {
    crate::world::Wanted::only(["name".to_owned()])
}

fn declared(member: &Member) -> String {
    let name = match member.declared {
        TypeRef::Reference(target) => target,
        other => other.item_name(),
    };
    match member.presence {
        Presence::List => format!("{name}[]"),
        Presence::Required | Presence::Optional => name.to_owned(),
    }
}

fn link(id: &str, path: Option<&str>) -> String {
    let mut link = format!("/mob/?moid={}", quoted(id));
    if let Some(path) = path {
        link.push_str("&amp;doPath=");
        link.push_str(&quoted(path));
    }
    link
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The value of a name in a query, decoded.
pub(crate) fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(found, _)| *found == name)?;
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_links_encoded() {
        let path = "config.hardware.device[2000]";
        let link = link("vm-1021", Some(path));
        assert_eq!(
            link,
            "/mob/?moid=vm-1021&amp;doPath=config.hardware.device%5B2000%5D"
        );
        let query = "moid=vm-1021&doPath=config%2ehardware.device%5b2000%5D";
        assert_eq!(parameter(query, "doPath").as_deref(), Some(path));
        assert_eq!(parameter(query, "moid").as_deref(), Some("vm-1021"));
        for bad in ["a=%", "a=%f", "a=%zz", "a=%ff", "b=1"] {
            assert_eq!(parameter(bad, "a"), None, "{bad}");
        }
    }
}
