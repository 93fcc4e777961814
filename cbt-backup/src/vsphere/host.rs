//! Hosts: what runs the VMs, and which release of it.

mod defect;

use std::fmt;
use std::str::FromStr;

use super::client::Client;
use super::error::Error;
use super::moref::Moref;
use super::property::{Properties, PropertyFilterSpec, PropertySpec, Source};
use super::vm::Vm;
use super::xml::{Reader, Tag, XmlError};

/// Objects a page.
const PAGE_OBJECTS: u32 = 200;

/// What is read of a host. The summary can be read where the configuration can't.
const PATHS: &[&str] = &[
    "name",
    "runtime.connectionState",
    "summary.config.product",
    "summary.hardware.uuid",
];

/// The number of a release, such as `8.0.3`. It compares part by part; parts not named are 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostVersion {
    /// The first part.
    pub major: u32,
    /// The second part.
    pub minor: u32,
    /// The third part: the update.
    pub update: u32,
}

impl FromStr for HostVersion {
    type Err = ();

    /// # Errors
    ///
    /// For a text that does not begin with a number, or has a part that is none.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text
            .trim()
            .split('.')
            .map(|part| part.parse().map_err(|_| ()));
        Ok(Self {
            major: parts.next().ok_or(())??,
            minor: parts.next().unwrap_or(Ok(0))?,
            update: parts.next().unwrap_or(Ok(0))?,
        })
    }
}

impl fmt::Display for HostVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.update)
    }
}

/// A host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Its name at the server.
    pub name: String,
    /// `connected`, `disconnected` or `notResponding`.
    pub connection_state: String,
    /// Its product with version and build, for people; empty where the server does not say.
    pub product: String,
    /// Its release, if it has the usual form.
    pub version: Option<HostVersion>,
    /// Its build, if it is a number. Which bugs it has depends on this.
    pub build: Option<u64>,
    /// The newest version of the API that it speaks itself.
    pub api_version: Option<HostVersion>,
    /// The UUID of its hardware, in small letters; unset where it is none that tells hosts apart.
    pub uuid: Option<String>,
}

impl Client {
    /// The host that runs the VM: its release, build and API. Where it is not told, or may not be
    /// looked at, nothing is known of it.
    ///
    /// # Errors
    ///
    /// Any failure of the calls that is no refusal.
    pub async fn host_of(&self, vm: &Vm) -> Result<Host, Error> {
        let Some(host) = &vm.host else {
            return Ok(Host::default());
        };
        match self.hosts(std::slice::from_ref(host)).await {
            Ok(mut found) => Ok(found.pop().map(|(_, host)| host).unwrap_or_default()),
            // The account may have no right on hosts.
            Err(error) if error.fault().is_some() => Ok(Host::default()),
            Err(error) => Err(error),
        }
    }

    /// Reads several hosts in one call. One that is gone, or may not be looked at, is left out.
    ///
    /// # Errors
    ///
    /// Any failure of the calls.
    pub async fn hosts(&self, hosts: &[Moref]) -> Result<Vec<(Moref, Host)>, Error> {
        if hosts.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = vec![PropertySpec::new("HostSystem", PATHS)];
        let mut spec = PropertyFilterSpec::of_objects(hosts, wanted);
        spec.report_missing = Some(true);
        let pages = self.pages::<Host>(Source::Spec(spec), Some(PAGE_OBJECTS));
        let found = pages.collect().await?;
        Ok(found
            .into_iter()
            .map(|found| (found.moref, found.properties))
            .collect())
    }
}

impl Properties for Host {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        match path {
            "name" => self.name = r.text(value)?,
            "runtime.connectionState" => self.connection_state = r.text(value)?,
            "summary.config.product" => r.children(value, |r, tag| {
                match tag.name.as_str() {
                    "fullName" => self.product = r.text(tag)?,
                    "version" => self.version = r.text(tag)?.parse().ok(),
                    "apiVersion" => self.api_version = r.text(tag)?.parse().ok(),
                    "build" => self.build = r.text(tag)?.trim().parse().ok(),
                    _ => {}
                }
                Ok(())
            })?,
            "summary.hardware.uuid" => self.uuid = distinct(&r.text(value)?),
            _ => {}
        }
        Ok(())
    }
}

/// A UUID that tells hosts apart. Boards whose maker has set none say all zeros, or all ones.
fn distinct(uuid: &str) -> Option<String> {
    let uuid = uuid.trim().to_ascii_lowercase();
    let mut digits = uuid.chars().filter(char::is_ascii_hexdigit);
    let first = digits.next()?;
    let is_one_digit = matches!(first, '0' | 'f') && digits.all(|digit| digit == first);
    (!is_one_digit).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::{HostVersion, distinct};

    #[test]
    fn a_uuid_that_all_have_names_no_host() {
        let uuid = "4C4C4544-0042-3510-8052-B4C04F4A3232";
        assert_eq!(distinct(uuid), Some(uuid.to_lowercase()));
        for none in [
            "",
            " ",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        ] {
            assert_eq!(distinct(none), None, "{none:?}");
        }
    }

    #[test]
    fn versions_compare_by_number() {
        let version = |text: &str| text.parse::<HostVersion>();
        assert!(version("8.0.10") > version("8.0.9"));
        assert!(version("7.0") < version("7.0.1"));
        assert_eq!(version("8").unwrap().to_string(), "8.0.0");
        assert_eq!(version("6.7.0.1").unwrap().to_string(), "6.7.0");
        for bad in ["", "x", "8.x", "-1.0"] {
            assert!(version(bad).is_err(), "{bad}");
        }
    }
}
