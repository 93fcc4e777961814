//! One fault: which calls it fires on, and what it does.

use serde::{Deserialize, Serialize};

/// How an answer of `QueryChangedDiskAreas` lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Lie {
    /// The page has length 0.
    StalledPage,
    /// The page starts elsewhere than asked.
    WrongStart,
    /// An area leaves the page.
    OutOfPage,
    /// An area ends behind the disk.
    BeyondCapacity,
    /// The page is shorter than it should be, and the rest never comes.
    EmptyEnd,
    /// Two areas overlap.
    Overlap,
    /// An area is missing.
    Omit,
}

/// How an answer of `VixDiskLib_QueryAllocatedBlocks` lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BlocksLie {
    /// The last run ends behind the range that was asked for.
    Outside,
    /// A run begins before the range that was asked for.
    Before,
    /// The runs come last first. A list with one run gets a second.
    Unordered,
    /// Two runs overlap.
    Overlap,
    /// A run is of length 0.
    Empty,
    /// The first run is missing.
    Missing,
    /// A run is no whole number of chunks.
    NotWhole,
    /// There are more runs than the range has chunks; the list holds them all.
    TooMany,
    /// The list says that it has 4294967295 runs and holds none. Who reads it reads what is not there.
    AbsurdCount,
    /// Success, and the pointer to the list is null.
    Null,
}

/// What a function gives in place of a text or of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TextLie {
    /// A null pointer.
    Null,
    /// Bytes that are not UTF-8.
    NotUtf8,
}

/// How the process of the caller ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Crash {
    /// By SIGSEGV.
    Segv,
    /// By SIGABRT.
    Abort,
    /// By SIGKILL.
    Kill,
}

/// One fault, a table `[[fault]]` of `faults.toml`. What is `None` has its default or does not
/// happen. The first fault of the file that fires on a call is the one that happens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// SOAP method or VixDiskLib function. With `.callback` after an asynchronous function, the
    /// completion of the request is meant and not the call.
    pub call: String,
    /// Fires first on this call of the process, from 1; default 1.
    pub nth: Option<u64>,
    /// For how many calls in a row; 0 = for ever; default 1, with a `rate` 0.
    pub count: Option<u64>,
    /// Fires on each of those calls with this chance, over 0 and up to 1. The same calls of every
    /// run are hit: `seed` and the number of the call decide.
    pub rate: Option<f64>,
    /// Decides which calls a `rate` hits; default 0.
    pub seed: Option<u64>,
    /// Fires in the process of that id only.
    pub pid: Option<u32>,
    /// Fires in one process only, and once.
    pub once: Option<bool>,
    /// Error code to return (VixDiskLib); 0 = success is returned and nothing was done.
    pub code: Option<u64>,
    /// Type of the fault to return (SOAP).
    pub fault: Option<String>,
    /// Text that goes with it.
    pub message: Option<String>,
    /// Wait this long first, in milliseconds. With `count = 0` that is a latency of every request.
    pub delay_ms: Option<u64>,
    /// Wait until that time first, in milliseconds since 1970, or until the faults of the lab are
    /// replaced by others (VixDiskLib).
    pub hang_until_ms: Option<u64>,
    /// End the process of the caller (VixDiskLib).
    pub crash: Option<Crash>,
    /// With `crash`: not before the work is done and stands in the journal. With `code`: the work is done, and
    /// the call fails all the same (VixDiskLib).
    pub after: Option<bool>,
    /// The connection of the disk to its host is lost: the call fails with `code` (default 14011),
    /// and so does every other on the handle until the disk is opened anew (VixDiskLib).
    pub lose_link: Option<bool>,
    /// Storage is full: half of what a write shall write is written, and 8 is returned (VixDiskLib).
    pub disk_full: Option<bool>,
    /// The callback of an accepted request never comes; `Wait` and `Close` wait for ever
    /// (VixDiskLib, with `.callback`).
    pub never: Option<bool>,
    /// What is given in place of a text, or of the object with texts in it (VixDiskLib).
    pub text: Option<TextLie>,
    /// Length in bytes that is said to be needed for metadata, in place of the true one (VixDiskLib).
    pub required_bytes: Option<u64>,
    /// How allocated blocks lie (VixDiskLib).
    pub blocks: Option<BlocksLie>,
    /// Answer with this HTTP status and a page of HTML (SOAP).
    pub http_status: Option<u16>,
    /// Cut the answer after that many bytes (SOAP).
    pub truncate: Option<usize>,
    /// Lie about changed areas in this way (SOAP).
    pub lie: Option<Lie>,
}

impl Fault {
    /// Does it fire on the call of that number in this process?
    pub(super) fn fires_on(&self, call_number: u64) -> bool {
        if self.pid.is_some_and(|pid| pid != std::process::id()) {
            return false;
        }
        let first = self.nth.unwrap_or(1);
        let default_count = u64::from(self.rate.is_none());
        let in_row = match self.count.unwrap_or(default_count) {
            0 => call_number >= first,
            count => (first..first.saturating_add(count)).contains(&call_number),
        };
        in_row && self.rate.is_none_or(|rate| self.chance(call_number) < rate)
    }

    /// Why the fault makes no sense.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        if self.call.is_empty() {
            return Some("no call named");
        }
        if self.nth == Some(0) {
            return Some("nth counts from 1");
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1.0)) {
            return Some("rate is over 0 and up to 1");
        }
        if self.never == Some(true) && !self.call.ends_with(".callback") {
            return Some("only a callback can come never");
        }
        None
    }

    /// A number from 0 up to 1 that depends on seed, function and number of the call.
    fn chance(&self, call_number: u64) -> f64 {
        // FNV-1a over the name, so that two functions are not hit in step.
        let name = self.call.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        let mut mixed = name
            .wrapping_add(self.seed.unwrap_or(0).wrapping_mul(0x9E37_79B9_7F4A_7C15))
            .wrapping_add(call_number.wrapping_mul(0xD1B5_4A32_D192_ED03));
        // The finish of SplitMix64.
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // 32 bits fit exactly.
        f64::from((mixed >> 32) as u32) / f64::from(u32::MAX)
    }
}
