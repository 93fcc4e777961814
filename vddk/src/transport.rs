//! Ways to reach a disk, and an ordered list of them.

use std::{fmt, str::FromStr};

use crate::Error;

/// A way to reach a disk (VDDK API reference, 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportMode {
    /// A VMDK of the local file system.
    File,
    /// The LUN itself, by Fibre Channel or iSCSI.
    San,
    /// The disk is attached to the virtual machine that this program runs in.
    HotAdd,
    /// The network block protocol of ESXi, by TLS.
    NbdSsl,
    /// The same without TLS; recent ESXi refuses it.
    Nbd,
}

impl TransportMode {
    /// True for NBD and NBDSSL: the data comes from an ESXi host by TCP.
    pub fn is_network(self) -> bool {
        matches!(self, Self::NbdSsl | Self::Nbd)
    }

    /// VDDK's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::San => "san",
            Self::HotAdd => "hotadd",
            Self::NbdSsl => "nbdssl",
            Self::Nbd => "nbd",
        }
    }
}

impl fmt::Display for TransportMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for TransportMode {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        [Self::File, Self::San, Self::HotAdd, Self::NbdSsl, Self::Nbd]
            .into_iter()
            .find(|mode| mode.as_str() == word)
            .ok_or_else(|| Error::Argument {
                what: format!("transport mode {word:?} (known: file, san, hotadd, nbdssl, nbd)"),
            })
    }
}

/// Transport modes in order of preference; never empty.
///
/// The library is always given such a list: left to itself it prefers SAN wherever a LUN is
/// visible, and does not check that the disk lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportModes(Vec<TransportMode>);

impl TransportModes {
    /// A single mode.
    pub fn only(mode: TransportMode) -> Self {
        Self(vec![mode])
    }

    /// The modes, most wanted first.
    pub fn modes(&self) -> &[TransportMode] {
        &self.0
    }
}

impl From<TransportMode> for TransportModes {
    fn from(mode: TransportMode) -> Self {
        Self::only(mode)
    }
}

impl fmt::Display for TransportModes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mode) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            f.write_str(mode.as_str())?;
        }
        Ok(())
    }
}

impl FromStr for TransportModes {
    type Err = Error;

    /// Reads VDDK's own form, `hotadd:nbdssl`.
    fn from_str(list: &str) -> Result<Self, Error> {
        let mut modes = Vec::new();
        for word in list.split(':') {
            let mode = word.parse()?;
            if modes.contains(&mode) {
                return Err(Error::Argument {
                    what: format!("transport mode {word} named twice"),
                });
            }
            modes.push(mode);
        }
        Ok(Self(modes))
    }
}

#[cfg(test)]
mod tests {
    use super::TransportModes;

    #[test]
    fn a_list_reads_as_it_prints_and_refuses_what_is_wrong() {
        let modes: TransportModes = "hotadd:nbdssl:nbd".parse().unwrap();
        assert_eq!(modes.to_string(), "hotadd:nbdssl:nbd");
        for wrong in ["", "nbdssl:", "NBDSSL", "nbd:nbd", "telepathy"] {
            assert!(
                wrong.parse::<TransportModes>().is_err(),
                "{wrong:?} was accepted"
            );
        }
    }
}
