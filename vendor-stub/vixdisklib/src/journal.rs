//! Lines of the lab's journal.

use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use crate::library;
use crate::log;

/// Writes one line, if there is a lab.
pub(crate) fn record(call: &str, args: Value, result: Value) {
    if let Some(lab) = library::lab() {
        record_in(&lab, call, args, result);
    }
}

/// Writes one line to a lab's journal. A journal that cannot be written is said in the log.
pub(crate) fn record_in(lab: &lab::Lab, call: &str, args: Value, result: Value) {
    if let Err(error) = lab.journal().record("vixdisklib", call, args, result) {
        let error = log::c_text(&error.to_string());
        log::warn(
            c"VixDiskLib: journal not written: %s\n",
            &[crate::va_list::Arg::Text(&error)],
        );
    }
}

/// The functions that move data and are summed up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    Read,
    Write,
    ReadAsync,
    WriteAsync,
}

const MOVES: [(Move, &str, u64); 4] = [
    (Move::Read, "VixDiskLib_Read", 0),
    (Move::Write, "VixDiskLib_Write", 0),
    (Move::ReadAsync, "VixDiskLib_ReadAsync", 25000),
    (Move::WriteAsync, "VixDiskLib_WriteAsync", 25000),
];

impl Move {
    /// The name of the function.
    pub(crate) fn name(self) -> &'static str {
        MOVES[self as usize].1
    }
}

/// One function used: its name, the code it returned, calls, bytes.
pub(crate) type Moved = (&'static str, u64, u64, u64);

/// How much a disk moved since the last line about it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    sums: Mutex<[(u64, u64); 4]>,
}

impl Tally {
    /// Counts a call that went well.
    pub(crate) fn add(&self, kind: Move, bytes: u64) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, total) = &mut sums[kind as usize];
        *count += 1;
        *total = total.saturating_add(bytes);
    }

    /// Takes the sums out, for each function used.
    pub(crate) fn take(&self) -> Vec<Moved> {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let sums = std::mem::take(&mut *sums);
        let used = MOVES.iter().zip(sums).filter(|(_, (count, _))| *count > 0);
        used.map(|((_, name, code), (count, bytes))| (*name, *code, count, bytes))
            .collect()
    }

    /// Writes one line for each function used. `about` says which disk it is about.
    pub(crate) fn write(about: &Map<String, Value>, moved: Vec<Moved>) {
        for (name, code, count, bytes) in moved {
            let mut args = about.clone();
            args.insert("count".into(), count.into());
            args.insert("bytes".into(), bytes.into());
            record(name, args.into(), json!({ "code": code }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_kept_by_function_and_taken_once() {
        for (at, (kind, name, _)) in MOVES.into_iter().enumerate() {
            assert_eq!(kind as usize, at);
            assert_eq!(kind.name(), name);
        }
        let tally = Tally::default();
        tally.add(Move::Read, 512);
        tally.add(Move::Read, 1024);
        tally.add(Move::WriteAsync, 1);
        let expected = [
            ("VixDiskLib_Read", 0, 2, 1536),
            ("VixDiskLib_WriteAsync", 25000, 1, 1),
        ];
        assert_eq!(tally.take(), expected);
        assert!(tally.take().is_empty());
    }
}
