use std::ops::Range;

use proptest::prelude::*;

use super::tiling::{GRAIN_BYTES, Page, Tiling};
use super::{
    AnswerWriter, BadFile, MAX_ANSWER_BYTES, ReadAnswer, SavedAnswer, contradiction, read, write,
};
use crate::repo::id::PointId;
use crate::repo::root::Coverage;
use crate::repo::tree::Geometry;

const K64: u64 = GRAIN_BYTES;
const CAPACITY: u64 = 100 * K64 + 1536;

/// What a run does with an honest answer: the file's part of it, and what the root says.
fn saved(capacity_bytes: u64, pages: Vec<Page>) -> (SavedAnswer, Coverage, Vec<Range<u64>>) {
    let (mut tiling, mut writer) = (Tiling::new(capacity_bytes), AnswerWriter::default());
    let mut areas = Vec::new();
    for mut page in pages {
        tiling.add(&mut page, |area| areas.push(area)).unwrap();
        writer.add(&page);
    }
    assert_eq!(tiling.next_bytes(), Ok(None));
    let totals = tiling.totals();
    let grains = areas
        .iter()
        .map(|area: &Range<u64>| area.start / K64..area.end.div_ceil(K64));
    let saved = writer.finish(capacity_bytes, 16, grains);
    let coverage = Coverage {
        digest: blake3::Hash::from(totals.digest).to_hex().to_string(),
        pages: totals.pages,
        areas: totals.areas,
        area_bytes: totals.changed_bytes,
        ..Coverage::default()
    };
    (saved, coverage, areas)
}

fn page(start_bytes: u64, length_bytes: u64, areas: &[(u64, u64)]) -> Page {
    let areas = areas.to_vec();
    Page {
        start_bytes,
        length_bytes,
        areas,
    }
}

fn blocks(answer: &ReadAnswer, capacity_bytes: u64, shift: u8) -> Vec<Range<u64>> {
    let geometry = Geometry::new(capacity_bytes, shift, 8).unwrap();
    let runs = answer.blocks(geometry);
    let runs = runs.runs().map(|run| run.first..run.first + run.blocks);
    runs.collect()
}

#[test]
fn what_was_said_is_read_again() {
    let (answer, coverage, _) = saved(
        CAPACITY,
        vec![
            page(0, 40 * K64, &[(8 * K64, K64), (0, K64), (K64 + 512, 512)]),
            page(40 * K64, 10 * K64, &[]),
            page(50 * K64, 51 * K64, &[(100 * K64, K64)]),
        ],
    );
    assert!(answer.has_pages());
    let base = PointId::generate();
    let file = write(&[(base, 0, answer)]);
    // Two bytes for an area of whole grains that lies near the one before.
    assert!(file.len() < 60, "{}", file.len());
    let answers = read(&file, CAPACITY).unwrap();
    assert_eq!((answers.len(), answers[0].base), (1, base));
    assert_eq!(contradiction(&answers, &coverage, CAPACITY), None);
    assert_eq!(blocks(&answers[0], CAPACITY, 18), [0..1, 2..3, 25..26]);
    assert_eq!(blocks(&answers[0], CAPACITY, 16), [0..2, 8..9, 100..101]);
}

#[test]
fn each_number_is_held_against_the_root() {
    let (answer, coverage, _) = saved(CAPACITY, vec![page(0, CAPACITY, &[(0, K64)])]);
    let answers = read(&write(&[(PointId::generate(), 0, answer)]), CAPACITY).unwrap();
    let wrong = |change: fn(&mut Coverage)| {
        let mut coverage = coverage.clone();
        change(&mut coverage);
        contradiction(&answers, &coverage, CAPACITY).expect("it is wrong")
    };
    assert!(wrong(|coverage| coverage.digest.clear()).contains("digest"));
    assert!(wrong(|coverage| coverage.pages = 2).contains("1 pages"));
    assert!(wrong(|coverage| coverage.areas = 2).contains("1 areas"));
    assert!(wrong(|coverage| coverage.area_bytes = 2).contains("65536 changed bytes"));
    // On a disk of another size the pages tile nothing.
    let file = write(&[(
        PointId::generate(),
        0,
        saved(CAPACITY, vec![page(0, CAPACITY, &[])]).0,
    )]);
    for capacity_bytes in [CAPACITY / 2, CAPACITY * 2] {
        assert!(read(&file, capacity_bytes).is_err());
    }
}

/// As the engine joins them: what changed since the whole point behind what a dead run had covered, and what changed
/// since that run.
#[test]
fn two_answers_are_held_against_what_was_read_for_both() {
    let (whole, first, _) = saved(
        CAPACITY,
        vec![page(0, CAPACITY, &[(K64, K64), (20 * K64 + 512, K64)])],
    );
    let (since, second, _) = saved(CAPACITY, vec![page(0, CAPACITY, &[(2 * K64, 512)])]);
    let mut hasher = blake3::Hasher::new();
    for coverage in [&first, &second] {
        hasher.update(blake3::Hash::from_hex(&coverage.digest).unwrap().as_bytes());
    }
    let coverage = Coverage {
        digest: hasher.finalize().to_hex().to_string(),
        pages: 2,
        areas: 3,
        // Grain 1 was covered; 20, 21 and 2 are read.
        area_bytes: 3 * K64,
        ..Coverage::default()
    };
    let points = [PointId::generate(), PointId::generate()];
    let file = write(&[(points[0], 10 * K64, whole), (points[1], 0, since)]);
    let answers = read(&file, CAPACITY).unwrap();
    assert_eq!(contradiction(&answers, &coverage, CAPACITY), None);
    assert_eq!([answers[0].base, answers[1].base], points);
    // All of it has changed since the whole point.
    assert_eq!(blocks(&answers[0], CAPACITY, 16), [1..2, 20..22]);
}

/// A million areas of a disk of 62 TiB: pages would take more room than there is.
#[test]
fn what_takes_too_much_room_becomes_coarser() {
    const CAPACITY: u64 = (62 << 40) - 512;
    let step = CAPACITY / (1 << 20);
    let all: Vec<_> = (0..1 << 20).map(|area| (area * step, 512)).collect();
    let (answer, coverage, areas) = saved(CAPACITY, vec![page(0, CAPACITY, &all)]);
    assert!(!answer.has_pages());
    let file = write(&[(PointId::generate(), 0, answer)]);
    assert!(file.len() <= MAX_ANSWER_BYTES + 100, "{}", file.len());
    let answers = read(&file, CAPACITY).unwrap();
    // Without pages there is nothing to hold against the root, and no false alarm.
    assert_eq!(contradiction(&answers, &coverage, CAPACITY), None);
    let geometry = Geometry::new(CAPACITY, 18, 8).unwrap();
    let blocks = answers[0].blocks(geometry);
    assert!(areas.iter().all(|area| blocks.covers(area.start >> 18, 1)));
    // A grain of 8 MiB for each, or two.
    let found = blocks.len();
    assert!((32 << 20..33 << 20).contains(&found), "{found}");
}

/// A disk of 2 TiB, of which every eighth grain has changed.
#[test]
fn grains_are_blocks_where_there_is_room() {
    const CAPACITY: u64 = 2 << 40;
    let all = (0..CAPACITY / K64)
        .step_by(8)
        .map(|grain| (grain * K64, K64));
    let (answer, ..) = saved(CAPACITY, vec![page(0, CAPACITY, &all.collect::<Vec<_>>())]);
    let file = write(&[(PointId::generate(), 0, answer)]);
    let answers = read(&file, CAPACITY).unwrap();
    let geometry = Geometry::new(CAPACITY, 18, 8).unwrap();
    let blocks = answers[0].blocks(geometry);
    assert_eq!(blocks.len(), CAPACITY >> 19);
    assert!(
        blocks
            .runs()
            .all(|run| run.first % 2 == 0 && run.blocks == 1)
    );
    // Cut short, or of another disk.
    for capacity_bytes in [CAPACITY / 2, CAPACITY * 2] {
        assert!(read(&file, capacity_bytes).is_err());
    }
}

#[test]
fn files_of_others_are_refused() {
    let (answer, ..) = saved(CAPACITY, vec![page(0, CAPACITY, &[(0, K64)])]);
    let file = write(&[(PointId::generate(), 0, answer)]);
    let with = |at: usize, byte: u8| {
        let mut file = file.clone();
        file[at] = byte;
        read(&file, CAPACITY).unwrap_err()
    };
    assert_eq!(with(1, 7), BadFile::Version { version: 7 });
    for (at, byte) in [(0, 0), (2, 0), (2, 3), (2, 2), (27, 63), (30, 0x20)] {
        let refused = with(at, byte);
        assert!(
            matches!(refused, BadFile::Malformed { .. }),
            "{at}: {refused}"
        );
    }
    for length in 0..file.len() {
        assert!(read(&file[..length], CAPACITY).is_err(), "{length}");
    }
    assert!(read(&[file.as_slice(), &[0]].concat(), CAPACITY).is_err());
}

prop_compose! {
    /// Pages that tile the disk, with areas that keep the rules.
    fn honest()(cuts in prop::collection::btree_set(1_u64..CAPACITY, 0..5),
                areas in prop::collection::vec((0_u64..CAPACITY, 1_u64..9 * K64, any::<bool>()), 0..40))
                -> Vec<Page> {
        let mut cuts: Vec<u64> = cuts.into_iter().collect();
        cuts.push(CAPACITY);
        let mut start = 0;
        cuts.iter().map(|end| {
            let mut page = page(start, end - start, &[]);
            for (at, length, whole) in &areas {
                let at = if *whole { at / K64 * K64 } else { *at };
                if (start..*end).contains(&at) {
                    page.areas.push((at, (*length).min(end - at)));
                }
            }
            start = *end;
            page
        }).collect()
    }
}

proptest! {
    #[test]
    fn honest_answers_are_read_as_they_were(pages in honest(), shift in 12_u8..20) {
        let (answer, coverage, areas) = saved(CAPACITY, pages);
        let answers = read(&write(&[(PointId::generate(), 0, answer)]), CAPACITY).unwrap();
        prop_assert_eq!(contradiction(&answers, &coverage, CAPACITY), None);
        let geometry = Geometry::new(CAPACITY, shift, 8).unwrap();
        let mut wanted = crate::repo::block_set::BlockSet::default();
        for area in areas {
            let first = area.start >> shift;
            wanted.insert(first, ((area.end - 1) >> shift) - first + 1);
        }
        let blocks = answers[0].blocks(geometry);
        prop_assert_eq!(blocks.runs().collect::<Vec<_>>(), wanted.runs().collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200),
                                     form in 0_u8..70, capacity in 1_u64..1 << 56) {
        let _ = read(&bytes, capacity);
        // With the frame of a file around them.
        let mut file = vec![b'C', 0, 1];
        file.extend([7; 24]);
        file.push(form);
        file.extend((bytes.len() as u32).to_le_bytes());
        file.extend(&bytes);
        if let Ok(answers) = read(&file, capacity) {
            let _ = contradiction(&answers, &Coverage::default(), capacity);
            let ranges: Vec<_> = answers[0].ranges().collect();
            for range in &ranges {
                prop_assert!(range.start < range.end && range.end <= capacity);
            }
            prop_assert!(ranges.windows(2).all(|pair| pair[0].end < pair[1].start));
        }
    }

    #[test]
    fn a_changed_byte_is_found_or_changes_nothing(pages in honest(), at in any::<usize>(), to in any::<u8>()) {
        let (answer, coverage, _) = saved(CAPACITY, pages);
        let file = write(&[(PointId::generate(), 0, answer)]);
        let before = read(&file, CAPACITY).unwrap();
        // The base and the first byte are no part of the digest.
        let at = 27 + at % (file.len() - 27);
        let mut changed = file.clone();
        changed[at] = to;
        match read(&changed, CAPACITY) {
            Ok(after) if after[0].totals.is_some() => {
                let same = contradiction(&after, &coverage, CAPACITY).is_none();
                prop_assert!(!same || after == before);
            }
            // As runs of grains the same bytes say something else.
            Ok(_) => prop_assert_eq!(at, 27),
            Err(_) => {}
        }
    }
}
