//! Faults: what shall go wrong, and when.

mod fault;

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

pub use fault::{BlocksLie, Crash, Fault, Lie, TextLie};

use crate::random::hex;
use crate::state::{read_if_there, remove_if_there, replace};
use crate::{Error, Lab};

/// The faults of a lab. All handles of a process share their counters.
#[derive(Clone)]
pub struct Faults {
    lab: Lab,
    file: PathBuf,
    shared: Arc<Mutex<Counted>>,
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Lab {
    fn faults_file(&self) -> PathBuf {
        self.root().join("faults.toml")
    }

    /// The faults of this lab.
    pub fn faults(&self) -> Faults {
        Faults {
            lab: self.clone(),
            file: self.faults_file(),
            shared: shared(self.root()),
        }
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
        let mut counted = locked(&self.shared);
        counted.reload(&self.file)?;
        if counted.faults.is_empty() {
            // Counting starts with the next version of the file anyway.
            return Ok(None);
        }
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

    /// Are there faults to look at? As cheap as a look at the file's time and length, for callers
    /// that ask often.
    ///
    /// # Errors
    ///
    /// As [`Faults::next`].
    pub fn any(&self) -> Result<bool, Error> {
        let mut counted = locked(&self.shared);
        counted.reload(&self.file)?;
        Ok(!counted.faults.is_empty())
    }

    /// Is a fault that fired still one of the lab's faults?
    ///
    /// # Errors
    ///
    /// As [`Faults::next`].
    pub fn stands(&self, fault: &Fault) -> Result<bool, Error> {
        let mut counted = locked(&self.shared);
        counted.reload(&self.file)?;
        Ok(counted.faults.contains(fault))
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
    /// Modification time, length and inode of the file that was read; `None` = no file.
    seen: Option<(SystemTime, u64, u64)>,
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
                metadata.ino(),
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
        if let Some(reason) = fault.refusal() {
            return refused(reason);
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
mod tests;
