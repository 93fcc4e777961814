//! What all disks in work share.

use clap::Args;

use super::rate::Rate;
use crate::engine::BudgetLimits;

/// How much is asked of hosts and datastores at once.
#[derive(Debug, Args)]
pub struct BudgetOptions {
    /// Disks that are read at once, of all virtual machines together
    #[arg(long, env = "CBT_BACKUP_STREAMS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=256), value_name = "N")]
    streams: u32,
    /// Disks that one ESXi host sends by the network at once. Each takes some 4 MiB of the host's NFC memory, of which there are 48 MiB for everybody
    #[arg(long, env = "CBT_BACKUP_HOST_STREAMS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256), value_name = "N")]
    host_streams: u32,
    /// Disks of one datastore that are read at once
    #[arg(long, env = "CBT_BACKUP_DATASTORE_STREAMS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256), value_name = "N")]
    datastore_streams: u32,
    /// At most so many bytes a second from the disks, for instance 200MiB
    #[arg(long, env = "CBT_BACKUP_LIMIT_READ", value_name = "RATE")]
    limit_read: Option<Rate>,
}

impl BudgetOptions {
    /// As the engine wants them.
    pub fn limits(&self) -> BudgetLimits {
        BudgetLimits {
            streams: self.streams,
            host_streams: self.host_streams,
            datastore_streams: self.datastore_streams,
            bytes_per_second: self.limit_read.map(|rate| rate.0),
        }
    }
}

/// Reads how many disks of a virtual machine, or how many of those, are in work at once.
///
/// # Errors
/// For anything but 1 to 64.
pub fn at_once(text: &str) -> Result<usize, String> {
    let number = text.parse().ok();
    number
        .filter(|number| (1..=64).contains(number))
        .ok_or_else(|| "a number from 1 to 64 is wanted".to_owned())
}
