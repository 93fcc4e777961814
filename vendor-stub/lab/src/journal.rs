//! The journal: every call the stand-ins served, one JSON object a line.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::{open_lock_file, read_if_there};
use crate::{Error, Lab};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the entry, growing over all processes.
    pub n: u64,
    /// When, in milliseconds since 1970.
    pub ms: u64,
    /// Which process.
    pub pid: u32,
    /// Which half: `vcenter`, `vixdisklib` or `lab`.
    pub who: String,
    /// Which method or function.
    pub call: String,
    /// Its arguments, without secrets.
    pub args: Value,
    /// What was answered.
    pub result: Value,
}

/// The journal of a lab.
#[derive(Clone, Debug)]
pub struct Journal {
    lab: Lab,
}

impl Lab {
    /// The journal of this lab.
    pub fn journal(&self) -> Journal {
        Journal { lab: self.clone() }
    }
}

impl Journal {
    /// Appends one line and returns its number. The caller leaves secrets out.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn record(&self, who: &str, call: &str, args: Value, result: Value) -> Result<u64, Error> {
        let lock_path = self.lab.root().join("journal.lock");
        let counter = open_lock_file(&lock_path)?;
        counter.lock().map_err(Error::io("lock", &lock_path))?;
        let n = next_number(&counter).map_err(Error::io("count in", &lock_path))?;
        let entry = Entry {
            n,
            ms: u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default(),
            pid: std::process::id(),
            who: who.into(),
            call: call.into(),
            args,
            result,
        };
        self.append(&entry)?;
        Ok(n)
    }

    /// All lines so far. A line that is being written is left out.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Json`].
    pub fn entries(&self) -> Result<Vec<Entry>, Error> {
        let path = self.path();
        let Some(content) = read_if_there(&path)? else {
            return Ok(Vec::new());
        };
        content
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
            .map(|line| {
                serde_json::from_slice(line).map_err(|source| Error::Json {
                    path: path.clone(),
                    source,
                })
            })
            .collect()
    }

    /// Appends a line in one write. A line that did not fit is taken back.
    fn append(&self, entry: &Entry) -> Result<(), Error> {
        let path = self.path();
        let mut line = serde_json::to_vec(entry).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        line.push(b'\n');
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let length = file.metadata().map_err(Error::io("look at", &path))?.len();
        file.write_all(&line).map_err(|error| {
            // The first error is the one worth telling.
            let _ = file.set_len(length);
            Error::io("append to", &path)(error)
        })
    }

    fn path(&self) -> PathBuf {
        self.lab.root().join("journal.jsonl")
    }
}

/// Counts up in the lock file, which the caller has locked. The number is stored before it is
/// used, so a crash leaves a gap and never a number twice.
fn next_number(counter: &File) -> std::io::Result<u64> {
    let mut last = [0; 8];
    let n = match counter.read_exact_at(&mut last, 0) {
        Ok(()) => u64::from_le_bytes(last).saturating_add(1),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => 1,
        Err(error) => return Err(error),
    };
    counter.write_all_at(&n.to_le_bytes(), 0)?;
    Ok(n)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use serde_json::json;

    use super::*;
    use crate::SiteSpec;

    #[test]
    fn threads_with_handles_of_their_own_share_one_numbering() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        assert!(lab.journal().entries().unwrap().is_empty());
        thread::scope(|scope| {
            for writer in 0..4 {
                let journal = Lab::open(folder.path()).unwrap().journal();
                scope.spawn(move || {
                    for turn in 0..50 {
                        journal
                            .record(
                                "lab",
                                "Test",
                                json!({"writer": writer, "turn": turn}),
                                json!("ok"),
                            )
                            .unwrap();
                    }
                });
            }
        });
        let entries = lab.journal().entries().unwrap();
        let numbers: Vec<u64> = entries.iter().map(|entry| entry.n).collect();
        assert_eq!(numbers, (1..=200).collect::<Vec<_>>());
        for writer in 0..4 {
            let turns: Vec<_> = entries
                .iter()
                .filter(|entry| entry.args["writer"] == writer)
                .map(|entry| &entry.args["turn"])
                .collect();
            assert_eq!(turns.len(), 50);
            assert!(turns.is_sorted_by_key(|turn| turn.as_u64()));
        }
        assert!(
            entries
                .iter()
                .all(|entry| entry.pid == std::process::id() && entry.ms > 1_600_000_000_000)
        );
    }

    #[test]
    fn a_line_without_its_end_is_left_out_and_a_bad_line_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        let journal = lab.journal();
        journal
            .record("vcenter", "Login", json!({"user": "a\nb"}), json!("ok"))
            .unwrap();
        let mut content = std::fs::read(journal.path()).unwrap();
        content.extend(b"{\"n\":2,");
        std::fs::write(journal.path(), &content).unwrap();
        assert_eq!(journal.entries().unwrap().len(), 1);
        content.push(b'\n');
        std::fs::write(journal.path(), &content).unwrap();
        assert!(matches!(journal.entries(), Err(Error::Json { .. })));
    }
}
