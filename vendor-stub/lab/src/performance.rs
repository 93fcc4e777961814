//! How fast the simulated hosts are, and what their NFC service has memory for.

use serde::{Deserialize, Serialize};

use crate::state::{read_if_there, remove_if_there, replace};
use crate::{Error, Lab};

/// Speed and limits of the host as VixDiskLib meets them. What is 0 or `None` costs nothing or has
/// no limit, unless its line says otherwise.
///
/// It stands in the table `[performance]` of `standin.toml`, and in `LAB/performance.toml`, which
/// counts where both are there. A disk keeps what it found when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Performance {
    /// Round trip of every request, in microseconds. Synchronous requests pay it one after
    /// another; of asynchronous ones as many overlap as the session has AIO buffers.
    pub latency_us: u64,
    /// Bandwidth of one open disk, in bytes a second.
    pub stream_bytes_per_s: Option<u64>,
    /// Bandwidth of the host, in bytes a second, shared by all disks of all processes.
    pub host_bytes_per_s: Option<u64>,
    /// Memory of the host's NFC service in bytes, for all disks of all processes: 32 MB in ESXi 5,
    /// 48 MB in 6 and 7 ("VDDK API reference", 4.4). A disk takes its AIO buffers, at least 1 MiB.
    pub host_memory_bytes: Option<u64>,
    /// Code of an `Open` that finds too little of that memory: 1, 2, 13 or 14009; default 2.
    pub host_memory_code: Option<u32>,
    /// Largest request over NBD and NBDSSL in bytes; larger ones fail with 2. 0 = no limit;
    /// default 2 MiB, as through a vCenter ("VDDK API reference", 4.5). An ESXi host itself
    /// takes about 23 MB.
    pub max_request_bytes: Option<u64>,
}

impl Lab {
    /// What `LAB/performance.toml` says; `None` without such a file.
    ///
    /// # Errors
    ///
    /// [`Error::Toml`] for a bad file, [`Error::Io`].
    pub fn performance(&self) -> Result<Option<Performance>, Error> {
        let path = self.root().join("performance.toml");
        let Some(text) = read_if_there(&path)? else {
            return Ok(None);
        };
        let parsed = toml::from_slice(&text);
        parsed
            .map(Some)
            .map_err(|source| Error::Toml { path, source })
    }

    /// Sets the performance that disks opened from now on meet; `None` leaves it to the kit's
    /// `standin.toml`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn set_performance(&self, performance: Option<&Performance>) -> Result<(), Error> {
        let path = self.root().join("performance.toml");
        let Some(performance) = performance else {
            return remove_if_there(&path);
        };
        let text = toml::to_string(performance).map_err(|source| Error::FaultsWrite { source })?;
        replace(&path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteSpec;

    #[test]
    fn what_is_set_is_read_and_bad_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        assert_eq!(lab.performance().unwrap(), None);
        let performance = Performance {
            latency_us: 1000,
            stream_bytes_per_s: Some(500_000_000),
            host_memory_bytes: Some(48 << 20),
            ..Performance::default()
        };
        lab.set_performance(Some(&performance)).unwrap();
        assert_eq!(lab.performance().unwrap(), Some(performance));
        lab.set_performance(None).unwrap();
        assert_eq!(lab.performance().unwrap(), None);
        std::fs::write(folder.path().join("performance.toml"), "latency_ms = 1\n").unwrap();
        assert!(matches!(lab.performance(), Err(Error::Toml { .. })));
    }
}
