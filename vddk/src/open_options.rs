//! How a disk is opened, read and written.

use std::time::Duration;

use vddk_sys::{
    VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ, VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ,
    VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB, VIXDISKLIB_FLAG_OPEN_READ_ONLY,
    VIXDISKLIB_FLAG_OPEN_SINGLE_LINK, VIXDISKLIB_FLAG_OPEN_UNBUFFERED,
};

use crate::{Error, SECTOR_BYTES, worker::Pace};

/// How reads reach the library. Both never happen on one handle: it would answer error 26000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// `VixDiskLib_ReadAsync`, several in flight. Where the library does not offer it, which its
    /// answer to the first one tells, the disk is read as by [`ReadMode::Synchronous`].
    #[default]
    Asynchronous,
    /// `VixDiskLib_Read`, one after another.
    Synchronous,
}

/// How a disk is opened and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOptions {
    /// How reads are made.
    pub reads: ReadMode,
    /// Calls in flight at once, 1 to 64.
    pub in_flight: usize,
    /// Longest single call, in bytes; whole sectors. Above 2 MiB NBD through vCenter fails.
    pub request_bytes: usize,
    /// How long a read or write may take before the disk is given up; not zero.
    pub time_out: Duration,
    /// How an idle disk's link is kept alive.
    pub keep_alive: KeepAlive,
    /// No caching by this machine (`O_DIRECT` for file, SAN and HotAdd).
    pub unbuffered: bool,
    /// Only this link of the chain: what it does not hold reads as zeros, and holes mean nothing.
    /// ESXi refuses it for its own disks.
    pub single_link: bool,
    /// Compression on the way, for NBDSSL.
    pub compression: Option<Compression>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self {
            reads: ReadMode::Asynchronous,
            in_flight: 4,
            request_bytes: 2 * 1024 * 1024,
            time_out: Duration::from_mins(15),
            keep_alive: KeepAlive::default(),
            unbuffered: false,
            single_link: false,
            compression: None,
        }
    }
}

impl OpenOptions {
    pub(crate) fn flags(&self, write: bool) -> u32 {
        let mut flags = 0;
        if !write {
            flags |= VIXDISKLIB_FLAG_OPEN_READ_ONLY;
        }
        if self.unbuffered {
            flags |= VIXDISKLIB_FLAG_OPEN_UNBUFFERED;
        }
        if self.single_link {
            flags |= VIXDISKLIB_FLAG_OPEN_SINGLE_LINK;
        }
        flags
            | match self.compression {
                None => 0,
                Some(Compression::Zlib) => VIXDISKLIB_FLAG_OPEN_COMPRESSION_ZLIB,
                Some(Compression::FastLz) => VIXDISKLIB_FLAG_OPEN_COMPRESSION_FASTLZ,
                Some(Compression::SkipZ) => VIXDISKLIB_FLAG_OPEN_COMPRESSION_SKIPZ,
            }
    }

    /// How the disk's worker moves data; keep-alive reads are decided when the transport is known.
    pub(crate) fn pace(&self) -> Result<Pace, Error> {
        let sectors = self.request_bytes / SECTOR_BYTES;
        if !self.request_bytes.is_multiple_of(SECTOR_BYTES) || sectors == 0 {
            return Err(Error::Argument {
                what: format!("requests of {} bytes", self.request_bytes),
            });
        }
        if !(1..=64).contains(&self.in_flight) {
            return Err(Error::Argument {
                what: format!("{} reads in flight (1 to 64 are allowed)", self.in_flight),
            });
        }
        if self.time_out.is_zero() {
            return Err(Error::Argument {
                what: "a time-out of nothing, in which nothing can be read".to_owned(),
            });
        }
        if self.keep_alive == KeepAlive::After(Duration::ZERO) {
            return Err(Error::Argument {
                what: "keep-alive reads without a pause".to_owned(),
            });
        }
        Ok(Pace {
            mode: self.reads,
            in_flight: self.in_flight,
            piece_sectors: sectors as u64,
            time_out: self.time_out,
            keep_alive: None,
        })
    }
}

/// When the first sector of an idle disk is read, so that nobody takes its link for dead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepAlive {
    /// On NBD and NBDSSL, after less than half the shortest time-out of VDDK's configuration.
    #[default]
    Automatic,
    /// After this idleness, which is not zero, by any transport.
    After(Duration),
    /// Never.
    Off,
}

/// Compression of the data on an NBDSSL link; servers from vSphere 6.5 on can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zlib.
    Zlib,
    /// FastLZ.
    FastLz,
    /// Runs of zeros are left out.
    SkipZ,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{KeepAlive, OpenOptions};

    #[test]
    fn unfit_options_are_refused() {
        let fit = OpenOptions::default();
        assert!(fit.pace().is_ok());
        for unfit in [
            OpenOptions {
                request_bytes: 0,
                ..fit
            },
            OpenOptions {
                request_bytes: 1000,
                ..fit
            },
            OpenOptions {
                in_flight: 0,
                ..fit
            },
            OpenOptions {
                in_flight: 65,
                ..fit
            },
            OpenOptions {
                time_out: Duration::ZERO,
                ..fit
            },
            OpenOptions {
                keep_alive: KeepAlive::After(Duration::ZERO),
                ..fit
            },
        ] {
            assert!(unfit.pace().is_err(), "{unfit:?}");
        }
    }
}
