//! What a run has changed outside, written down before it happens.
//!
//! Each run has a file in the state folder. A line is synced before its effect takes place, so a
//! run that dies leaves a list of everything that may have to be undone, and nothing else is ever
//! touched. The file goes away when all is undone.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::whole_file;

/// A ledger is a handful of short lines; anything longer is not one.
const MAX_BYTES: u64 = 1024 * 1024;

/// Something that stays behind in vSphere until it is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "effect")]
pub enum Effect {
    /// `PrepareForAccess`: the VM cannot be moved.
    Access {
        /// The identity given to vCenter.
        identity: String,
    },
    /// A snapshot; its description is ours alone.
    Snapshot {
        /// The description.
        description: String,
        /// Disks of the VM waited to be consolidated before it was made.
        #[serde(default)]
        unmerged_before: bool,
    },
}

/// Which VM a ledger is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// The vCenter's instance UUID, or that of a bare host's hardware.
    pub vcenter: String,
    /// The VM's instance UUID, which a new registration keeps; else its BIOS UUID or managed object id.
    pub vm: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Line {
    Begin { session: String, subject: Subject },
    Effect(Effect),
    Undone(Effect),
}

/// What dead runs left.
#[derive(Debug, Default)]
pub struct LeftBehind {
    /// The ledgers of the VM asked for, oldest first.
    pub ledgers: Vec<Ledger>,
    /// Ledgers that cannot be read; whose they are nobody can say.
    pub unreadable: Vec<PathBuf>,
}

enum Found {
    Ours(Ledger),
    AnotherVm,
    Unreadable,
}

/// A run's list of effects.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    session: String,
    effects: Vec<Effect>,
}

impl Ledger {
    /// Begins a ledger in `folder`, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn begin(folder: &Path, session: &str, subject: Subject) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{session}.jsonl"));
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)?;
        let mut ledger = Self {
            path,
            file,
            session: session.to_owned(),
            effects: Vec::new(),
        };
        ledger.write(&Line::Begin {
            session: session.to_owned(),
            subject,
        })?;
        sync_folder(folder)?;
        Ok(ledger)
    }

    /// The ledgers that dead runs of this VM left. The caller holds the VM's lock, so that no
    /// living run is among them.
    ///
    /// # Errors
    /// When the folder cannot be read, or a ledger of this very VM is damaged.
    pub fn left_behind(folder: &Path, subject: &Subject) -> io::Result<LeftBehind> {
        let mut found = LeftBehind::default();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if path
                .extension()
                .is_none_or(|extension| extension != "jsonl")
            {
                continue;
            }
            let ledger = match Self::open(&path, subject) {
                // The run of another VM has ended since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                ledger => ledger?,
            };
            match ledger {
                Found::Ours(ledger) => found.ledgers.push(ledger),
                Found::AnotherVm => {}
                Found::Unreadable => found.unreadable.push(path),
            }
        }
        found.ledgers.sort_by(|a, b| a.session.cmp(&b.session));
        Ok(found)
    }

    /// How many ledgers lie in a folder, of runs that are dead or at work.
    pub fn count(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "jsonl")
            })
            .count()
    }

    /// Reads a ledger. A last line that was cut off names an effect that never began; it is removed,
    /// so that what is written next begins a line.
    fn open(path: &Path, wanted: &Subject) -> io::Result<Found> {
        let bytes = match whole_file::read(path, MAX_BYTES) {
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Ok(Found::Unreadable);
            }
            read => read?,
        };
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        let mut lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n');
        let (session, subject) = match lines.next().map(serde_json::from_slice) {
            Some(Ok(Line::Begin { session, subject })) => (session, subject),
            // Nothing was written after it: the run died before its first effect.
            None => return Ok(Found::AnotherVm),
            Some(_) => return Ok(Found::Unreadable),
        };
        if subject != *wanted {
            return Ok(Found::AnotherVm);
        }
        let mut effects = Vec::new();
        for line in lines {
            match serde_json::from_slice(line) {
                Ok(Line::Effect(effect)) => effects.push(effect),
                Ok(Line::Undone(effect)) => effects.retain(|one| *one != effect),
                Ok(Line::Begin { .. }) | Err(_) => {
                    let what = format!(
                        "{} is damaged; what it lists must be undone by hand",
                        path.display()
                    );
                    return Err(io::Error::new(io::ErrorKind::InvalidData, what));
                }
            }
        }
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(whole as u64)?;
        Ok(Found::Ours(Self {
            path: path.to_path_buf(),
            file,
            session,
            effects,
        }))
    }

    /// Whose ledgers lie in a folder, of dead runs or of living ones. What cannot be read tells nobody's name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn subjects(folder: &Path) -> io::Result<BTreeSet<Subject>> {
        let mut subjects = BTreeSet::new();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(subjects),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|name| name == "jsonl")
                && let Ok(bytes) = whole_file::read(&path, MAX_BYTES)
                && let Some(first) = bytes.split_inclusive(|byte| *byte == b'\n').next()
                && let Ok(Line::Begin { subject, .. }) = serde_json::from_slice(first)
            {
                subjects.insert(subject);
            }
        }
        Ok(subjects)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The session whose run this is.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// Writes an effect down, for good, before it happens.
    ///
    /// # Errors
    /// When the line cannot be written and synced: then the effect must not happen.
    pub fn record(&mut self, effect: Effect) -> io::Result<()> {
        self.write(&Line::Effect(effect.clone()))?;
        self.effects.push(effect);
        Ok(())
    }

    /// What is to be undone, the last effect first.
    pub fn open_effects(&self) -> Vec<Effect> {
        self.effects.iter().rev().cloned().collect()
    }

    /// Notes that an effect was undone.
    ///
    /// # Errors
    /// When the line cannot be written; undoing it again later does no harm.
    pub fn undone(&mut self, effect: &Effect) -> io::Result<()> {
        self.write(&Line::Undone(effect.clone()))?;
        self.effects.retain(|one| one != effect);
        Ok(())
    }

    /// Removes the file when nothing is left to undo; else it stays for the next run.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn close(self) -> io::Result<()> {
        if self.effects.is_empty() {
            fs::remove_file(&self.path)
        } else {
            Ok(())
        }
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.file.write_all(&text)?;
        self.file.sync_data()
    }
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::{Effect, Ledger, MAX_BYTES, Subject};
    use std::io::Write;

    fn subject(vm: &str) -> Subject {
        Subject {
            vcenter: "uuid".to_owned(),
            vm: vm.to_owned(),
        }
    }

    fn access() -> Effect {
        Effect::Access {
            identity: "cbt-backup 01".to_owned(),
        }
    }

    fn snapshot() -> Effect {
        Effect::Snapshot {
            description: "cbt-backup 01".to_owned(),
            unmerged_before: false,
        }
    }

    #[test]
    fn a_dead_run_leaves_its_effects_last_first() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::begin(folder.path(), "01", subject("vm-1")).unwrap();
        ledger.record(access()).unwrap();
        ledger.record(snapshot()).unwrap();
        drop(ledger);

        assert!(left(folder.path(), "vm-2").is_empty());
        let mut ledger = left(folder.path(), "vm-1").pop().unwrap();
        assert_eq!(ledger.open_effects(), [snapshot(), access()]);
        ledger.undone(&snapshot()).unwrap();
        drop(ledger);

        let mut ledger = left(folder.path(), "vm-1").pop().unwrap();
        assert_eq!(
            (ledger.session(), ledger.open_effects()),
            ("01", vec![access()])
        );
        ledger.undone(&access()).unwrap();
        ledger.close().unwrap();
        assert!(left(folder.path(), "vm-1").is_empty());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_cut_off_line_is_an_effect_that_never_began_and_the_next_line_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::begin(folder.path(), "01", subject("vm-1")).unwrap();
        ledger.record(access()).unwrap();
        ledger
            .file
            .write_all(br#"{"effect":{"effect":"snap"#)
            .unwrap();
        let mut again = left(folder.path(), "vm-1").pop().unwrap();
        assert_eq!(again.open_effects(), [access()]);
        again.undone(&access()).unwrap();
        assert_eq!(left(folder.path(), "vm-1")[0].open_effects(), []);
    }

    #[test]
    fn a_damaged_ledger_is_never_passed_over_and_stops_no_other_vm() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::begin(folder.path(), "01", subject("vm-1")).unwrap();
        ledger.file.write_all(b"rubbish\n").unwrap();
        assert!(Ledger::left_behind(folder.path(), &subject("vm-1")).is_err());
        assert!(left(folder.path(), "vm-2").is_empty());
        std::fs::write(folder.path().join("02.jsonl"), b"\xff\xfe\n{}\n").unwrap();
        let found = Ledger::left_behind(folder.path(), &subject("vm-2")).unwrap();
        assert_eq!(found.unreadable.len(), 1);
    }

    /// Not even one that begins as ours does: nobody fills the memory by it, and nobody is told that nothing is left.
    #[test]
    fn a_ledger_that_is_too_long_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::begin(folder.path(), "01", subject("vm-1")).unwrap();
        ledger.record(access()).unwrap();
        let length = ledger.file.metadata().unwrap().len();
        // As long as one may be it is read, and found damaged.
        ledger
            .file
            .write_all(&vec![b'\n'; (MAX_BYTES - length) as usize])
            .unwrap();
        assert!(Ledger::left_behind(folder.path(), &subject("vm-1")).is_err());
        ledger.file.write_all(b"\n").unwrap();
        let found = Ledger::left_behind(folder.path(), &subject("vm-1")).unwrap();
        assert_eq!((found.ledgers.len(), found.unreadable.len()), (0, 1));
    }

    fn left(folder: &std::path::Path, vm: &str) -> Vec<Ledger> {
        Ledger::left_behind(folder, &subject(vm)).unwrap().ledgers
    }
}
