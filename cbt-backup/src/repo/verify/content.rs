//! The content of whole packs.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::finding::VerifyLevel;
use super::run::Verify;
use crate::repo::config::BLOCK_SHIFTS;
use crate::repo::error::Error;
use crate::repo::id::{PackId, PackKind};
use crate::repo::name::PACK_LIMIT_BYTES;
use crate::repo::pack::{CheckedBlob, check_pack};
use crate::repo::point::Point;
use crate::repo::threads::in_threads;
use crate::repo::usage::{MAX_USAGE_BYTES, Usage};

/// Whole packs in memory at once.
const MAX_THREADS: usize = 4;

impl Verify<'_> {
    /// Reads the packs the level names, of those that a point needs, and notes what is damaged.
    pub(super) fn check_content(
        &mut self,
        level: VerifyLevel,
        tables: &[Option<Usage>],
        points: &[Point],
    ) -> Result<(), Error> {
        let rows = tables.iter().flatten().flat_map(Usage::packs);
        let tables = points
            .iter()
            .map(|point| point.root.usage.reference.pack(PackKind::Node));
        let needed: BTreeSet<PackId> = rows
            .chain(tables)
            .filter(|pack| self.packs.contains_key(pack))
            .collect();
        let mut wanted = needed.clone();
        wanted.retain(|pack| is_wanted(level, *pack));
        if level == VerifyLevel::Full {
            let packs = self.packs.keys().copied();
            wanted.extend(packs.filter(|pack| self.quarantine.wants(*pack)));
        }
        self.monitor
            .total_bytes(wanted.iter().map(|pack| self.packs[pack]).sum());
        let queue = Mutex::new(wanted.into_iter());
        let checked = Mutex::new(Vec::new());
        let this = &*self;
        let work = || {
            loop {
                this.check_stop()?;
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(pack) = next else { return Ok(()) };
                let outcome = this.read_pack(pack)?;
                checked
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push((pack, outcome));
            }
        };
        let threads = thread::available_parallelism()
            .map_or(1, NonZeroUsize::get)
            .min(MAX_THREADS);
        in_threads(threads, work)?;
        for (pack, outcome) in checked.into_inner().unwrap_or_else(PoisonError::into_inner) {
            let is_needed = needed.contains(&pack);
            if let (Err(Error::Missing { .. }), false) = (&outcome, is_needed) {
                // A sweep has taken it meanwhile.
                continue;
            }
            let is_sound =
                |blobs: &Vec<CheckedBlob>| blobs.iter().all(|blob| blob.damage.is_none());
            let is_sound = outcome.as_ref().is_ok_and(is_sound);
            self.quarantine.note(pack, is_sound, is_needed);
            if is_needed {
                self.note(pack, outcome);
            }
        }
        Ok(())
    }

    fn note(&mut self, pack: PackId, outcome: Result<Vec<CheckedBlob>, Error>) {
        let counts = &mut self.report.counts;
        counts.packs_read += 1;
        counts.bytes_read += self.packs.get(&pack).copied().unwrap_or(0);
        match outcome {
            Ok(blobs) => {
                counts.blobs_checked += blobs.len() as u64;
                for CheckedBlob { offset, damage } in blobs {
                    if let Some(what) = damage {
                        self.damage
                            .entry(pack)
                            .or_default()
                            .blobs
                            .insert(offset, what);
                    }
                }
            }
            Err(error) => {
                self.damage
                    .entry(pack)
                    .or_default()
                    .whole
                    .get_or_insert(error.to_string());
            }
        }
    }

    /// The inner error is damage, the outer one is not.
    fn read_pack(&self, pack: PackId) -> Result<Result<Vec<CheckedBlob>, Error>, Error> {
        let max_plain_bytes = match pack.kind {
            PackKind::Data => 1 << BLOCK_SHIFTS.end(),
            PackKind::Node => MAX_USAGE_BYTES,
        };
        let name = pack.to_string();
        let read = self
            .handle
            .block_on(self.repo.store().get(&name, PACK_LIMIT_BYTES));
        match read {
            Ok(bytes) => {
                self.monitor.advance_bytes(bytes.len() as u64);
                Ok(check_pack(self.repo.keys(), pack, &bytes, max_plain_bytes))
            }
            Err(error) if error.is_damage() => Ok(Err(error)),
            Err(error) => Err(error),
        }
    }
}

fn is_wanted(level: VerifyLevel, pack: PackId) -> bool {
    match level {
        VerifyLevel::Structure | VerifyLevel::Point(_) => false,
        VerifyLevel::Full => true,
        VerifyLevel::Sample { divisor, remainder } => {
            let hash = blake3::hash(pack.to_string().as_bytes());
            let mut first = [0; 8];
            first.copy_from_slice(&hash.as_bytes()[..8]);
            u64::from_le_bytes(first) % divisor.max(1) == remainder
        }
    }
}
