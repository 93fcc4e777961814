//! The file of a disk, read again and held against what the root says of it.

use std::ops::Range;

use super::tiling::{BadPages, GRAIN_BYTES, Page, Tiling, Totals};
use super::{MAGIC, MAX_ANSWER_BYTES, MAX_ANSWERS, PAGES, VERSION};
use crate::repo::block_set::BlockSet;
use crate::repo::id::PointId;
use crate::repo::root::Coverage;
use crate::repo::tree::Geometry;

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadFile {
    /// A later program has written it.
    #[error("it is of version {version}, which this program does not know")]
    Version {
        /// Which.
        version: u8,
    },
    /// It is none.
    #[error("it is no list of changed areas: {what}")]
    Malformed {
        /// Where it goes wrong.
        what: &'static str,
    },
    /// Its pages do not tile the disk.
    #[error(transparent)]
    Pages(#[from] BadPages),
}

fn malformed(what: &'static str) -> BadFile {
    BadFile::Malformed { what }
}

/// What the server said has changed since a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadAnswer {
    /// Since this one.
    pub(crate) base: PointId,
    /// What lies before was read by an earlier run.
    from_bytes: u64,
    areas: Areas,
    /// What the pages come to, if they were saved.
    pub(super) totals: Option<Totals>,
    capacity_bytes: u64,
}

/// What lies in areas.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Areas {
    /// These bytes, in order and merged.
    Ranges(Vec<Range<u64>>),
    /// Something of each grain of `1 << shift` bytes whose bit is set.
    Grains { shift: u8, bits: Vec<u8> },
}

/// Reads a file of a disk of this size.
pub(crate) fn read(bytes: &[u8], capacity_bytes: u64) -> Result<Vec<ReadAnswer>, BadFile> {
    let mut rest = Rest(bytes);
    if rest.byte()? != MAGIC {
        return Err(malformed("it begins otherwise"));
    }
    let version = rest.byte()?;
    if version != VERSION {
        return Err(BadFile::Version { version });
    }
    let answers = usize::from(rest.byte()?);
    if !(1..=MAX_ANSWERS).contains(&answers) {
        return Err(malformed("it has none, or too many"));
    }
    let mut read = Vec::with_capacity(answers);
    for _ in 0..answers {
        read.push(answer(&mut rest, capacity_bytes)?);
    }
    if rest.0.is_empty() {
        Ok(read)
    } else {
        Err(malformed("something follows"))
    }
}

fn answer(rest: &mut Rest<'_>, capacity_bytes: u64) -> Result<ReadAnswer, BadFile> {
    let base = PointId::from_bytes(*rest.array()?);
    let from_bytes = u64::from_le_bytes(*rest.array()?);
    let form = rest.byte()?;
    let length = u32::from_le_bytes(*rest.array()?) as usize;
    if length > MAX_ANSWER_BYTES {
        return Err(malformed("an answer is longer than it may be"));
    }
    let body = rest.take(length)?;
    let (areas, totals) = if form == PAGES {
        let (ranges, totals) = pages(&mut Rest(body), capacity_bytes)?;
        (Areas::Ranges(ranges), Some(totals))
    } else {
        (grains(body, form, capacity_bytes)?, None)
    };
    Ok(ReadAnswer {
        base,
        from_bytes,
        areas,
        totals,
        capacity_bytes,
    })
}

fn pages(body: &mut Rest<'_>, capacity_bytes: u64) -> Result<(Vec<Range<u64>>, Totals), BadFile> {
    let mut ranges = Ranges::default();
    let mut tiling = Tiling::new(capacity_bytes);
    while let Some(start_bytes) = tiling.next_bytes()? {
        let length_bytes = body.bytes_number()?;
        let count = body.varint()?;
        // An area takes two bytes at least.
        if count > body.0.len() as u64 / 2 {
            return Err(malformed("a page has more areas than there are"));
        }
        let mut areas = Vec::with_capacity(count as usize);
        let mut at = start_bytes;
        for _ in 0..count {
            let step = body.bytes_number()?;
            at = at
                .checked_add(step)
                .ok_or(malformed("an area lies nowhere"))?;
            areas.push((at, body.bytes_number()?));
        }
        let mut page = Page {
            start_bytes,
            length_bytes,
            areas,
        };
        tiling.add(&mut page, |range| ranges.add(range))?;
    }
    if body.0.is_empty() {
        Ok((ranges.0, tiling.totals()))
    } else {
        Err(malformed("an answer goes on behind the disk's end"))
    }
}

fn grains(bits: &[u8], shift: u8, capacity_bytes: u64) -> Result<Areas, BadFile> {
    if shift > 62 {
        return Err(malformed("its form is not known"));
    }
    let grains = capacity_bytes.div_ceil(1 << shift);
    if bits.len() as u64 != grains.div_ceil(8) {
        return Err(malformed("it is of a disk of another size"));
    }
    let behind = bits.last().copied().unwrap_or(0) >> ((grains - 1) % 8);
    if behind > 1 {
        return Err(malformed("a grain leaves the disk"));
    }
    let bits = bits.to_vec();
    Ok(Areas::Grains { shift, bits })
}

impl ReadAnswer {
    /// The bytes in areas, in order and merged. Where no pages were saved: in the grains that hold something of them.
    pub(super) fn ranges(&self) -> Box<dyn Iterator<Item = Range<u64>> + '_> {
        match &self.areas {
            Areas::Ranges(ranges) => Box::new(ranges.iter().cloned()),
            Areas::Grains { shift, bits } => {
                let is_set = |grain: u64| {
                    let byte = bits.get((grain / 8) as usize);
                    byte.is_some_and(|byte| byte >> (grain % 8) & 1 == 1)
                };
                let (end, mut next) = (bits.len() as u64 * 8, 0);
                Box::new(std::iter::from_fn(move || {
                    let first = (next..end).find(|grain| is_set(*grain))?;
                    next = (first..end).find(|grain| !is_set(*grain)).unwrap_or(end);
                    Some(first << shift..(next << shift).min(self.capacity_bytes))
                }))
            }
        }
    }

    /// The disk's blocks that hold something of an area.
    pub(crate) fn blocks(&self, geometry: Geometry) -> BlockSet {
        let mut blocks = BlockSet::default();
        let shift = geometry.block_shift();
        for range in self.ranges() {
            let first = range.start >> shift;
            blocks.insert(first, ((range.end - 1) >> shift) + 1 - first);
        }
        blocks
    }

    /// The grains that were to be read for it.
    fn grains(&self) -> impl Iterator<Item = Range<u64>> {
        let from = self.from_bytes / GRAIN_BYTES;
        self.ranges()
            .map(move |range| {
                (range.start / GRAIN_BYTES).max(from)..range.end.div_ceil(GRAIN_BYTES)
            })
            .filter(|range| !range.is_empty())
    }
}

/// What the answers say otherwise than the root, if anything. Without their pages nothing can be said.
pub(crate) fn contradiction(
    answers: &[ReadAnswer],
    coverage: &Coverage,
    capacity_bytes: u64,
) -> Option<String> {
    let totals: Option<Vec<Totals>> = answers.iter().map(|answer| answer.totals).collect();
    let totals = totals?;
    let (digest, changed_bytes) = match totals.as_slice() {
        [one] => (one.digest, one.changed_bytes),
        all => {
            let mut hasher = blake3::Hasher::new();
            for one in all {
                hasher.update(&one.digest);
            }
            let digest = *hasher.finalize().as_bytes();
            (digest, together(answers, capacity_bytes))
        }
    };
    let digest = blake3::Hash::from(digest).to_hex().to_string();
    if digest != coverage.digest {
        return Some(format!(
            "its digest is {digest}, and the root says {}",
            coverage.digest
        ));
    }
    let sum = |of: fn(&Totals) -> u64| totals.iter().map(of).sum::<u64>();
    let numbers = [
        ("pages", sum(|one| one.pages), coverage.pages),
        ("areas", sum(|one| one.areas), coverage.areas),
        ("changed bytes", changed_bytes, coverage.area_bytes),
    ];
    let wrong = numbers.iter().find(|(_, here, there)| here != there);
    wrong.map(|(what, here, there)| format!("it has {here} {what}, and the root says {there}"))
}

/// Bytes of the grains that any of the answers names.
fn together(answers: &[ReadAnswer], capacity_bytes: u64) -> u64 {
    let mut grains: Vec<_> = answers.iter().flat_map(ReadAnswer::grains).collect();
    grains.sort_unstable_by_key(|range| range.start);
    let mut merged = Ranges::default();
    for range in grains {
        let end = (range.end * GRAIN_BYTES).min(capacity_bytes);
        merged.add(range.start * GRAIN_BYTES..end);
    }
    merged.0.iter().map(|range| range.end - range.start).sum()
}

/// Ranges that come in the order of their starts, merged.
#[derive(Default)]
struct Ranges(Vec<Range<u64>>);

impl Ranges {
    fn add(&mut self, range: Range<u64>) {
        match self.0.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => self.0.push(range),
        }
    }
}

/// What is left to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], BadFile> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(malformed("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], BadFile> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or(malformed("it is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, BadFile> {
        self.array::<1>().map(|[byte]| *byte)
    }

    fn varint(&mut self) -> Result<u64, BadFile> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(malformed("a number is too large"))
    }

    fn bytes_number(&mut self) -> Result<u64, BadFile> {
        let number = self.varint()?;
        if number % 2 == 1 {
            return Ok(number / 2);
        }
        (number / 2)
            .checked_mul(GRAIN_BYTES)
            .ok_or(malformed("a number is too large"))
    }
}
