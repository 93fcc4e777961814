//! How fast the requests of one open disk are answered, and which are too large.

use std::ffi::CStr;
use std::sync::{Mutex, PoisonError};

use lab::{Lab, NfcBandwidth, NfcMemory, Performance};
use vddk_sys as sys;

use crate::clock::now_ns;
use crate::config::AioBuffers;
use crate::error::Failure;

/// What a disk takes of its host's memory at least ("VDDK API reference", 4.4).
const MIN_MEMORY_BYTES: u64 = 1 << 20;

/// The largest request through a vCenter ("VDDK API reference", 4.5).
const MAX_REQUEST_BYTES: u64 = 2 << 20;

const NS_A_SECOND: u128 = 1_000_000_000;

/// The link of one open disk to its host.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    latency_ns: u64,
    bytes_per_s: Option<u64>,
    host: Option<NfcBandwidth>,
    max_request_bytes: Option<u64>,
    link: Mutex<Link>,
    /// Given back when the disk is closed.
    memory: Option<NfcMemory>,
}

/// What the link is busy with.
#[derive(Debug, Default)]
struct Link {
    /// When the bytes of all requests so far have passed.
    free_ns: u64,
    /// When each AIO buffer is free again.
    buffers_ns: Vec<u64>,
}

impl Pace {
    /// The link for a disk of the lab. NBD and NBDSSL take memory of the host and have a largest
    /// request, the other transports do not.
    ///
    /// # Errors
    ///
    /// The code of the performance, 2 by default, if the host has too little memory left.
    pub(crate) fn open(
        lab: &Lab,
        performance: &Performance,
        transport: &CStr,
        aio: AioBuffers,
    ) -> Result<Self, Failure> {
        let performance = lab.performance()?.unwrap_or_else(|| performance.clone());
        let by_nfc = transport.to_bytes().starts_with(b"nbd");
        let mut pace = Self {
            latency_ns: performance.latency_us.saturating_mul(1000),
            bytes_per_s: performance.stream_bytes_per_s.map(|rate| rate.max(1)),
            ..Self::default()
        };
        let buffers = usize::try_from(aio.count.clamp(1, 256)).unwrap_or(1);
        pace.link = Mutex::new(Link {
            free_ns: 0,
            buffers_ns: vec![0; buffers],
        });
        if let Some(rate) = performance.host_bytes_per_s {
            pace.host = Some(lab.nfc_bandwidth(rate)?);
        }
        if by_nfc {
            let largest = performance.max_request_bytes.unwrap_or(MAX_REQUEST_BYTES);
            pace.max_request_bytes = (largest > 0).then_some(largest);
            if let Some(limit_bytes) = performance.host_memory_bytes {
                let bytes = aio.total_bytes().max(MIN_MEMORY_BYTES);
                let memory = lab.take_nfc_memory(bytes, limit_bytes)?;
                let code = performance.host_memory_code;
                let refused = || no_memory(code.unwrap_or(sys::VIX_E_OUT_OF_MEMORY), bytes);
                pace.memory = Some(memory.ok_or_else(refused)?);
            }
        }
        Ok(pace)
    }

    /// Refuses a request that the host has no memory for.
    ///
    /// # Errors
    ///
    /// 2 for a request over the largest.
    pub(crate) fn check(&self, length_bytes: usize) -> Result<(), Failure> {
        let bytes = length_bytes as u64;
        match self.max_request_bytes {
            Some(largest) if bytes > largest => Err(no_memory(sys::VIX_E_OUT_OF_MEMORY, bytes)),
            _ => Ok(()),
        }
    }

    /// Takes a request, and tells when it is answered by the clock; 0 = at once. An asynchronous
    /// one waits for an AIO buffer first.
    ///
    /// # Errors
    ///
    /// When the bandwidth of the host cannot be shared.
    pub(crate) fn admit(&self, length_bytes: usize, asynchronous: bool) -> Result<u64, Failure> {
        if self.latency_ns == 0 && self.bytes_per_s.is_none() && self.host.is_none() {
            return Ok(0);
        }
        let bytes = length_bytes as u64;
        let mut link = self.link.lock().unwrap_or_else(PoisonError::into_inner);
        let buffer = if asynchronous {
            let all = link.buffers_ns.iter().enumerate();
            all.min_by_key(|(_, free_ns)| **free_ns).map(|(at, _)| at)
        } else {
            None
        };
        let free_ns = buffer.map_or(0, |at| link.buffers_ns[at]);
        let begin_ns = now_ns().max(free_ns).saturating_add(self.latency_ns);
        let mut end_ns = begin_ns;
        if let Some(rate) = self.bytes_per_s {
            end_ns = begin_ns
                .max(link.free_ns)
                .saturating_add(transfer_ns(bytes, rate));
            link.free_ns = end_ns;
        }
        if let Some(host) = &self.host {
            end_ns = end_ns.max(host.pass(begin_ns, bytes)?);
        }
        if let Some(at) = buffer {
            link.buffers_ns[at] = end_ns;
        }
        Ok(end_ns)
    }
}

fn transfer_ns(bytes: u64, bytes_per_s: u64) -> u64 {
    let ns = u128::from(bytes) * NS_A_SECOND / u128::from(bytes_per_s);
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// What a host without memory answers ("VDDK API reference", 9).
fn no_memory(code: u32, bytes: u64) -> Failure {
    let message =
        format!("received NFC error 5 from server: Failed to allocate the requested {bytes} bytes");
    Failure::new(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(latency_us: u64, bytes_per_s: Option<u64>, buffers: usize) -> Pace {
        Pace {
            latency_ns: latency_us * 1000,
            bytes_per_s,
            link: Mutex::new(Link {
                free_ns: 0,
                buffers_ns: vec![0; buffers],
            }),
            ..Pace::default()
        }
    }

    /// When requests that all come now are answered, in milliseconds from now.
    fn answered(pace: &Pace, requests: usize, bytes: usize, asynchronous: bool) -> Vec<u64> {
        let start_ns = now_ns();
        let due = (0..requests).map(|_| pace.admit(bytes, asynchronous).unwrap());
        due.map(|due_ns| (due_ns - start_ns) / 1_000_000).collect()
    }

    #[test]
    fn as_many_requests_overlap_as_there_are_buffers() {
        let slow = pace(100_000, None, 2);
        assert_eq!(answered(&slow, 5, 512, true), [100, 100, 200, 200, 300]);
        // One caller makes one synchronous request after another: each has its own round trip.
        assert_eq!(answered(&slow, 2, 512, false), [100, 100]);
    }

    #[test]
    fn the_bytes_of_requests_pass_one_after_another() {
        let narrow = pace(10_000, Some(1_000_000), 4);
        assert_eq!(answered(&narrow, 3, 100_000, true), [110, 210, 310]);
    }

    #[test]
    fn without_limits_nothing_is_waited_for() {
        let free = Pace::default();
        assert_eq!(free.admit(usize::MAX, true).unwrap(), 0);
        assert!(free.check(usize::MAX).is_ok());
        let limited = Pace {
            max_request_bytes: Some(1024),
            ..Pace::default()
        };
        assert!(limited.check(1024).is_ok());
        assert_eq!(
            limited.check(1025).unwrap_err().code,
            sys::VIX_E_OUT_OF_MEMORY
        );
    }
}
