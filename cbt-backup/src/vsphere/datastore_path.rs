//! `[datastore] folder/file`: the path of a file on a datastore, and its place in a URL.

use std::fmt;
use std::str::FromStr;

use super::error::Error;

/// The path of a file on a datastore. It names no folder above, nothing hidden in `.` or `..`,
/// and has no control characters: it can be put into a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DatastorePath {
    datastore: String,
    path: String,
}

impl DatastorePath {
    /// The file `path`, relative to the root of `datastore`.
    ///
    /// # Errors
    ///
    /// [`Error::BadDatastorePath`] for what names no file below the root.
    pub fn new(datastore: &str, path: &str) -> Result<Self, Error> {
        let bad = |why| Error::BadDatastorePath {
            given: format!("[{datastore}] {path}"),
            why,
        };
        if datastore.is_empty() || datastore.contains(['[', ']', '/']) {
            return Err(bad("the datastore has no proper name"));
        }
        if datastore.contains(char::is_control) || path.contains(char::is_control) {
            return Err(bad("it has control characters"));
        }
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(bad("each part of the path must be a name"));
        }
        Ok(Self {
            datastore: datastore.to_owned(),
            path: path.to_owned(),
        })
    }

    /// The datastore's name.
    pub fn datastore(&self) -> &str {
        &self.datastore
    }

    /// The path below the datastore's root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The file `name` in the same folder.
    ///
    /// # Errors
    ///
    /// [`Error::BadDatastorePath`] for a name that is none.
    pub fn beside(&self, name: &str) -> Result<Self, Error> {
        match self.path.rsplit_once('/') {
            Some((folder, _)) => Self::new(&self.datastore, &format!("{folder}/{name}")),
            None => Self::new(&self.datastore, name),
        }
    }

    /// Path and query of the file's URL ("vSphere API reference, 2.11"). Through a vCenter
    /// `datacenter_path` is the inventory path of the datacenter; a host wants none.
    pub(super) fn url_path(&self, datacenter_path: Option<&str>) -> String {
        let parts: Vec<String> = self.path.split('/').map(percent_encode).collect();
        let datacenter = datacenter_path.map_or_else(String::new, |path| {
            format!("dcPath={}&", percent_encode(path))
        });
        format!(
            "/folder/{}?{datacenter}dsName={}",
            parts.join("/"),
            percent_encode(&self.datastore)
        )
    }
}

/// Everything but letters, digits and `-._~` is encoded, byte by byte.
pub(super) fn percent_encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
            out.extend(['%', digit(byte >> 4), digit(byte)]);
        }
    }
    out
}

impl FromStr for DatastorePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let Some((datastore, path)) = parts else {
            return Err(Error::BadDatastorePath {
                given: text.to_owned(),
                why: "\"[datastore] folder/file\" is expected",
            });
        };
        Self::new(datastore, path.strip_prefix(' ').unwrap_or(path))
    }
}

impl fmt::Display for DatastorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.datastore, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::DatastorePath;

    #[test]
    fn paths_are_read_encoded_and_shown() {
        let path: DatastorePath = "[my store] app #1/a&b %é?.nvram".parse().unwrap();
        assert_eq!(path.to_string(), "[my store] app #1/a&b %é?.nvram");
        assert_eq!(
            path.url_path(Some("North/DC%2f0")),
            "/folder/app%20%231/a%26b%20%25%C3%A9%3F.nvram?dcPath=North%2FDC%252f0&dsName=my%20store"
        );
        assert_eq!(
            path.beside("x.vmx").unwrap().url_path(None),
            "/folder/app%20%231/x.vmx?dsName=my%20store"
        );
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for bad in [
            "",
            "a/b",
            "[] a",
            "[ds]",
            "[ds] ",
            "[ds] /etc/passwd",
            "[ds] ../b",
            "[ds] a/../b",
            "[ds] a/./b",
            "[ds] a//b",
            "[ds] a/",
            "[ds] a\nb",
            "[d/s] a",
            "[ds",
        ] {
            assert!(bad.parse::<DatastorePath>().is_err(), "{bad:?}");
        }
    }
}
