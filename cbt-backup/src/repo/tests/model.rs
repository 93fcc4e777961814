//! Random histories compared with plain copies of the images.

use proptest::prelude::*;

use super::site::{BLOCK_BYTES, Site, content};
use crate::repo::{Image, VerifyLevel};

#[derive(Clone, Debug)]
struct Change {
    /// Blocks that are written: first, how many, seed (0 zeroes them).
    writes: Vec<(u8, u8, u8)>,
    /// Bytes by which the disk grows before.
    grow_bytes: u16,
    /// Blocks that are put though they did not change.
    idle: Vec<u8>,
    full: bool,
}

fn change() -> impl Strategy<Value = Change> {
    let write = (any::<u8>(), 1_u8..9, 0_u8..6);
    let grow = prop_oneof![3 => Just(0), 1 => 1_u16..20_000];
    (
        proptest::collection::vec(write, 0..6),
        grow,
        proptest::collection::vec(any::<u8>(), 0..5),
        proptest::bool::weighted(0.2),
    )
        .prop_map(|(writes, grow_bytes, idle, full)| Change {
            writes,
            grow_bytes,
            idle,
            full,
        })
}

/// Applies the change and returns the blocks it touched.
fn apply(image: &mut Vec<u8>, change: &Change) -> Vec<u64> {
    let old = image.len();
    image.resize(old + usize::from(change.grow_bytes), 0);
    let blocks = image.len().div_ceil(BLOCK_BYTES);
    let mut touched: Vec<u64> = (old / BLOCK_BYTES..blocks)
        .map(|block| block as u64)
        .collect();
    touched.retain(|_| change.grow_bytes > 0);
    for (first, count, seed) in &change.writes {
        let first = usize::from(*first) % blocks;
        for block in first..(first + usize::from(*count)).min(blocks) {
            let end = image.len().min((block + 1) * BLOCK_BYTES);
            let bytes = &mut image[block * BLOCK_BYTES..end];
            let length = bytes.len();
            bytes.copy_from_slice(&content(*seed, length));
            touched.push(block as u64);
        }
    }
    touched.extend(
        change
            .idle
            .iter()
            .map(|block| u64::from(*block) % blocks as u64),
    );
    touched
}

fn check(start_bytes: usize, bits: u8, changes: &[Change]) -> Result<(), TestCaseError> {
    let site = Site::new(bits);
    let mut image = vec![0; start_bytes];
    let mut history = Vec::new();
    for (step, change) in (0..).zip(changes) {
        let touched = apply(&mut image, change);
        let parent = history
            .last()
            .map(|(point, _)| *point)
            .filter(|_| !change.full);
        let increment = parent.map(|point| (point, touched));
        let point = site.backup(&image, increment, step).unwrap();
        history.push((point, image.clone()));
    }
    let repo = site.reopen().unwrap();
    let list = site.runtime.block_on(repo.points(None)).unwrap();
    let listed: Vec<_> = list.points.iter().map(|point| point.id).collect();
    let made: Vec<_> = history.iter().map(|(point, _)| *point).collect();
    prop_assert_eq!(listed, made);
    for (point, image) in &history {
        prop_assert!(&site.restore(&repo, *point).unwrap() == image);
        let point = site.point(*point);
        let disk = Image::open(&repo, site.runtime.handle(), &point, 0).unwrap();
        prop_assert_eq!(disk.capacity_bytes(), image.len() as u64);
        for offset in (0..image.len()).step_by(BLOCK_BYTES * 3 / 2) {
            let mut part = vec![0xff; (image.len() - offset).min(BLOCK_BYTES + 700)];
            disk.read_at(offset as u64, &mut part).unwrap();
            prop_assert!(part == image[offset..offset + part.len()]);
        }
    }
    let report = repo
        .verify(site.runtime.handle(), VerifyLevel::Full, &())
        .unwrap();
    prop_assert!(report.findings.is_empty(), "{:?}", report.findings);
    prop_assert_eq!(
        report.counts.packs,
        report.counts.packs_read + report.counts.garbage_packs
    );
    prop_assert!(site.names("open").is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_point_is_its_image(
        start_bytes in 1_usize..60 * BLOCK_BYTES,
        bits in 1_u8..4,
        changes in proptest::collection::vec(change(), 1..7),
    ) {
        check(start_bytes, bits, &changes)?;
    }
}
