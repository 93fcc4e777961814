//! How a VM is encrypted that is made again ("vSphere API reference, 7.7").

use crate::vsphere::xml::Node;

/// The setting that holds the VM's keys, sealed with the key that has a name.
const BUNDLE: &str = "encryption.bundle";

/// How the new VM is encrypted, where the old one was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpecEncryption {
    /// Not at all. What is lost by this is told.
    #[default]
    None,
    /// With the old keys, which the server must get from the same provider under the same name.
    OldKeys {
        /// The storage policy for encryption, by its id; some servers want it.
        policy_id: Option<String>,
    },
    /// With new keys: what NVRAM and virtual TPM hold can't be read with them.
    NewKeys {
        /// The storage policy for encryption, by its id.
        policy_id: String,
    },
}

impl SpecEncryption {
    fn policy_id(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::OldKeys { policy_id } => policy_id.as_deref(),
            Self::NewKeys { policy_id } => Some(policy_id),
        }
    }

    fn profile(&self, name: &str) -> Option<Node> {
        let id = Node::leaf("profileId", self.policy_id()?);
        Some(Node::of(name, vec![id]).typed("VirtualMachineDefinedProfileSpec"))
    }

    fn crypto(&self, old_key: &Node) -> Option<Node> {
        let keeps_keys = matches!(self, Self::OldKeys { .. });
        keeps_keys.then(|| {
            let key = old_key.renamed("cryptoKeyId");
            Node::of("crypto", vec![key]).typed("CryptoSpecEncrypt")
        })
    }

    /// `vmProfile` of a VM that was encrypted.
    pub(super) fn vm_profile(&self, config: &Node) -> Vec<Node> {
        let is_encrypted = key(config).is_some();
        let profile = self.profile("vmProfile").filter(|_| is_encrypted);
        profile.into_iter().collect()
    }

    /// `crypto` of a VM that was encrypted.
    pub(super) fn vm_crypto(&self, config: &Node) -> Vec<Node> {
        let crypto = key(config).and_then(|key| self.crypto(key));
        crypto.into_iter().collect()
    }

    /// True if the bundle is sent.
    pub(super) fn keeps_bundle(&self) -> bool {
        matches!(self, Self::OldKeys { .. })
    }

    /// What follows the device in the change that adds a disk.
    pub(super) fn of_disk(&self, old: &Node) -> Vec<Node> {
        let Some(key) = old.child("backing").and_then(key) else {
            return Vec::new();
        };
        let backing = self.crypto(key);
        let backing = backing.map(|crypto| Node::of("backing", vec![crypto]));
        self.profile("profile").into_iter().chain(backing).collect()
    }

    /// What somebody may miss, in words.
    pub(super) fn left_out(&self, config: &Node) -> Vec<String> {
        let has_bundle = config.children.iter().any(|setting| {
            setting.name == "extraConfig" && setting.child_text("key").is_some_and(is_bundle)
        });
        let mut told = Vec::new();
        let is_encrypted = key(config).is_some();
        if is_encrypted && *self == Self::None {
            told.push("the encryption of the VM's home".to_owned());
        }
        if has_bundle && !self.keeps_bundle() {
            told.push(format!(
                "{BUNDLE}, without which NVRAM and virtual TPM can't be read"
            ));
        }
        if is_encrypted && !has_bundle && self.keeps_bundle() {
            told.push(format!(
                "{BUNDLE} is not in the configuration, and without it NVRAM and virtual TPM can't be read"
            ));
        }
        told
    }

    /// True if the disk was encrypted and will not be.
    pub(super) fn strips_disk(&self, old: &Node) -> bool {
        *self == Self::None && old.child("backing").and_then(key).is_some()
    }
}

/// The key of a configuration or of a backing.
fn key(of: &Node) -> Option<&Node> {
    of.child("keyId").filter(|key| !key.is_empty())
}

/// True for the key of the setting that holds the sealed keys.
pub(super) fn is_bundle(setting: &str) -> bool {
    setting.eq_ignore_ascii_case(BUNDLE)
}
