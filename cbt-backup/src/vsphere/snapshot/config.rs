//! The configuration a snapshot froze.

use crate::vsphere::device::read_device;
use crate::vsphere::disk::Disk;
use crate::vsphere::property::Properties;
use crate::vsphere::vm::{hardware_version, unescape_name};
use crate::vsphere::xml::{Reader, Tag, XmlError};

/// The longest configuration kept; recorded ones have 15 to 55 kB.
const MAX_RAW_BYTES: usize = 16 << 20;

/// The VM as it was when the snapshot was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SnapshotConfig {
    /// The VM's name.
    pub name: String,
    /// The BIOS UUID.
    pub bios_uuid: Option<String>,
    /// The UUID that vCenter gave.
    pub instance_uuid: Option<String>,
    /// The number in `vmx-19`.
    pub hardware_version: Option<u32>,
    /// Changes with every reconfiguration; good for comparing only.
    pub change_version: Option<String>,
    /// Whether change tracking was switched on.
    pub change_tracking_enabled: Option<bool>,
    /// The disks, with the file names and change ids of the frozen state.
    pub disks: Vec<Disk>,
    /// The whole configuration as received, UTF-8. Only the namespaces bound around it were
    /// added to its first tag, so that it can be read alone.
    pub raw_xml: Vec<u8>,
}

/// The property `config` of a snapshot.
#[derive(Debug, Default)]
pub(in crate::vsphere) struct SnapshotProperties {
    pub(in crate::vsphere) config: Option<SnapshotConfig>,
}

impl Properties for SnapshotProperties {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        if path == "config" {
            self.config = Some(read_config(r.raw(value)?)?);
        }
        Ok(())
    }
}

fn read_config(raw: String) -> Result<SnapshotConfig, XmlError> {
    if raw.len() > MAX_RAW_BYTES {
        return Err(XmlError::TooMany {
            what: "bytes of configuration",
            limit: MAX_RAW_BYTES,
        });
    }
    let mut config = SnapshotConfig::default();
    let mut devices = Vec::new();
    Reader::new(&raw).document(|r, root| {
        r.children(root, |r, tag| {
            match tag.name.as_str() {
                "name" => config.name = unescape_name(&r.text(tag)?),
                "uuid" => config.bios_uuid = Some(r.text(tag)?),
                "instanceUuid" => config.instance_uuid = Some(r.text(tag)?),
                "version" => config.hardware_version = hardware_version(&r.text(tag)?),
                "changeVersion" => config.change_version = Some(r.text(tag)?),
                "changeTrackingEnabled" => {
                    config.change_tracking_enabled = Some(r.boolean(tag)?);
                }
                "hardware" => r.children(tag, |r, tag| {
                    if tag.name == "device" {
                        devices.push(read_device(r, tag)?);
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })
    })?;
    config.disks = Disk::from_devices(devices)?;
    config.raw_xml = raw.into_bytes();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::read_config;

    #[test]
    fn the_name_is_unescaped_and_the_text_kept() {
        let raw = "<val><name>50%25</name><version>vmx-19</version></val>";
        let config = read_config(raw.to_owned()).unwrap();
        assert_eq!(config.name, "50%");
        assert_eq!(config.raw_xml, raw.as_bytes());
        assert!(config.disks.is_empty());
    }
}
