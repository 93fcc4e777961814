//! Where a store is: a path or a URL.

use std::path::PathBuf;
use std::str::FromStr;

use crate::repo::error::Error;

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StoreAddress {
    /// A folder.
    Local(PathBuf),
}

impl FromStr for StoreAddress {
    type Err = Error;

    fn from_str(address: &str) -> Result<Self, Error> {
        match address.split_once("://") {
            None => Ok(Self::Local(PathBuf::from(address))),
            Some(("file", path)) if path.starts_with('/') => Ok(Self::Local(PathBuf::from(path))),
            Some((scheme, _)) => Err(Error::UnsupportedAddress {
                address: address.to_owned(),
                scheme: scheme.to_owned(),
            }),
        }
    }
}
