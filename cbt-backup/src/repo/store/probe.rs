//! Asks a store whether it keeps the promises that the repository rests on.
//!
//! Objects of its own under `probe/` are written, read, listed and removed. A store that passes
//! may still be unfit in ways that no probe from one machine sees; `doc/operations.md` lists them.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::future::join;

use super::Store;
use crate::repo::error::Error;
use crate::repo::id::ObjectId;

/// Where the probe's objects stand. They are no part of a repository.
pub(super) const PROBE_FOLDER: &str = "probe";

/// How often what might fail now and then is repeated.
const ROUNDS: u8 = 4;
/// Large enough to take a while, small enough for a slow line.
const LARGE_BYTES: usize = 1 << 20;
/// More than any object of the probe has.
const LIMIT_BYTES: u64 = 4 << 20;

/// One promise, and whether it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeCheck {
    /// What the store must do.
    pub promise: &'static str,
    /// What it did.
    pub outcome: ProbeOutcome,
}

/// What a probe found on one promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The promise was kept.
    Kept,
    /// It was kept, with something to know.
    Noted(String),
    /// It was broken: the store is unfit.
    Broken(String),
}

/// All that a probe found.
#[derive(Clone, Debug, Default)]
pub struct ProbeReport {
    /// One entry a promise.
    pub checks: Vec<ProbeCheck>,
}

impl ProbeReport {
    /// The first promise that was broken, and how.
    pub fn broken(&self) -> Option<(&'static str, &str)> {
        self.checks.iter().find_map(|check| match &check.outcome {
            ProbeOutcome::Broken(how) => Some((check.promise, how.as_str())),
            _ => None,
        })
    }

    fn add(&mut self, promise: &'static str, broken: Option<String>) {
        let outcome = broken.map_or(ProbeOutcome::Kept, ProbeOutcome::Broken);
        self.checks.push(ProbeCheck { promise, outcome });
    }
}

impl Store {
    /// Probes the store: `self` writes, `other` reads and lists. Give a second connection to the
    /// same store, so that a cache in one of them is found out.
    ///
    /// # Errors
    /// `NotWritable`, `AccessDenied`, `Store` when the store cannot be probed at all. A promise that
    /// is broken is no error: the report names it.
    pub async fn probe(&self, other: &Self) -> Result<ProbeReport, Error> {
        let probe = Probe {
            writer: self,
            reader: other,
            folder: format!("{PROBE_FOLDER}/{}", ObjectId::generate()),
        };
        let mut report = ProbeReport::default();
        let probed = probe.run(&mut report).await;
        let cleared = probe.clear(&mut report).await;
        // The folder above is anybody's.
        self.remove_empty_folders(&probe.folder);
        probed?;
        cleared?;
        if let Some(notes) = self.notes() {
            report.checks.push(ProbeCheck {
                promise: "the file system is fit for several machines",
                outcome: ProbeOutcome::Noted(notes),
            });
        }
        Ok(report)
    }

    /// As [`Store::probe`], where a broken promise is an error.
    ///
    /// # Errors
    /// `UnfitStore`, and those of [`Store::probe`].
    pub async fn demand_fit(&self, other: &Self) -> Result<ProbeReport, Error> {
        let report = self.probe(other).await?;
        match report.broken() {
            None => Ok(report),
            Some((promise, how)) => Err(Error::UnfitStore {
                location: self.location().to_owned(),
                promise,
                how: how.to_owned(),
            }),
        }
    }
}

/// A probe that goes on.
struct Probe<'a> {
    writer: &'a Store,
    reader: &'a Store,
    folder: String,
}

impl Probe<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    async fn run(&self, report: &mut ProbeReport) -> Result<(), Error> {
        report.add("what is not there is told as missing", self.missing().await);
        let (read, listed) = self.finished_puts().await?;
        report.add("a finished write is read back whole", read);
        report.add("a finished write is in the next listing", listed);
        report.add("a part of an object can be read", self.parts().await?);
        report.add(
            "a folder's listing ends at its border",
            self.borders().await?,
        );
        report.add(
            "a second write replaces the first at once",
            self.replaced().await?,
        );
        report.add(
            "nobody ever sees a half-written object",
            self.whole().await?,
        );
        Ok(())
    }

    async fn missing(&self) -> Option<String> {
        match self.reader.get(&self.name("never"), LIMIT_BYTES).await {
            Err(Error::Missing { .. }) => None,
            Ok(_) => Some("an object that was never written was read".to_owned()),
            Err(error) => Some(format!(
                "the answer was another: {error}; the right to list is perhaps wanting"
            )),
        }
    }

    /// What is wrong with reading, and with listing, after a write.
    async fn finished_puts(&self) -> Result<(Option<String>, Option<String>), Error> {
        let (mut read, mut listed) = (None, None);
        for round in 0..ROUNDS {
            let name = self.name(&format!("put-{round}"));
            let content = Bytes::from(vec![round; 1000 + usize::from(round)]);
            self.writer.put(&name, content.clone()).await?;
            let list = self.reader.list(&self.folder).await?;
            if !list.contains(&(name.clone(), content.len() as u64)) {
                listed = Some(format!("{name} was not in it, or with another size"));
            }
            match self.reader.get(&name, LIMIT_BYTES).await {
                Ok(found) if found == content => {}
                Ok(_) => read = Some(format!("{name} had another content")),
                Err(error) => read = Some(error.to_string()),
            }
        }
        Ok((read, listed))
    }

    async fn parts(&self) -> Result<Option<String>, Error> {
        let name = self.name("parts");
        let content: Vec<u8> = (0..=255).collect();
        self.writer.put(&name, content.into()).await?;
        Ok(match self.reader.get_range(&name, 100..103).await {
            Ok(part) if part == [100_u8, 101, 102][..] => None,
            Ok(_) => Some("other bytes came than those asked for".to_owned()),
            Err(error) => Some(error.to_string()),
        })
    }

    async fn borders(&self) -> Result<Option<String>, Error> {
        let (inside, outside) = (self.name("a/x"), self.name("ab/x"));
        for name in [&inside, &outside] {
            self.writer.put(name, Bytes::from_static(b"x")).await?;
        }
        let list = self.reader.list(&self.name("a")).await?;
        Ok((list != [(inside, 1)]).then(|| format!("it was {list:?}")))
    }

    async fn replaced(&self) -> Result<Option<String>, Error> {
        let name = self.name("replaced");
        for round in 0..ROUNDS {
            let content = Bytes::from(vec![round; 10 + usize::from(round)]);
            self.writer.put(&name, content.clone()).await?;
            match self.reader.get(&name, LIMIT_BYTES).await {
                Ok(found) if found == content => {}
                Ok(_) => return Ok(Some("the old content was read".to_owned())),
                Err(error) => return Ok(Some(error.to_string())),
            }
        }
        Ok(None)
    }

    /// Replaces a large object while it is read: each reading must be one of the writes, whole.
    async fn whole(&self) -> Result<Option<String>, Error> {
        let name = self.name("whole");
        let content = |round: u8| Bytes::from(vec![round; LARGE_BYTES - usize::from(round)]);
        self.writer.put(&name, content(0)).await?;
        let done = AtomicBool::new(false);
        let write = async {
            let mut written = Ok(());
            for round in 1..=ROUNDS {
                written = self.writer.put(&name, content(round)).await;
                if written.is_err() {
                    break;
                }
            }
            done.store(true, Ordering::Relaxed);
            written
        };
        let read = async {
            while !done.load(Ordering::Relaxed) {
                let found = match self.reader.get(&name, LIMIT_BYTES).await {
                    Ok(found) => found,
                    Err(error) => return Some(error.to_string()),
                };
                let round = found.first().copied().unwrap_or_default();
                if found != content(round) {
                    return Some(format!("{} bytes were read that nobody wrote", found.len()));
                }
                // A store in memory never waits: let the writer go on.
                tokio::task::yield_now().await;
            }
            None
        };
        let (written, broken) = join(write, read).await;
        written.map(|()| broken)
    }

    /// Removes the probe's objects and looks whether they are gone.
    async fn clear(&self, report: &mut ProbeReport) -> Result<(), Error> {
        let promise = "a removed object is gone at once";
        let mut kept = None;
        let names = self.writer.list(&self.folder).await?;
        for (name, _) in &names {
            match self.writer.delete(name).await {
                Ok(()) | Err(Error::Missing { .. }) => {}
                Err(refused @ Error::DeleteRefused { .. }) => kept = Some(refused.to_string()),
                Err(error) => return Err(error),
            }
        }
        if let Some(kept) = kept {
            let outcome = ProbeOutcome::Noted(format!("{kept}: space comes free later"));
            report.checks.push(ProbeCheck { promise, outcome });
            return Ok(());
        }
        let left = self.reader.list(&self.folder).await?;
        let mut broken = left
            .first()
            .map(|(name, _)| format!("{name} was still listed"));
        if let Some((name, _)) = names.first() {
            let read = self.reader.get(name, LIMIT_BYTES).await;
            if !matches!(read, Err(Error::Missing { .. })) {
                broken = Some(format!("{name} was still read"));
            }
        }
        report.add(promise, broken);
        Ok(())
    }
}
