//! What the stand-ins were asked, and whether everything that began was ended.

use std::collections::BTreeMap;

use lab::Entry;

/// The journal of a lab at one moment.
#[derive(Clone, Debug)]
pub struct Calls {
    entries: Vec<Entry>,
}

/// Calls of the library that begin something, and those that end it.
const PAIRS: [(&str, &str); 3] = [
    ("VixDiskLib_ConnectEx", "VixDiskLib_Disconnect"),
    ("VixDiskLib_Open", "VixDiskLib_Close"),
    ("VixDiskLib_InitEx", "VixDiskLib_Exit"),
];

impl Calls {
    pub(crate) fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// All calls, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The calls of one name: `who` is `vcenter` or `vixdisklib`.
    pub fn of(&self, who: &str, call: &str) -> Vec<&Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.who == who && entry.call == call)
            .collect()
    }

    /// How many calls of one name there were.
    pub fn count(&self, who: &str, call: &str) -> usize {
        self.of(who, call).len()
    }

    /// True when that half was never called.
    pub fn is_silent(&self, who: &str) -> bool {
        !self.entries.iter().any(|entry| entry.who == who)
    }

    /// Bytes read through the library, over all disks and runs.
    pub fn bytes_read(&self) -> u64 {
        let sums = ["VixDiskLib_Read", "VixDiskLib_ReadAsync"].map(|call| {
            let done = self
                .of("vixdisklib", call)
                .into_iter()
                .filter(|entry| is_ok(entry));
            done.filter_map(|entry| entry.args["bytes"].as_u64())
                .sum::<u64>()
        });
        sums.iter().sum()
    }

    /// Fails the test unless all that began has ended. A process in `killed` ended nothing
    /// itself; what others see of it must have been ended all the same.
    ///
    /// # Panics
    ///
    /// When something is left.
    #[track_caller]
    pub fn assert_ended(&self, killed: &[u32]) {
        self.assert_closed(killed);
        let logins = self
            .of("vcenter", "Login")
            .into_iter()
            .filter(|entry| entry.result == "ok");
        let logouts = self.count("vcenter", "Logout");
        assert_eq!(logins.count(), logouts + killed.len(), "logins and logouts");
    }

    /// As [`Calls::assert_ended`], without the logins: a process may be killed before it logs in.
    ///
    /// # Panics
    ///
    /// When something is left.
    #[track_caller]
    pub fn assert_closed(&self, killed: &[u32]) {
        for prepared in self.of("vixdisklib", "VixDiskLib_PrepareForAccess") {
            if is_ok(prepared) {
                let ended = self
                    .of("vixdisklib", "VixDiskLib_EndAccess")
                    .into_iter()
                    .any(|end| {
                        let same = end.args["identity"] == prepared.args["identity"];
                        same && end.n > prepared.n && is_ok(end)
                    });
                assert!(ended, "no EndAccess after {prepared:?}");
            }
        }
        for (begin, end) in PAIRS {
            let (mut begun, mut ended) = (self.by_process(begin), self.by_process(end));
            begun.retain(|pid, _| !killed.contains(pid));
            ended.retain(|pid, _| !killed.contains(pid));
            assert_eq!(begun, ended, "{begin} and {end}, by process");
        }
    }

    /// How often a process made a call that went well.
    fn by_process(&self, call: &str) -> BTreeMap<u32, usize> {
        let mut counts = BTreeMap::new();
        for entry in self
            .of("vixdisklib", call)
            .into_iter()
            .filter(|entry| is_ok(entry))
        {
            *counts.entry(entry.pid).or_default() += 1;
        }
        counts
    }
}

/// Did a call of the library go well? 25000 is the answer to an asynchronous one.
fn is_ok(entry: &Entry) -> bool {
    matches!(entry.result["code"].as_u64(), Some(0 | 25000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn calls(rows: &[(u32, &str, &str, u64)]) -> Calls {
        let entry = |(n, (pid, call, identity, code)): (usize, &(u32, &str, &str, u64))| Entry {
            n: n as u64,
            ms: 0,
            pid: *pid,
            who: "vixdisklib".to_owned(),
            call: (*call).to_owned(),
            args: json!({"identity": identity, "bytes": 512}),
            result: json!({"code": code}),
        };
        Calls::new(rows.iter().enumerate().map(entry).collect())
    }

    fn complains(calls: &Calls, killed: &[u32]) -> bool {
        std::panic::catch_unwind(|| calls.assert_ended(killed)).is_err()
    }

    #[test]
    fn what_was_not_ended_is_found() {
        let (prepare, end) = ("VixDiskLib_PrepareForAccess", "VixDiskLib_EndAccess");
        let (open, close) = ("VixDiskLib_Open", "VixDiskLib_Close");
        assert!(!complains(
            &calls(&[(1, prepare, "a", 0), (2, end, "a", 0)]),
            &[]
        ));
        assert!(complains(
            &calls(&[(1, prepare, "a", 0), (1, end, "b", 0)]),
            &[]
        ));
        assert!(complains(
            &calls(&[(1, prepare, "a", 0), (1, end, "a", 1)]),
            &[]
        ));
        assert!(complains(
            &calls(&[(1, end, "a", 0), (1, prepare, "a", 0)]),
            &[]
        ));
        assert!(!complains(
            &calls(&[(1, open, "", 0), (1, close, "", 0), (1, open, "", 4)]),
            &[]
        ));
        assert!(complains(
            &calls(&[(1, open, "", 0), (2, close, "", 0)]),
            &[]
        ));
    }

    #[test]
    fn reads_are_summed() {
        let calls = calls(&[
            (1, "VixDiskLib_ReadAsync", "", 25000),
            (1, "VixDiskLib_Read", "", 0),
        ]);
        assert_eq!(
            (
                calls.bytes_read(),
                calls.count("vixdisklib", "VixDiskLib_Read")
            ),
            (1024, 1)
        );
        assert!(calls.is_silent("vcenter") && !calls.is_silent("vixdisklib"));
    }
}
