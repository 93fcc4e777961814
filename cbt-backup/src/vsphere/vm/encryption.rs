//! Encryption: which key, and whether what is needed to use it elsewhere is there.

use std::fmt;

use crate::vsphere::xml::{Reader, Tag, XmlError};

/// The name of a key at a key server. It is no secret; the key itself is never sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CryptoKeyId {
    /// The key's id.
    pub key_id: String,
    /// The key provider (cluster of key servers), as vCenter calls it.
    pub provider_id: Option<String>,
}

impl fmt::Display for CryptoKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider_id {
            Some(provider) => write!(f, "{} of {provider}", self.key_id),
            None => f.write_str(&self.key_id),
        }
    }
}

/// What of a VM is encrypted, and by what ("vsphere-api.md" 7.7). Without the key and the
/// bundle, saved NVRAM is of no use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VmEncryption {
    /// The key of the VM's home; unset if the home is not encrypted.
    pub key: Option<CryptoKeyId>,
    /// `encryption.bundle` stands in the configuration. Its value is not kept here.
    pub has_bundle: bool,
    /// `locked` means that the keys are missing now, else `unlocked`.
    pub state: Option<String>,
}

impl VmEncryption {
    /// True if the VM's home is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.key.is_some()
    }
}

/// Reads a `CryptoKeyId`: the id in an element of the same name, the provider in one more.
pub(in crate::vsphere) fn read_key_id(
    r: &mut Reader<'_>,
    tag: &Tag,
) -> Result<CryptoKeyId, XmlError> {
    let mut key = CryptoKeyId::default();
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "keyId" => key.key_id = r.text(tag)?,
            "providerId" => r.children(tag, |r, tag| {
                if tag.name == "id" {
                    key.provider_id = Some(r.text(tag)?);
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(key)
}
