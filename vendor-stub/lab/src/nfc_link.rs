//! The link of a client that reads or writes a disk by NFC, as its host sees it.
//!
//! The end of a client's process gives its holds back. A host that is told not to notice (see
//! [`SiteSpec::nfc_time_scale`](crate::SiteSpec)) keeps the disk locked all the same: for good,
//! or until the NFC time-outs that the client had set have passed ("VDDK API reference, 8.2").

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::hold::Use;
use crate::state::{open_lock_file, read_if_there, remove_if_there, replace};
use crate::{Error, Lab};

const FOLDER: &str = "nfc-links";

/// What is remembered is not refreshed more often than this.
const HEARD_EVERY: Duration = Duration::from_millis(20);

/// The live link of a client. When it is dropped the host frees the disk.
#[derive(Debug)]
#[must_use = "the link ends when it is dropped"]
pub struct NfcLink {
    /// `None` at a host that notices dead clients: nothing need be remembered.
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// Locked while the client lives.
    file: File,
    /// The record, and the lock file beside it.
    record: PathBuf,
    lock: PathBuf,
    since: Instant,
    /// When the client was last heard, in milliseconds after `since`.
    heard_ms: AtomicU64,
}

/// What a host remembers of a link.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// The links of the disk, base first.
    disk: Vec<PathBuf>,
    write: bool,
    /// The shortest NFC time-out of the client.
    time_out_ms: Option<u64>,
}

/// A link whose client died, and which its host still keeps.
#[derive(Debug)]
pub(crate) struct DeadLink {
    record: Record,
}

impl DeadLink {
    /// Does it keep a file from being used so?
    pub(crate) fn excludes(&self, file: &Path, purpose: Use) -> bool {
        let last = self.record.disk.last().map(PathBuf::as_path);
        match purpose {
            Use::Write => self.record.disk.iter().any(|link| link == file),
            Use::Read => self.record.write && last == Some(file),
        }
    }
}

impl Lab {
    /// Opens the link of a client to a disk. `time_out` is the shortest NFC time-out it has set.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the record cannot be made.
    pub fn nfc_link(
        &self,
        disk: &Path,
        write: bool,
        time_out: Option<Duration>,
    ) -> Result<NfcLink, Error> {
        static LINKS: AtomicU32 = AtomicU32::new(0);
        if self.load_site()?.nfc_time_scale.is_none() {
            return Ok(NfcLink { kept: None });
        }
        let _lock = self.lock()?;
        self.make_folder(Path::new(FOLDER))?;
        let disk = fs::canonicalize(disk).map_err(Error::io("find", disk))?;
        let record = Record {
            disk: self.links_up_to(&disk)?,
            write,
            time_out_ms: time_out.map(millis),
        };
        let number = LINKS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", std::process::id());
        let path = self.root().join(FOLDER).join(name);
        let (record_file, lock) = (path.with_extension("json"), path.with_extension("lock"));
        let file = open_lock_file(&lock)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => Error::io("lock", &lock)(error),
            TryLockError::WouldBlock => Error::InUse { path: disk },
        })?;
        let text = serde_json::to_vec(&record).map_err(|source| Error::Json {
            path: record_file.clone(),
            source,
        })?;
        replace(&record_file, &text)?;
        Ok(NfcLink {
            kept: Some(Kept {
                file,
                record: record_file,
                lock,
                since: Instant::now(),
                heard_ms: AtomicU64::new(0),
            }),
        })
    }

    /// The links of dead clients that still lock their disks. Those that need not any more are
    /// forgotten.
    pub(crate) fn dead_links(&self) -> Result<Vec<DeadLink>, Error> {
        let folder = self.root().join(FOLDER);
        let Some(scale) = self.load_site()?.nfc_time_scale else {
            return Ok(Vec::new());
        };
        let mut dead = Vec::new();
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(dead),
            Err(error) => return Err(Error::io("list", folder)(error)),
        };
        for entry in entries {
            let path = entry.map_err(Error::io("list", &folder))?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "json")
            {
                dead.extend(dead_link(&path, scale)?);
            }
        }
        Ok(dead)
    }
}

/// The link of a record, if its client is dead and its host has not given it up.
fn dead_link(path: &Path, scale: f64) -> Result<Option<DeadLink>, Error> {
    let lock = path.with_extension("lock");
    let file = open_lock_file(&lock)?;
    if file.try_lock().is_err() {
        return Ok(None);
    }
    // The client may have ended in good order since the folder was read.
    let Some(text) = read_if_there(path)? else {
        remove_if_there(&lock)?;
        return Ok(None);
    };
    let record: Record = serde_json::from_slice(&text).map_err(|source| Error::Json {
        path: path.into(),
        source,
    })?;
    let silent = fs::metadata(path)
        .and_then(|about| about.modified())
        .map_err(Error::io("look at", path))?
        .elapsed()
        .unwrap_or_default();
    let patience = record
        .time_out_ms
        .map(|milliseconds| Duration::from_millis(milliseconds).as_secs_f64() * scale);
    if patience.is_some_and(|patience| silent.as_secs_f64() >= patience) {
        remove_if_there(path)?;
        remove_if_there(&lock)?;
        return Ok(None);
    }
    Ok(Some(DeadLink { record }))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl NfcLink {
    /// The client sent something: its time starts again. Cheap enough for every request.
    pub fn heard(&self) {
        let Some(kept) = &self.kept else {
            return;
        };
        let now = millis(kept.since.elapsed());
        let last = kept.heard_ms.load(Ordering::Relaxed);
        if now < last.saturating_add(millis(HEARD_EVERY)) {
            return;
        }
        kept.heard_ms.store(now, Ordering::Relaxed);
        let touched = File::options()
            .write(true)
            .open(&kept.record)
            .and_then(|file| file.set_modified(SystemTime::now()));
        // A record that is gone was given up: the client finds out by its next request.
        drop(touched);
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // A record that cannot be removed reads as the link of a dead client, which it is.
        let _ = fs::remove_file(&self.record);
        let _ = fs::remove_file(&self.lock);
        let _ = self.file.unlock();
    }
}
