//! Going on from where a run died.

use super::{ASKED_SHIFT, DiskRun};
use crate::{
    engine::{
        base::Base,
        coverage::{Coverage, Uncovered},
        error::{Error, chain},
        monitor::Event,
    },
    vsphere::Disk,
};

impl DiskRun<'_> {
    /// An increment need not read what an earlier one had read before it died. `answer` is what changed since
    /// the last complete point, and `since` what did since the partial one; it becomes what is left of it. Tells whether it is so: it is not when the server
    /// can't say what changed since the partial point.
    ///
    /// A block that the dead run has covered is as it was at that run's snapshot, so it is read again only if
    /// it changed since. One behind that is as in the complete point, unless the two trees differ there: that
    /// is compared when the disk is added. So it is read if it changed since the complete point.
    pub(super) fn goes_on(
        &self,
        disk: &Disk,
        partial: &Base,
        answer: &mut Coverage,
        since: Option<Result<Coverage, Uncovered<Error>>>,
    ) -> Result<bool, Error> {
        let (Some(covered_bytes), Some(since)) = (partial.covered_bytes, since) else {
            return Ok(false);
        };
        match since {
            Ok(since) => {
                *answer = joined(answer, since, covered_bytes);
                self.tell_resumed(disk);
                Ok(true)
            }
            Err(Uncovered::Query(Error::Interrupted)) => Err(Error::Interrupted),
            Err(uncovered) => {
                let why = match uncovered {
                    Uncovered::Bad(bad) => bad.to_string(),
                    Uncovered::Query(error) => chain(&error),
                };
                let message = format!(
                    "{}: what the last run had read before it died is read again: {why}",
                    disk.label
                );
                self.tell(disk, Event::info("not-resumed", message));
                Ok(false)
            }
        }
    }

    pub(super) fn tell_resumed(&self, disk: &Disk) {
        let message = format!("{} goes on from a run that was cut short", disk.label);
        self.tell(disk, Event::info("resumed", message));
    }
}

/// What changed since the partial point, and behind what that has covered, since the complete one. Proven by
/// both answers.
fn joined(since_whole: &mut Coverage, since_partial: Coverage, covered_bytes: u64) -> Coverage {
    let mut answers = std::mem::take(&mut since_whole.answers);
    for answer in &mut answers {
        answer.from_bytes = covered_bytes;
    }
    answers.extend(since_partial.answers);
    let mut changed = since_partial.changed;
    let first = covered_bytes >> ASKED_SHIFT;
    for run in since_whole.changed.runs() {
        changed.insert_blocks(run.start.max(first)..run.end);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(&since_whole.digest);
    hasher.update(&since_partial.digest);
    Coverage {
        changed_bytes: changed.bytes(),
        changed,
        pages: since_whole.pages + since_partial.pages,
        areas: since_whole.areas + since_partial.areas,
        digest: *hasher.finalize().as_bytes(),
        answers,
    }
}

#[cfg(test)]
mod tests {
    use super::{ASKED_SHIFT, Coverage, joined};
    use crate::engine::block_set::BlockSet;

    fn coverage(grains: &[u64]) -> Coverage {
        let mut changed = BlockSet::empty(64 << ASKED_SHIFT, ASKED_SHIFT);
        for grain in grains {
            changed.insert_blocks(*grain..grain + 1);
        }
        Coverage {
            changed_bytes: changed.bytes(),
            changed,
            pages: 1,
            areas: grains.len() as u64,
            digest: [grains.len() as u8; 32],
            answers: Vec::new(),
        }
    }

    #[test]
    fn what_was_covered_is_read_only_if_it_changed_since() {
        let mut whole = coverage(&[1, 2, 3, 10, 20, 21]);
        let joined = joined(&mut whole, coverage(&[2, 30]), 20 << ASKED_SHIFT);
        let runs: Vec<_> = joined.changed.runs().collect();
        assert_eq!(runs, [2..3, 20..22, 30..31]);
        assert_eq!((joined.pages, joined.areas), (2, 8));
        assert_eq!(joined.changed_bytes, 4 << ASKED_SHIFT);
        assert_ne!(joined.digest, whole.digest);
    }
}
