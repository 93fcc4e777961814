//! Custom attributes: their definitions, and the values objects have.

use serde::{Deserialize, Serialize};

use crate::{Error, Kind, Lab, Site};

/// Key of the first custom attribute of a site.
pub(crate) const FIRST_KEY: i32 = 101;

/// The definition of a custom attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomField {
    /// Its number, from 101.
    pub key: i32,
    /// Its name, which no other has.
    pub name: String,
    /// The managed type whose objects have it, such as `VirtualMachine`; `None` = all.
    pub entity_type: Option<String>,
}

impl CustomField {
    /// Do objects of that managed type have it?
    pub fn applies_to(&self, entity_type: &str) -> bool {
        self.entity_type
            .as_deref()
            .is_none_or(|own| own == entity_type)
    }
}

impl Site {
    /// The definition of that name.
    pub fn custom_field(&self, name: &str) -> Option<&CustomField> {
        self.custom_fields.iter().find(|field| field.name == name)
    }

    /// The values an object has, by the number of the definition.
    pub fn custom_values_of(&self, entity: &str) -> impl Iterator<Item = (i32, &str)> {
        let values = self.custom_values.get(entity).into_iter().flatten();
        values.map(|(key, value)| (*key, value.as_str()))
    }

    /// Refuses a name that is empty or taken.
    fn check_custom_name(&self, name: &str) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::InvalidName {
                name: name.into(),
                reason: "empty",
            });
        }
        match self.custom_field(name) {
            None => Ok(()),
            Some(_) => Err(Error::AlreadyExists {
                kind: Kind::CustomField,
                id: name.into(),
            }),
        }
    }

    fn custom_field_mut(&mut self, key: i32) -> Result<&mut CustomField, Error> {
        let mut fields = self.custom_fields.iter_mut();
        fields
            .find(|field| field.key == key)
            .ok_or_else(|| Error::not_found(Kind::CustomField, key.to_string()))
    }
}

impl Lab {
    /// Defines a custom attribute for objects of one managed type, or of all.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidName`] for an empty name, [`Error::AlreadyExists`] for one that is taken,
    /// [`Error::Io`].
    pub fn add_custom_field(
        &self,
        name: &str,
        entity_type: Option<&str>,
    ) -> Result<CustomField, Error> {
        self.update_site(|site| {
            site.check_custom_name(name)?;
            let field = CustomField {
                key: site.next_custom_field,
                name: name.into(),
                entity_type: entity_type.map(Into::into),
            };
            site.next_custom_field += 1;
            site.custom_fields.push(field.clone());
            Ok(field)
        })
    }

    /// Gives a custom attribute another name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such an attribute; else as [`Lab::add_custom_field`].
    pub fn rename_custom_field(&self, key: i32, name: &str) -> Result<(), Error> {
        self.update_site(|site| {
            if site.custom_field_mut(key)?.name != name {
                site.check_custom_name(name)?;
                name.clone_into(&mut site.custom_field_mut(key)?.name);
            }
            Ok(())
        })
    }

    /// Takes a custom attribute away, with the values of all objects.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such an attribute, [`Error::Io`].
    pub fn remove_custom_field(&self, key: i32) -> Result<(), Error> {
        self.update_site(|site| {
            site.custom_field_mut(key)?;
            site.custom_fields.retain(|field| field.key != key);
            for values in site.custom_values.values_mut() {
                values.remove(&key);
            }
            site.custom_values.retain(|_, values| !values.is_empty());
            Ok(())
        })
    }

    /// Gives an object of that managed type a value; an empty one takes it away.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such an attribute, [`Error::InvalidSpec`] when objects of that
    /// type do not have it, [`Error::Io`].
    pub fn set_custom_value(
        &self,
        (entity_type, entity): (&str, &str),
        key: i32,
        value: &str,
    ) -> Result<(), Error> {
        self.update_site(|site| {
            if !site.custom_field_mut(key)?.applies_to(entity_type) {
                return Err(Error::InvalidSpec {
                    what: "key",
                    reason: format!("attribute {key} is none of {entity_type}"),
                });
            }
            let values = site.custom_values.entry(entity.into()).or_default();
            if value.is_empty() {
                values.remove(&key);
            } else {
                values.insert(key, value.into());
            }
            if values.is_empty() {
                site.custom_values.remove(entity);
            }
            Ok(())
        })
    }

    /// Changes the site under the lock of the lab. Nothing is stored when `change` fails.
    pub(crate) fn update_site<R>(
        &self,
        change: impl FnOnce(&mut Site) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let lock = self.lock()?;
        let mut site = self.load_site()?;
        let result = change(&mut site)?;
        self.store_site(&lock, &site)?;
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteSpec;

    #[test]
    fn values_go_with_their_attribute() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        let vms_only = lab
            .add_custom_field("Backup", Some("VirtualMachine"))
            .unwrap();
        let all = lab.add_custom_field("Owner", None).unwrap();
        assert_eq!((vms_only.key, all.key), (101, 102));
        let taken = lab.add_custom_field("Owner", None).unwrap_err();
        assert!(matches!(taken, Error::AlreadyExists { .. }));

        let (vm, host) = (("VirtualMachine", "vm-1021"), ("HostSystem", "host-16"));
        lab.set_custom_value(vm, 101, "daily").unwrap();
        lab.set_custom_value(vm, 102, "ops").unwrap();
        lab.set_custom_value(host, 102, "ops").unwrap();
        let refused = lab.set_custom_value(host, 101, "x").unwrap_err();
        assert!(matches!(refused, Error::InvalidSpec { .. }));
        lab.rename_custom_field(101, "Schedule").unwrap();
        let refused = lab.rename_custom_field(101, "Owner").unwrap_err();
        assert!(matches!(refused, Error::AlreadyExists { .. }));

        let values = |entity: &str| -> Vec<(i32, String)> {
            let site = lab.site().unwrap();
            let values = site.custom_values_of(entity);
            values.map(|(key, text)| (key, text.to_owned())).collect()
        };
        let both = [(101, "daily".to_owned()), (102, "ops".to_owned())];
        assert_eq!(values("vm-1021"), both);
        lab.set_custom_value(vm, 101, "").unwrap();
        assert_eq!(values("vm-1021"), both[1..]);
        lab.remove_custom_field(102).unwrap();
        assert!(values("vm-1021").is_empty() && values("host-16").is_empty());
        let gone = lab.remove_custom_field(102).unwrap_err();
        assert!(matches!(gone, Error::NotFound { .. }));
        // A number is not given out twice.
        assert_eq!(lab.add_custom_field("Owner", None).unwrap().key, 103);
    }
}
