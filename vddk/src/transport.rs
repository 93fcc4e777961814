//! Ways to reach a disk, and an ordered list of them.

mod facts;
mod impossible;
mod machine;
mod plan;

use std::{fmt, str::FromStr};

use crate::Error;
pub use facts::{DiskFacts, Storage};
pub use impossible::{Dropped, Impossible};
pub use machine::Machine;
pub(crate) use plan::write_dropped;
pub use plan::{TransportFallback, TransportPlan, TransportPolicy};

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

    /// What it needs and what it cannot do, of which only a part can be checked beforehand (VDDK
    /// API reference, 4.2, 4.3, 4.6 and 4.7).
    pub fn conditions(self) -> &'static str {
        match self {
            Self::File => "a VMDK of the local file system",
            Self::San => {
                "a physical machine that sees the LUN by Fibre Channel or iSCSI, and a disk on shared VMFS that is \
                 not encrypted; root; a snapshot for a running VM; writes go to base disks only, with change \
                 tracking off, and are slower than the network for thin disks"
            }
            Self::HotAdd => {
                "this program runs in a VM of the same vCenter that sees the datastore and has a free slot on a SCSI \
                 controller; root; SCSI disks, no raw devices; a snapshot; an encrypted disk needs an encrypted VM \
                 here too"
            }
            Self::NbdSsl => {
                "TCP 443 to the server and TCP 902 to every ESXi host, by the names that vCenter has for them"
            }
            Self::Nbd => "as nbdssl, without TLS; recent ESXi refuses it",
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
