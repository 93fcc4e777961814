//! Faults: what shall go wrong, and when.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::random::hex;
use crate::state::{read_if_there, remove_if_there, replace};
use crate::{Error, Lab};

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

/// One fault. What is `None` has its default or does not happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// SOAP method or VixDiskLib function.
    pub call: String,
    /// Fires first on this call of the process, from 1; default 1.
    pub nth: Option<u64>,
    /// For how many calls in a row; 0 = for ever; default 1.
    pub count: Option<u64>,
    /// Fires in one process only, and once.
    pub once: Option<bool>,
    /// Error code to return (VixDiskLib).
    pub code: Option<u64>,
    /// Type of the fault to return (SOAP).
    pub fault: Option<String>,
    /// Text that goes with it.
    pub message: Option<String>,
    /// Wait this long first, in milliseconds.
    pub delay_ms: Option<u64>,
    /// Answer with this HTTP status and a page of HTML.
    pub http_status: Option<u16>,
    /// Cut the answer after that many bytes.
    pub truncate: Option<usize>,
    /// Lie in this way.
    pub lie: Option<Lie>,
}

/// The faults of a lab. All handles of a process share their counters.
#[derive(Clone, Debug)]
pub struct Faults {
    lab: Lab,
}

impl Lab {
    fn faults_file(&self) -> PathBuf {
        self.root().join("faults.toml")
    }

    /// The faults of this lab.
    pub fn faults(&self) -> Faults {
        Faults { lab: self.clone() }
    }

    /// Replaces the faults of this lab. Counters start again, and faults that fired `once` may
    /// fire again.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidFault`], [`Error::Io`].
    pub fn set_faults(&self, faults: &[Fault]) -> Result<(), Error> {
        let path = self.faults_file();
        check(faults, &path)?;
        let table = Table {
            fault: faults.to_vec(),
        };
        let text = toml::to_string(&table).map_err(|source| Error::FaultsWrite { source })?;
        let shared = shared(self.root());
        let mut counted = locked(&shared);
        *counted = Counted::default();
        let markers = self.root().join("fault-markers");
        for marker in fs::read_dir(&markers).map_err(Error::io("list", &markers))? {
            remove_if_there(&marker.map_err(Error::io("list", &markers))?.path())?;
        }
        replace(&path, text.as_bytes())
    }
}

impl Faults {
    /// Counts a call and returns the fault that fires on it. Calls are counted from the moment
    /// the process first saw this version of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Toml`] and [`Error::InvalidFault`] for a bad file, [`Error::Io`].
    pub fn next(&self, call: &str) -> Result<Option<Fault>, Error> {
        let shared = shared(self.lab.root());
        let mut counted = locked(&shared);
        counted.reload(&self.lab.faults_file())?;
        let count = {
            let count = counted.calls.entry(call.into()).or_default();
            *count += 1;
            *count
        };
        for (index, fault) in counted.faults.iter().enumerate() {
            if fault.call == call && fault.fires_on(count) && self.claim(index, fault)? {
                return Ok(Some(fault.clone()));
            }
        }
        Ok(None)
    }

    /// May this process fire the fault? A fault that fires once leaves a marker.
    fn claim(&self, index: usize, fault: &Fault) -> Result<bool, Error> {
        if fault.once != Some(true) {
            return Ok(true);
        }
        let text = toml::to_string(fault).map_err(|source| Error::FaultsWrite { source })?;
        let name = hex(&digest(&SHA256, text.as_bytes()).as_ref()[..8]);
        let marker = self
            .lab
            .root()
            .join("fault-markers")
            .join(format!("{index}-{name}"));
        match File::create_new(&marker) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::io("make marker", marker)(error)),
        }
    }
}

impl Fault {
    fn fires_on(&self, call_number: u64) -> bool {
        let first = self.nth.unwrap_or(1);
        match self.count.unwrap_or(1) {
            0 => call_number >= first,
            count => (first..first.saturating_add(count)).contains(&call_number),
        }
    }
}

/// The form of `faults.toml`.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    fault: Vec<Fault>,
}

/// What a process knows about the faults of one lab.
#[derive(Default)]
struct Counted {
    /// Modification time and length of the file that was read; `None` = no file.
    seen: Option<(SystemTime, u64)>,
    faults: Vec<Fault>,
    calls: HashMap<String, u64>,
}

impl Counted {
    /// Reads the file again when it is another one, and starts to count again.
    fn reload(&mut self, path: &Path) -> Result<(), Error> {
        let now = match fs::metadata(path) {
            Ok(metadata) => Some((
                metadata.modified().map_err(Error::io("look at", path))?,
                metadata.len(),
            )),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(Error::io("look at", path)(error)),
        };
        if self.seen == now {
            return Ok(());
        }
        let text = read_if_there(path)?.unwrap_or_default();
        let table: Table = toml::from_slice(&text).map_err(|source| Error::Toml {
            path: path.into(),
            source,
        })?;
        check(&table.fault, path)?;
        *self = Self {
            seen: now,
            faults: table.fault,
            calls: HashMap::new(),
        };
        Ok(())
    }
}

/// Refuses faults that could never fire.
fn check(faults: &[Fault], path: &Path) -> Result<(), Error> {
    for (index, fault) in faults.iter().enumerate() {
        let refused = |reason| {
            Err(Error::InvalidFault {
                path: path.into(),
                index,
                reason,
            })
        };
        if fault.call.is_empty() {
            return refused("no call named");
        }
        if fault.nth == Some(0) {
            return refused("nth counts from 1");
        }
    }
    Ok(())
}

/// The counters of the lab in that folder, one set a process.
fn shared(root: &Path) -> Arc<Mutex<Counted>> {
    static LABS: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<Counted>>>>> =
        LazyLock::new(Mutex::default);
    let mut labs = LABS.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(labs.entry(root.into()).or_default())
}

/// Counters are whole at every moment, so those of a thread that panicked are as good as any.
fn locked(counted: &Mutex<Counted>) -> MutexGuard<'_, Counted> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteSpec;

    fn lab() -> (tempfile::TempDir, Lab) {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        (folder, lab)
    }

    fn fired(faults: &Faults, call: &str, calls: usize) -> Vec<bool> {
        (0..calls)
            .map(|_| faults.next(call).unwrap().is_some())
            .collect()
    }

    #[test]
    fn nth_and_count_say_which_calls() {
        let (_folder, lab) = lab();
        assert_eq!(lab.faults().next("A").unwrap(), None);
        let fault = Fault {
            call: "A".into(),
            nth: Some(2),
            count: Some(2),
            code: Some(14009),
            ..Fault::default()
        };
        lab.set_faults(std::slice::from_ref(&fault)).unwrap();
        // All handles of a process count together, also those on another path to the folder.
        let other = Lab::open(&lab.root().join("vm/..")).unwrap().faults();
        assert_eq!(fired(&other, "B", 2), [false, false]);
        assert_eq!(fired(&lab.faults(), "A", 1), [false]);
        assert_eq!(other.next("A").unwrap(), Some(fault));
        assert_eq!(fired(&lab.faults(), "A", 3), [true, false, false]);

        lab.set_faults(&[Fault {
            call: "A".into(),
            count: Some(0),
            ..Fault::default()
        }])
        .unwrap();
        assert_eq!(fired(&other, "A", 3), [true, true, true]);
        lab.set_faults(&[]).unwrap();
        assert_eq!(fired(&other, "A", 1), [false]);
    }

    #[test]
    fn once_is_consumed_across_processes() {
        let (_folder, lab) = lab();
        let once = Fault {
            call: "A".into(),
            count: Some(0),
            once: Some(true),
            ..Fault::default()
        };
        lab.set_faults(std::slice::from_ref(&once)).unwrap();
        assert_eq!(fired(&lab.faults(), "A", 3), [true, false, false]);
        // Another process has counters of its own and meets the marker.
        *locked(&shared(lab.root())) = Counted::default();
        assert_eq!(fired(&lab.faults(), "A", 1), [false]);
        lab.set_faults(&[once]).unwrap();
        assert_eq!(fired(&lab.faults(), "A", 2), [true, false]);
    }

    #[test]
    fn the_documented_file_parses_and_a_changed_one_is_read_again() {
        let (_folder, lab) = lab();
        let text = "[[fault]]\ncall = \"QueryChangedDiskAreas\"\nnth = 1\ncount = 1\nonce = false\ncode = 14009\n\
            fault = \"FileFault\"\nmessage = \"text\"\ndelay_ms = 200\nhttp_status = 502\ntruncate = 100\n\
            lie = \"stalled-page\"\n";
        fs::write(lab.faults_file(), text).unwrap();
        let fault = lab.faults().next("QueryChangedDiskAreas").unwrap().unwrap();
        assert_eq!(
            (fault.lie, fault.http_status, fault.truncate),
            (Some(Lie::StalledPage), Some(502), Some(100))
        );
        fs::write(lab.faults_file(), "[[fault]]\ncall = \"Login\"\n").unwrap();
        assert_eq!(fired(&lab.faults(), "Login", 2), [true, false]);
        fs::remove_file(lab.faults_file()).unwrap();
        assert_eq!(fired(&lab.faults(), "Login", 1), [false]);
    }

    #[test]
    fn bad_faults_are_refused() {
        let (_folder, lab) = lab();
        for text in [
            "[[fault]]\n",
            "[[fault]]\ncall = \"A\"\nwhat = 1\n",
            "[[fault]]\ncall = \"A\"\nlie = \"x\"\n",
            "\u{ff}(",
        ] {
            fs::write(lab.faults_file(), text).unwrap();
            assert!(
                matches!(lab.faults().next("A"), Err(Error::Toml { .. })),
                "{text}"
            );
        }
        for fault in [
            Fault::default(),
            Fault {
                call: "A".into(),
                nth: Some(0),
                ..Fault::default()
            },
        ] {
            assert!(matches!(
                lab.set_faults(&[fault]),
                Err(Error::InvalidFault { .. })
            ));
        }
    }
}
