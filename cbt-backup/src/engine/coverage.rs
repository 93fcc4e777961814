//! Changed areas, only with the proof that the answer covers the whole disk.
//!
//! The server answers `QueryChangedDiskAreas` in pages. A page says how much of the disk it covers;
//! a client that stops early, or trusts a page that leaves its range, loses changes without a word.
//! So the areas come only out of [`cover`], and only when the pages tile `[0, capacity)`. The rules of that
//! are the repository's, which holds what was said against them again later.

use super::block_set::BlockSet;
use crate::repo::{AnswerWriter, SavedAnswer, Tiling};
pub use crate::repo::{BadPages, Page};

/// Changed areas that are proven to cover the disk.
#[derive(Clone, Debug)]
pub struct Coverage {
    /// Every block that holds a changed byte.
    pub changed: BlockSet,
    /// Bytes that the server called changed, areas merged.
    pub changed_bytes: u64,
    /// Pages that tile the disk.
    pub pages: u64,
    /// Areas in all pages together.
    pub areas: u64,
    /// BLAKE3 over the pages' bounds and areas: what was believed can be compared later.
    pub digest: [u8; 32],
    /// What was said, to be kept with the point.
    pub answers: Vec<Answer>,
}

/// An answer that is kept.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What lies before was read by an earlier run.
    pub from_bytes: u64,
    /// What was said.
    pub saved: SavedAnswer,
}

/// Why an answer cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMap {
    /// Its pages do not tile the disk.
    #[error(transparent)]
    Pages(#[from] BadPages),
    /// An answer that is none: numbers below zero or missing, broken XML, more than there can be.
    #[error("the server's answer cannot be read: {why}")]
    Unreadable {
        /// What is wrong with it.
        why: String,
    },
    /// Page after page, and no end within the time that is allowed.
    #[error("the server's answer does not end within {limit_seconds} seconds and {pages} pages")]
    TooSlow {
        /// How many were read.
        pages: u64,
        /// The time allowed.
        limit_seconds: u64,
    },
}

/// Why there is no coverage.
#[derive(Debug)]
pub enum Uncovered<E> {
    /// The answer cannot be believed: read the disk in full, keep the old change id, say which
    /// check failed.
    Bad(BadMap),
    /// The question itself failed.
    Query(E),
}

impl<E> From<BadPages> for Uncovered<E> {
    fn from(bad: BadPages) -> Self {
        Self::Bad(bad.into())
    }
}

/// Asks page after page and yields the changed blocks when, and only when, the pages tile the disk.
///
/// `page` is asked with the byte to start from, which is always below `capacity_bytes`.
///
/// # Errors
/// [`Uncovered::Bad`] naming the check that failed; what `page` says.
pub fn cover<E>(
    capacity_bytes: u64,
    block_shift: u8,
    mut page: impl FnMut(u64) -> Result<Page, Uncovered<E>>,
) -> Result<Coverage, Uncovered<E>> {
    let mut changed = BlockSet::empty(capacity_bytes, block_shift);
    let mut tiling = Tiling::new(capacity_bytes);
    let mut writer = AnswerWriter::default();
    while let Some(start_bytes) = tiling.next_bytes()? {
        let mut answer = page(start_bytes)?;
        tiling.add(&mut answer, |range| changed.insert_bytes(range))?;
        writer.add(&answer);
    }
    let totals = tiling.totals();
    let saved = writer.finish(capacity_bytes, block_shift, changed.runs());
    Ok(Coverage {
        changed,
        changed_bytes: totals.changed_bytes,
        pages: totals.pages,
        areas: totals.areas,
        digest: totals.digest,
        answers: vec![Answer {
            from_bytes: 0,
            saved,
        }],
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{BadMap, BadPages, Coverage, Page, Uncovered, cover};

    const K64: u64 = 64 * 1024;
    const CAPACITY: u64 = 100 * K64 + 1536;

    /// Answers from a list of pages and fails the test when asked past its end.
    fn run(pages: Vec<Page>) -> Result<Coverage, BadPages> {
        let mut pages = pages.into_iter();
        match cover(CAPACITY, 18, |_| {
            pages.next().ok_or(Uncovered::Query("asked too often"))
        }) {
            Ok(coverage) => Ok(coverage),
            Err(Uncovered::Bad(BadMap::Pages(bad))) => Err(bad),
            Err(other) => panic!("{other:?}"),
        }
    }

    fn page(start_bytes: u64, length_bytes: u64, areas: &[(u64, u64)]) -> Page {
        Page {
            start_bytes,
            length_bytes,
            areas: areas.to_vec(),
        }
    }

    #[test]
    fn pages_that_tile_the_disk_are_believed() {
        let coverage = run(vec![
            page(0, 40 * K64, &[(8 * K64, K64), (0, K64), (K64, K64)]),
            page(40 * K64, 10 * K64, &[]),
            page(50 * K64, CAPACITY - 50 * K64, &[(100 * K64, 1536)]),
        ])
        .unwrap();
        assert_eq!(coverage.changed_bytes, 3 * K64 + 1536);
        assert_eq!((coverage.pages, coverage.areas), (3, 4));
        assert_eq!(
            coverage.changed.runs().collect::<Vec<_>>(),
            [0..1, 2..3, 25..26]
        );
    }

    #[test]
    fn rounding_up_at_the_end_is_clipped_but_no_more() {
        let rounded = run(vec![page(0, 101 * K64, &[(100 * K64, K64)])]).unwrap();
        assert_eq!(rounded.changed_bytes, 1536);
        let far = run(vec![page(0, 102 * K64, &[])]);
        assert!(matches!(far, Err(BadPages::PastEnd { .. })), "{far:?}");
        let far = run(vec![page(0, CAPACITY, &[(100 * K64, 2 * K64)])]);
        assert!(
            matches!(far, Err(BadPages::AreaOutsidePage { .. })),
            "{far:?}"
        );
    }

    #[test]
    fn every_lie_is_named() {
        let stalled = run(vec![page(0, 10 * K64, &[]), page(10 * K64, 0, &[])]);
        assert!(matches!(stalled, Err(BadPages::Stalled { at_bytes, .. }) if at_bytes == 10 * K64));
        let elsewhere = run(vec![page(0, 10 * K64, &[]), page(0, CAPACITY, &[])]);
        assert!(matches!(
            elsewhere,
            Err(BadPages::WrongStart {
                answered_bytes: 0,
                ..
            })
        ));
        for area in [
            (20 * K64, K64),
            (0, 11 * K64),
            (5 * K64, 0),
            (9 * K64, u64::MAX),
        ] {
            let outside = run(vec![
                page(0, 10 * K64, &[area]),
                page(10 * K64, CAPACITY - 10 * K64, &[]),
            ]);
            assert!(
                matches!(outside, Err(BadPages::AreaOutsidePage { .. })),
                "{area:?}: {outside:?}"
            );
        }
        let mut at = 0;
        let endless = cover::<()>(CAPACITY, 18, |_| {
            at += 1;
            Ok(page(at - 1, 1, &[]))
        });
        assert!(matches!(
            endless,
            Err(Uncovered::Bad(BadMap::Pages(BadPages::Endless { .. })))
        ));
    }

    /// The largest disk there is, of which every second grain changed: as many areas as there can be. The map
    /// is a bit a grain, whatever the server says; pages come and go.
    #[test]
    #[ignore = "takes minutes: 500 million areas"]
    fn the_map_of_62_tib_takes_a_bit_a_grain() {
        const CAPACITY_BYTES: u64 = 62 << 40;
        const PAGE_BYTES: u64 = 1 << 30;
        let before = peak_bytes();
        let covered = cover::<()>(CAPACITY_BYTES, 16, |start_bytes| {
            let grains = (0..PAGE_BYTES / K64).step_by(2);
            Ok(Page {
                start_bytes,
                length_bytes: PAGE_BYTES,
                areas: grains
                    .map(|grain| (start_bytes + grain * K64, K64))
                    .collect(),
            })
        });
        let covered = covered.unwrap();
        assert_eq!(covered.changed_bytes, CAPACITY_BYTES / 2);
        let grown = peak_bytes() - before;
        println!("{} MiB for {} areas", grown >> 20, covered.areas);
        assert!(grown < 160 << 20, "{grown} bytes");
    }

    /// The most memory that this process has had.
    fn peak_bytes() -> u64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().trim_end_matches("kB").trim();
        kib.parse::<u64>().unwrap() << 10
    }

    #[test]
    fn a_failing_question_is_handed_on() {
        assert!(matches!(
            cover(CAPACITY, 18, |_| Err(Uncovered::Query("no"))),
            Err(Uncovered::Query("no"))
        ));
    }

    proptest! {
        /// Whatever a server says, nothing panics, and no believed answer lacks an area it named.
        #[test]
        fn any_answer_is_refused_or_covered(
            pages in prop::collection::vec(
                (any::<u16>(), prop::collection::vec((0_u64..CAPACITY, 1_u64..K64 * 4), 0..8)),
                0..12,
            ),
        ) {
            let mut named = Vec::new();
            let mut pages = pages.into_iter();
            let result = cover(CAPACITY, 18, |at| match pages.next() {
                Some((length, areas)) => {
                    named.extend(areas.iter().copied());
                    Ok(Page { start_bytes: at, length_bytes: u64::from(length) * 512, areas })
                }
                None => Err(Uncovered::Query(())),
            });
            if let Ok(coverage) = result {
                for (start, length) in named {
                    for byte in [start, (start + length - 1).min(CAPACITY - 1)] {
                        prop_assert!(coverage.changed.contains(byte >> 18));
                    }
                }
            }
        }
    }
}
