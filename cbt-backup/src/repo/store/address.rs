//! Where a store is: a path or a URL.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use reqwest::Url;

use crate::repo::error::Error;

/// How long one request may take, unless the address says otherwise.
const TIMEOUT: Duration = Duration::from_mins(2);
const MAX_TIMEOUT_SECONDS: u64 = 3600;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoreAddress {
    /// A folder.
    Local(PathBuf),
    /// A bucket or container.
    Cloud(CloudAddress),
}

/// Whose protocol a store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloudKind {
    /// S3 and compatible.
    S3,
    /// Azure Blob Storage.
    Azure,
    /// Google Cloud Storage.
    Google,
}

/// A bucket or container, and how to reach it. There are no secrets in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CloudAddress {
    pub(super) kind: CloudKind,
    pub(super) bucket: String,
    /// Without slashes at its ends; empty for the whole bucket.
    pub(super) prefix: String,
    /// Another server than the cloud's own.
    pub(super) endpoint: Option<String>,
    /// S3 only.
    pub(super) region: Option<String>,
    /// Section of AWS's files of credentials; S3 only.
    pub(super) profile: Option<String>,
    /// The bucket is part of the host's name; S3 only.
    pub(super) virtual_host: bool,
    /// S3 only.
    pub(super) checksum: Option<Checksum>,
    /// Storage account; Azure only.
    pub(super) account: Option<String>,
    /// PEM file of the authorities to trust in place of the system's.
    pub(super) ca_file: Option<PathBuf>,
    /// Go without TLS.
    pub(super) plain_http: bool,
    /// The limit of one request.
    pub(super) timeout: Duration,
}

/// What S3 is to check an upload by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksum {
    None,
    Crc64Nvme,
    Sha256,
}

impl FromStr for StoreAddress {
    type Err = Error;

    fn from_str(address: &str) -> Result<Self, Error> {
        let Some((scheme, path)) = address.split_once("://") else {
            return Ok(Self::Local(PathBuf::from(address)));
        };
        let kind = match scheme {
            "file" if path.starts_with('/') => return Ok(Self::Local(PathBuf::from(path))),
            "s3" if cfg!(feature = "cloud") => CloudKind::S3,
            "az" if cfg!(feature = "cloud") => CloudKind::Azure,
            "gs" if cfg!(feature = "cloud") => CloudKind::Google,
            _ => {
                return Err(Error::UnsupportedAddress {
                    address: address.to_owned(),
                    scheme: scheme.to_owned(),
                });
            }
        };
        CloudAddress::parse(kind, address).map(Self::Cloud)
    }
}

impl CloudAddress {
    fn parse(kind: CloudKind, address: &str) -> Result<Self, Error> {
        // Without what stands where a password might.
        let shown = address.split(['?', '#']).next().unwrap_or_default();
        let bad = |why: String| Error::BadAddress {
            address: shown.rsplit('@').next().unwrap_or_default().to_owned(),
            why,
        };
        let url = Url::parse(address).map_err(|error| bad(error.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("credentials do not belong into it".to_owned()));
        }
        if url.port().is_some() || url.fragment().is_some() {
            return Err(bad("a port or # does not belong into it".to_owned()));
        }
        let bucket = url.host_str().unwrap_or_default();
        if bucket.is_empty() {
            return Err(bad("it names no bucket".to_owned()));
        }
        let prefix = url.path().trim_matches('/');
        if prefix.split('/').any(|part| part == "." || part == "..") || prefix.contains('%') {
            return Err(bad("the path may not hold . or .. or %".to_owned()));
        }
        let mut parsed = Self {
            kind,
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
            endpoint: None,
            region: None,
            profile: None,
            virtual_host: false,
            checksum: None,
            account: None,
            ca_file: None,
            plain_http: false,
            timeout: TIMEOUT,
        };
        for (name, value) in url.query_pairs() {
            if value.is_empty() {
                return Err(bad(format!("{name} is empty")));
            }
            parsed.set(&name, &value).map_err(bad)?;
        }
        if let Some(endpoint) = &parsed.endpoint {
            parsed.check_endpoint(endpoint).map_err(bad)?;
        }
        Ok(parsed)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let text = || Some(value.to_owned());
        match (name, self.kind) {
            ("endpoint", _) => self.endpoint = Some(value.trim_end_matches('/').to_owned()),
            ("ca-file", _) => self.ca_file = Some(PathBuf::from(value)),
            ("plain-http", _) => self.plain_http = yes_or_no(name, value)?,
            ("timeout", _) => {
                let seconds = value.parse().ok();
                let seconds = seconds.filter(|s| (1..=MAX_TIMEOUT_SECONDS).contains(s));
                self.timeout =
                    Duration::from_secs(seconds.ok_or_else(|| {
                        format!("timeout is in seconds, 1 to {MAX_TIMEOUT_SECONDS}")
                    })?);
            }
            ("region", CloudKind::S3) => self.region = text(),
            ("profile", CloudKind::S3) => self.profile = text(),
            ("virtual-host", CloudKind::S3) => self.virtual_host = yes_or_no(name, value)?,
            ("checksum", CloudKind::S3) => {
                self.checksum = Some(match value {
                    "none" => Checksum::None,
                    "crc64nvme" => Checksum::Crc64Nvme,
                    "sha256" => Checksum::Sha256,
                    _ => return Err("checksum is none, crc64nvme or sha256".to_owned()),
                });
            }
            ("account", CloudKind::Azure) => self.account = text(),
            // The value is not shown: it may be a secret at the wrong place.
            _ => return Err(format!("it has the unknown parameter {name}")),
        }
        Ok(())
    }

    /// Checks `endpoint`, which may come from the environment too.
    pub(super) fn check_endpoint(&self, endpoint: &str) -> Result<(), String> {
        let url = Url::parse(endpoint).map_err(|error| format!("endpoint: {error}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("credentials do not belong into the endpoint".to_owned());
        }
        match url.scheme() {
            "https" => Ok(()),
            "http" if self.plain_http => Ok(()),
            "http" => Err("endpoint without TLS: ask for it by plain-http=yes".to_owned()),
            _ => Err("endpoint is an https:// address".to_owned()),
        }
    }
}

fn yes_or_no(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{name} is yes or no")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cloud(address: &str) -> CloudAddress {
        match address.parse().unwrap() {
            StoreAddress::Cloud(cloud) => cloud,
            StoreAddress::Local(path) => panic!("{address} is {}", path.display()),
        }
    }

    #[test]
    fn folders_go_by_path_or_file_url() {
        for (address, path) in [
            ("/backup", "/backup"),
            ("backup", "backup"),
            ("file:///backup/a%20b", "/backup/a%20b"),
            ("c:/x", "c:/x"),
        ] {
            let parsed: StoreAddress = address.parse().unwrap();
            assert_eq!(parsed, StoreAddress::Local(PathBuf::from(path)));
        }
    }

    #[test]
    #[cfg(feature = "cloud")]
    fn clouds_go_by_url_and_parameters() {
        let s3 = cloud(
            "s3://vms/site-a/x/?endpoint=https://s3.example:9000&region=eu-1&profile=p&checksum=none",
        );
        assert_eq!(
            (s3.kind, s3.bucket.as_str(), s3.prefix.as_str()),
            (CloudKind::S3, "vms", "site-a/x")
        );
        assert_eq!(s3.endpoint.as_deref(), Some("https://s3.example:9000"));
        assert_eq!(s3.region.as_deref(), Some("eu-1"));
        assert_eq!(s3.checksum, Some(Checksum::None));
        assert!(!s3.plain_http && !s3.virtual_host);
        let plain = cloud("s3://vms?endpoint=http://127.0.0.1:1&plain-http=yes&timeout=30");
        assert!(plain.plain_http && plain.prefix.is_empty());
        assert_eq!(plain.timeout, Duration::from_secs(30));
        let azure = cloud("az://vms/p?account=a&ca-file=/etc/ca.pem");
        assert_eq!(
            (azure.kind, azure.account.as_deref()),
            (CloudKind::Azure, Some("a"))
        );
        assert_eq!(azure.ca_file, Some(PathBuf::from("/etc/ca.pem")));
        // With a slash of its own the server would be asked for a bucket without a name.
        let google = cloud("gs://vms?endpoint=https://gcs.example/");
        assert_eq!(google.kind, CloudKind::Google);
        assert_eq!(google.endpoint.as_deref(), Some("https://gcs.example"));
    }

    #[test]
    #[cfg(feature = "cloud")]
    fn what_does_not_belong_is_refused_and_secrets_are_not_repeated() {
        for (address, why) in [
            ("s3://key:geheim@vms/x", "credentials"),
            ("s3://vms?secret_access_key=geheim", "secret_access_key"),
            ("s3://vms?endpoint=https://k:geheim@h", "credentials"),
            ("s3://vms?endpoint=http://h", "plain-http"),
            ("s3://vms?endpoint=ftp://h", "https"),
            ("s3://vms?plain-http=maybe", "yes or no"),
            ("s3://vms?account=a", "account"),
            ("s3://vms?region=", "empty"),
            ("s3://vms?timeout=0", "seconds"),
            ("s3://vms/a%2f..", "%"),
            ("s3://", ""),
            ("s3:///x", "bucket"),
            ("gs://vms?region=x", "region"),
            ("az://vms#x", "#"),
        ] {
            let error = address.parse::<StoreAddress>().unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(error, Error::BadAddress { .. }),
                "{address}: {error:?}"
            );
            assert!(
                text.contains(why) && !text.contains("geheim"),
                "{address}: {text}"
            );
        }
        assert!(matches!(
            "ftp://x".parse::<StoreAddress>(),
            Err(Error::UnsupportedAddress { .. })
        ));
    }
}
