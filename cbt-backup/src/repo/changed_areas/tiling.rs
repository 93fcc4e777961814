//! Pages that tile a disk: an answer that leaves out nothing.

use std::ops::Range;

/// An overshoot of less than this at the disk's end is the server rounding up to its grain.
pub(super) const GRAIN_BYTES: u64 = 64 * 1024;

/// One answer, as the server gave it. All numbers are bytes from the start of the disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Where the page begins.
    pub start_bytes: u64,
    /// How much of the disk it covers.
    pub length_bytes: u64,
    /// The changed areas in it: start and length.
    pub areas: Vec<(u64, u64)>,
}

/// Why pages cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPages {
    /// A page of no length before the end: asking on would never end.
    #[error("the server's answer stalls at byte {at_bytes} of {capacity_bytes}")]
    Stalled {
        /// Where.
        at_bytes: u64,
        /// The disk's size.
        capacity_bytes: u64,
    },
    /// A page that begins elsewhere than asked.
    #[error(
        "the server was asked from byte {asked_bytes} on and answered from byte {answered_bytes}"
    )]
    WrongStart {
        /// Where the question began.
        asked_bytes: u64,
        /// Where the answer began.
        answered_bytes: u64,
    },
    /// A page that reaches far past the disk's end.
    #[error("the server's answer reaches to byte {end_bytes}, past the disk's {capacity_bytes}")]
    PastEnd {
        /// Where the page ends.
        end_bytes: u64,
        /// The disk's size.
        capacity_bytes: u64,
    },
    /// An area that is empty or leaves its page.
    #[error("an area ({start_bytes} + {length_bytes} bytes) is empty or leaves its page")]
    AreaOutsidePage {
        /// Where it begins.
        start_bytes: u64,
        /// Its length.
        length_bytes: u64,
    },
    /// More pages than the disk has grains.
    #[error("the server's answer does not end after {pages} pages")]
    Endless {
        /// How many were read.
        pages: u64,
    },
}

/// What pages that tile a disk come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many pages.
    pub pages: u64,
    /// Areas in all of them together.
    pub areas: u64,
    /// Bytes in areas, those of a page merged.
    pub changed_bytes: u64,
    /// BLAKE3 over the pages' bounds and areas.
    pub digest: [u8; 32],
}

/// Pages on their way to tile `[0, capacity)`. It takes them one by one and keeps none.
#[derive(Debug)]
pub struct Tiling {
    capacity_bytes: u64,
    at_bytes: u64,
    totals: Totals,
    hasher: blake3::Hasher,
}

impl Tiling {
    /// Nothing of a disk of this size is covered yet.
    pub fn new(capacity_bytes: u64) -> Self {
        Self {
            capacity_bytes,
            at_bytes: 0,
            totals: Totals::default(),
            hasher: blake3::Hasher::new(),
        }
    }

    /// Where the next page must begin, below the disk's size; `None` when all is covered.
    ///
    /// # Errors
    /// [`BadPages::Endless`].
    pub fn next_bytes(&self) -> Result<Option<u64>, BadPages> {
        if self.at_bytes == self.capacity_bytes {
            return Ok(None);
        }
        let most_pages = self.capacity_bytes / GRAIN_BYTES + 16;
        if self.totals.pages == most_pages {
            return Err(BadPages::Endless { pages: most_pages });
        }
        Ok(Some(self.at_bytes))
    }

    /// Takes a page. Its areas may be unordered, touching or overlapping; they are sorted, and each is handed on,
    /// clipped to the disk.
    ///
    /// # Errors
    /// The rule that the page breaks.
    pub fn add(
        &mut self,
        page: &mut Page,
        mut changed: impl FnMut(Range<u64>),
    ) -> Result<(), BadPages> {
        let page_end = self.page_end(page)?;
        self.hasher.update(&page.start_bytes.to_le_bytes());
        self.hasher.update(&page.length_bytes.to_le_bytes());
        page.areas.sort_unstable();
        // At the disk's end an area may overshoot as the page may; anywhere else the page's end binds.
        let most_end = if page_end == self.capacity_bytes {
            self.capacity_bytes.saturating_add(GRAIN_BYTES - 1)
        } else {
            page_end
        };
        let mut counted_to = page.start_bytes;
        for &(start_bytes, length_bytes) in &page.areas {
            let outside = || BadPages::AreaOutsidePage {
                start_bytes,
                length_bytes,
            };
            let end = start_bytes.checked_add(length_bytes).ok_or_else(outside)?;
            if length_bytes == 0
                || start_bytes < page.start_bytes
                || start_bytes >= page_end
                || end > most_end
            {
                return Err(outside());
            }
            let end = end.min(self.capacity_bytes);
            self.hasher.update(&start_bytes.to_le_bytes());
            self.hasher.update(&length_bytes.to_le_bytes());
            changed(start_bytes..end);
            self.totals.changed_bytes += end.saturating_sub(start_bytes.max(counted_to));
            counted_to = counted_to.max(end);
            self.totals.areas += 1;
        }
        self.totals.pages += 1;
        self.at_bytes = page_end;
        Ok(())
    }

    /// What the pages come to.
    pub fn totals(&self) -> Totals {
        Totals {
            digest: *self.hasher.finalize().as_bytes(),
            ..self.totals
        }
    }

    /// Checks a page's bounds and gives its end, clipped to the disk.
    fn page_end(&self, page: &Page) -> Result<u64, BadPages> {
        let (asked_bytes, capacity_bytes) = (self.at_bytes, self.capacity_bytes);
        if page.start_bytes != asked_bytes {
            return Err(BadPages::WrongStart {
                asked_bytes,
                answered_bytes: page.start_bytes,
            });
        }
        if page.length_bytes == 0 {
            return Err(BadPages::Stalled {
                at_bytes: asked_bytes,
                capacity_bytes,
            });
        }
        let end_bytes = asked_bytes.saturating_add(page.length_bytes);
        if end_bytes >= capacity_bytes.saturating_add(GRAIN_BYTES) {
            return Err(BadPages::PastEnd {
                end_bytes,
                capacity_bytes,
            });
        }
        Ok(end_bytes.min(capacity_bytes))
    }
}
