//! The API version: it stands in every request and shapes the answers.

use std::cmp::Ordering;

use super::error::Error;
use super::xml::{Reader, Tag, XmlError, short};

/// The newest version whose answers this client was tested with.
const NEWEST_TESTED: &str = "8.0.2.0";
/// The oldest version with everything this client uses.
const OLDEST: &str = "6.5";
/// What the document is called in errors.
pub(super) const VERSIONS: &str = "vimServiceVersions.xml";

/// Chooses the newest version that both sides know ("vsphere-api.md" 1.11).
///
/// # Errors
///
/// [`Error::ServerTooOld`], or [`Error::Xml`] and [`Error::NotXml`] for another document.
pub(super) fn negotiate(document: &[u8]) -> Result<String, Error> {
    let offered = read(document).map_err(|source| Error::Xml {
        method: VERSIONS,
        source,
    })?;
    choose(&offered)
}

fn choose(offered: &[String]) -> Result<String, Error> {
    // Names such as `uA046D008` are internal: no number, no version.
    let mut known: Vec<&String> = offered.iter().filter(|v| numbers(v).is_some()).collect();
    known.sort_by(|a, b| compare(a, b));
    let usable = |v: &&&String| {
        compare(v, NEWEST_TESTED) != Ordering::Greater && compare(v, OLDEST) != Ordering::Less
    };
    match known.iter().rev().find(usable) {
        Some(version) => Ok((*version).clone()),
        None => Err(Error::ServerTooOld {
            newest: short(known.last().map_or("none", |v| v.as_str())),
            required: OLDEST,
        }),
    }
}

/// All versions of the namespace `urn:vim25`, current and prior.
fn read(document: &[u8]) -> Result<Vec<String>, XmlError> {
    let mut versions = Vec::new();
    Reader::from_bytes(document)?.document(|r, root| {
        r.children(root, |r, tag| {
            let (name, found) = read_namespace(r, tag)?;
            if name == "urn:vim25" {
                versions.extend(found);
            }
            Ok(())
        })
    })?;
    if versions.is_empty() {
        return Err(XmlError::Missing {
            element: "version",
            inside: "namespace urn:vim25",
        });
    }
    Ok(versions)
}

fn read_namespace(r: &mut Reader<'_>, tag: &Tag) -> Result<(String, Vec<String>), XmlError> {
    let mut name = String::new();
    let mut versions = Vec::new();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "name" => name = r.text(tag)?,
            "version" => versions.push(r.text(tag)?),
            "priorVersions" => r.children(tag, |r, tag| {
                versions.push(r.text(tag)?);
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((name, versions))
}

/// Compares by number; `6.7` is before `6.7.1`.
fn compare(a: &str, b: &str) -> Ordering {
    numbers(a).cmp(&numbers(b))
}

fn numbers(version: &str) -> Option<Vec<u32>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{choose, negotiate};
    use crate::vsphere::error::Error;

    fn pick(offered: &[&str]) -> Result<String, Error> {
        let offered: Vec<String> = offered.iter().map(|v| (*v).to_owned()).collect();
        choose(&offered)
    }

    #[test]
    fn the_newest_that_both_know() {
        assert_eq!(
            pick(&["uA046D008", "8.0.2.0", "8.0.1.0", "4.0"]).unwrap(),
            "8.0.2.0"
        );
        assert_eq!(pick(&["6.5", "6.0"]).unwrap(), "6.5");
        assert_eq!(
            pick(&["10.0.0.0", "8.0.3.0", "7.0.3.2", "6.7"]).unwrap(),
            "7.0.3.2"
        );
        assert_eq!(pick(&["6.7.1", "6.7"]).unwrap(), "6.7.1");
    }

    #[test]
    fn too_old_servers_are_refused_with_their_version() {
        let error = pick(&["4.1", "6.0"]).unwrap_err();
        assert!(error.to_string().contains("6.0"), "{error}");
        assert!(pick(&["uABC"]).is_err());
    }

    #[test]
    fn the_document_is_read_by_namespace() {
        let document = b"<namespaces><namespace><name>urn:sms</name><version>8.0.2.0</version></namespace><namespace><name>urn:vim25</name><version>uX</version><priorVersions><version>7.0.0.0</version></priorVersions></namespace></namespaces>";
        assert_eq!(negotiate(document).unwrap(), "7.0.0.0");
        assert!(negotiate(b"<namespaces/>").is_err());
        assert!(negotiate(b"404").is_err());
    }
}
