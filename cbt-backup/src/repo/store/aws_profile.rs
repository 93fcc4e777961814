//! The files in which Amazon's own tools keep credentials and the region.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::repo::error::Error;
use crate::secret::Secret;
use crate::whole_file;

/// Such a file is a page of text.
const MAX_BYTES: u64 = 1 << 20;

/// One section of the files.
#[derive(Debug, Default)]
pub(super) struct Profile {
    key_id: Option<String>,
    secret: Option<Secret>,
    token: Option<Secret>,
    pub(super) region: Option<String>,
}

/// What a request is signed with.
#[derive(Debug)]
pub(super) struct ProfileKeys<'a> {
    pub(super) id: &'a str,
    pub(super) secret: &'a Secret,
    pub(super) token: Option<&'a Secret>,
}

impl Profile {
    /// The keys, where both are there.
    pub(super) fn keys(&self) -> Option<ProfileKeys<'_>> {
        Some(ProfileKeys {
            id: self.key_id.as_deref()?,
            secret: self.secret.as_ref()?,
            token: self.token.as_ref(),
        })
    }

    #[cfg(test)]
    pub(super) fn of(id: &str, secret: &str, region: &str) -> Self {
        Self {
            key_id: Some(id.to_owned()),
            secret: Some(Secret::new(secret.to_owned())),
            token: None,
            region: Some(region.to_owned()),
        }
    }

    /// Takes what section `name` of `text` says. True when there is such a section.
    fn take(&mut self, text: &str, name: &str) -> bool {
        let (mut inside, mut found) = (false, false);
        for line in text.lines() {
            // An indented line belongs to the setting before it.
            if line.starts_with([' ', '\t', '#', ';']) {
                continue;
            }
            if let Some(section) = line.trim_end().strip_prefix('[') {
                let section = section.split(']').next().unwrap_or_default().trim();
                let section = section.strip_prefix("profile ").unwrap_or(section);
                inside = section.trim() == name;
                found |= inside;
            } else if let (true, Some((key, value))) = (inside, line.split_once('=')) {
                self.set(key.trim(), value.trim());
            }
        }
        found
    }

    fn set(&mut self, key: &str, value: &str) {
        let secret = || Some(Secret::new(value.to_owned()));
        match key {
            "aws_access_key_id" => self.key_id = Some(value.to_owned()),
            "aws_secret_access_key" => self.secret = secret(),
            "aws_session_token" => self.token = secret(),
            "region" => self.region = Some(value.to_owned()),
            _ => {}
        }
    }
}

/// Reads the profile `named`, else the one that `AWS_PROFILE` names, else `default`.
///
/// # Errors
/// `BadAddress` for a named profile that is not there, `Folder` for a file that cannot be read.
pub(super) fn read(named: Option<&str>) -> Result<Option<Profile>, Error> {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let named = named.map(str::to_owned).or_else(|| variable("AWS_PROFILE"));
    let home = variable("HOME").map(PathBuf::from);
    let file = |name: &str, customary: &str| {
        let path = variable(name).map(PathBuf::from);
        path.or_else(|| Some(home.as_ref()?.join(customary)))
    };
    // Credentials win over the other file, so they are read last.
    let files = [
        file("AWS_CONFIG_FILE", ".aws/config"),
        file("AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials"),
    ];
    read_files(
        named.as_deref(),
        files.iter().flatten().map(PathBuf::as_path),
    )
}

fn read_files<'a>(
    named: Option<&str>,
    files: impl Iterator<Item = &'a Path>,
) -> Result<Option<Profile>, Error> {
    let mut profile = Profile::default();
    let mut found = false;
    for path in files {
        found |= profile.take(&text(path)?, named.unwrap_or("default"));
    }
    match named {
        Some(name) if !found => Err(Error::BadAddress {
            address: format!("profile {name}"),
            why: "it is in none of Amazon's files of credentials".to_owned(),
        }),
        _ => Ok(found.then_some(profile)),
    }
}

/// The text of a file; empty where there is none.
fn text(path: &Path) -> Result<Zeroizing<String>, Error> {
    let failed = |source| Error::Folder {
        path: path.display().to_string(),
        source: Arc::new(source),
    };
    match whole_file::read_text(path, MAX_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Zeroizing::default()),
        read => read.map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str =
        "[default]\nregion = eu-1\n[profile other]\nregion=eu-2\ns3 =\n  region = no\n";
    const CREDENTIALS: &str = "# c\n[default]\naws_access_key_id = d\naws_secret_access_key = ds=\n\n[other]\naws_access_key_id=o\naws_secret_access_key=os\naws_session_token = t\n[half]\naws_access_key_id=h\n";

    fn read_both(named: Option<&str>) -> Result<Option<Profile>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("config"), folder.path().join("cred")];
        std::fs::write(&files[0], CONFIG).unwrap();
        std::fs::write(&files[1], CREDENTIALS).unwrap();
        read_files(named, files.iter().map(PathBuf::as_path))
    }

    #[test]
    fn sections_are_told_apart() {
        let default = read_both(None).unwrap().unwrap();
        let keys = default.keys().unwrap();
        assert_eq!((keys.id, keys.secret.expose()), ("d", "ds="));
        assert!(keys.token.is_none());
        assert_eq!(default.region.as_deref(), Some("eu-1"));
        let other = read_both(Some("other")).unwrap().unwrap();
        assert_eq!(other.keys().unwrap().token.unwrap().expose(), "t");
        assert_eq!(other.region.as_deref(), Some("eu-2"));
        assert!(read_both(Some("half")).unwrap().unwrap().keys().is_none());
        assert!(!format!("{other:?}").contains("os"), "{other:?}");
    }

    #[test]
    fn a_profile_that_is_named_must_be_there() {
        let error = read_both(Some("third")).unwrap_err();
        assert!(error.to_string().contains("third"), "{error}");
        let nowhere = [Path::new("/no/such/file")];
        assert!(read_files(None, nowhere.into_iter()).unwrap().is_none());
    }
}
