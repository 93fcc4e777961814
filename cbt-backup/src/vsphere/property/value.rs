//! Values of properties that no type of ours waits for: kept as the server sent them.

use std::fmt;
use std::str::FromStr;

use super::Properties;
use crate::vsphere::moref::Moref;
use crate::vsphere::xml::{Reader, Tag, XmlError};

/// The value of one property, of whatever type. It is read by asking for the type expected.
#[derive(Clone, PartialEq, Eq)]
pub struct PropertyValue {
    type_name: Option<String>,
    xml: String,
}

impl PropertyValue {
    /// Takes a `val` element.
    pub(in crate::vsphere) fn take(r: &mut Reader<'_>, tag: &Tag) -> Result<Self, XmlError> {
        Ok(Self {
            type_name: tag.xsi_type.clone(),
            xml: r.raw_value(tag)?,
        })
    }

    /// The type as the server named it, without its prefix, such as `string`, `TaskInfo` or
    /// `ArrayOfVirtualDevice`.
    pub fn type_name(&self) -> Option<&str> {
        self.type_name.as_deref()
    }

    /// The element as it was sent.
    pub fn xml(&self) -> &str {
        &self.xml
    }

    /// The value as a text: that of a string, a number, a time, an enumeration.
    ///
    /// # Errors
    ///
    /// [`XmlError::Value`] if it is a structure.
    pub fn text(&self) -> Result<String, XmlError> {
        self.read(Reader::text)
    }

    /// The value as a number.
    ///
    /// # Errors
    ///
    /// [`XmlError::Value`] if it is none, or out of range.
    pub fn number<T: FromStr>(&self) -> Result<T, XmlError> {
        self.read(Reader::number)
    }

    /// The value as a truth value.
    ///
    /// # Errors
    ///
    /// [`XmlError::Value`] if it is none.
    pub fn boolean(&self) -> Result<bool, XmlError> {
        self.read(Reader::boolean)
    }

    /// The value as a reference.
    ///
    /// # Errors
    ///
    /// [`XmlError::Value`] if it is none.
    pub fn moref(&self) -> Result<Moref, XmlError> {
        self.read(Reader::moref)
    }

    /// The value as a list of references.
    ///
    /// # Errors
    ///
    /// [`XmlError::Value`] if it is none.
    pub fn morefs(&self) -> Result<Vec<Moref>, XmlError> {
        self.items(Reader::moref)
    }

    /// The value as a list of texts.
    ///
    /// # Errors
    ///
    /// [`XmlError::Value`] if it is none.
    pub fn texts(&self) -> Result<Vec<String>, XmlError> {
        self.items(Reader::text)
    }

    /// Reads the items of a list, which arrive named after their type ("vSphere API
    /// reference", 1.9).
    fn items<'x, T>(
        &'x self,
        mut item: impl FnMut(&mut Reader<'x>, &Tag) -> Result<T, XmlError>,
    ) -> Result<Vec<T>, XmlError> {
        self.read(|r, tag| {
            let mut items = Vec::new();
            r.children(tag, |r, tag| {
                items.push(item(r, tag)?);
                Ok(())
            })?;
            Ok(items)
        })
    }

    /// Reads the value with one of the client's own readers.
    pub(in crate::vsphere) fn read<'x, T>(
        &'x self,
        mut read: impl FnMut(&mut Reader<'x>, &Tag) -> Result<T, XmlError>,
    ) -> Result<T, XmlError> {
        let mut value = None;
        Reader::new(&self.xml).document(|r, tag| {
            value = Some(read(r, tag)?);
            Ok(())
        })?;
        value.ok_or(XmlError::Missing {
            element: "val",
            inside: "propSet",
        })
    }
}

impl fmt::Debug for PropertyValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.xml)
    }
}

/// Properties by path, for callers that know the types of what they ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PropertyMap {
    values: Vec<(String, PropertyValue)>,
}

impl PropertyMap {
    /// The value at `path`; unset and unreadable properties have none.
    pub fn get(&self, path: &str) -> Option<&PropertyValue> {
        let mut values = self.values.iter();
        values.find_map(|(known, value)| (known == path).then_some(value))
    }

    /// All paths and values in the order sent, which means nothing.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PropertyValue)> {
        self.values
            .iter()
            .map(|(path, value)| (path.as_str(), value))
    }

    /// True if nothing is set.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl Properties for PropertyMap {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        let value = PropertyValue::take(r, value)?;
        self.values.push((path.to_owned(), value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::PropertyValue;
    use crate::vsphere::moref::Moref;
    use crate::vsphere::xml::Reader;

    fn value(val: &str) -> PropertyValue {
        let xml = format!(
            "<e:a xmlns:e='urn:e' xmlns:i='http://www.w3.org/2001/XMLSchema-instance' xmlns:long='{}'>{val}</e:a>",
            "x".repeat(5000)
        );
        let mut value = None;
        Reader::new(&xml)
            .document(|r, root| {
                r.children(root, |r, tag| {
                    value = Some(PropertyValue::take(r, tag)?);
                    Ok(())
                })
            })
            .unwrap();
        value.unwrap()
    }

    #[test]
    fn a_value_is_read_as_what_it_is_and_as_nothing_else() {
        assert_eq!(value("<val i:type='xsd:int'>7</val>").number(), Ok(7));
        assert_eq!(
            value("<val i:type='xsd:int'>7</val>").type_name(),
            Some("int")
        );
        assert!(value("<val>true</val>").boolean().unwrap());
        assert!(value("<val>7</val>").boolean().is_err());
        assert!(value("<val><a/></val>").text().is_err());
        let vm = value("<val type='VirtualMachine' i:type='ManagedObjectReference'>vm-1</val>");
        assert_eq!(vm.moref(), Ok(Moref::vm("vm-1")));
        let names = value(
            "<val i:type='ArrayOfString'><string i:type='xsd:string'>a&amp;b</string><string/></val>",
        );
        assert_eq!(names.texts().unwrap(), ["a&b", ""]);
        let none = value("<val i:type='ArrayOfManagedObjectReference'/>");
        assert_eq!(none.morefs(), Ok(Vec::new()));
    }

    #[test]
    fn what_was_declared_around_a_value_does_not_blow_it_up() {
        let value = value("<val><a i:type='e:b'/></val>");
        assert!(value.xml().len() < 200, "{}", value.xml().len());
        let inner = value.read(|r, tag| {
            let mut inner = None;
            r.children(tag, |_, tag| {
                inner.clone_from(&tag.xsi_type);
                Ok(())
            })?;
            Ok(inner)
        });
        assert_eq!(inner.unwrap().as_deref(), Some("b"));
    }
}
