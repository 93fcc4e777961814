//! Nodes that are written while blocks still come: the same tree, whatever the order.

use proptest::prelude::*;

use super::site::{BLOCK_BYTES, Site, complete, content, info};
use crate::repo::{BlockRange, Error, PointId, PointKind, VerifyLevel};

/// What happens to a block in the second run.
#[derive(Clone, Copy, Debug)]
enum Change {
    None,
    Data(u8),
    Hole,
}

#[derive(Clone, Debug)]
struct Second {
    grown_blocks: usize,
    changes: Vec<(usize, Change)>,
    promised: bool,
}

fn second() -> impl Strategy<Value = Second> {
    let change = prop_oneof![
        2 => Just(Change::None),
        2 => (1_u8..9).prop_map(Change::Data),
        1 => Just(Change::Hole),
    ];
    let changes = proptest::collection::vec(change, 1..90);
    let changes = changes.prop_map(|all| all.into_iter().enumerate().collect::<Vec<_>>());
    (0_usize..40, changes.prop_shuffle(), any::<bool>()).prop_map(
        |(grown_blocks, changes, promised)| Second {
            grown_blocks,
            changes,
            promised,
        },
    )
}

fn one(block: usize) -> BlockRange {
    BlockRange {
        first: block as u64,
        blocks: 1,
    }
}

/// Runs `second` upon a full of `image`, which becomes what the point must hold.
fn increment(
    site: &Site,
    image: &mut Vec<u8>,
    full: PointId,
    second: &Second,
) -> Result<PointId, Error> {
    let blocks = image.len() / BLOCK_BYTES + second.grown_blocks;
    image.resize(blocks * BLOCK_BYTES, 0);
    let session = site.begin()?;
    let slot = session.add_disk(Site::disk(Some(full), image.len() as u64))?;
    let wanted = second.changes.iter().filter(|(block, change)| {
        // A change of what is not on the disk is none.
        *block < blocks && !matches!(change, Change::None)
    });
    session.expect_blocks(slot, wanted.clone().map(|(block, _)| one(*block)));
    if second.promised {
        session.expect_no_others(slot);
    }
    for (block, change) in wanted {
        let bytes = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
        if let Change::Data(seed) = change {
            let data = content(*seed, BLOCK_BYTES);
            session.put(slot, *block as u64, &data)?;
            image[bytes].copy_from_slice(&data);
        } else {
            session.put_hole(slot, *block as u64, 1)?;
            image[bytes].fill(0);
        }
    }
    session.set_disk_state(slot, complete());
    let made = session.commit(info(PointKind::Incremental, 2))?;
    Ok(made.point)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_order_makes_the_tree_of_the_image(
        bits in 1_u8..4,
        seeds in proptest::collection::vec(prop_oneof![Just(0_u8), 1_u8..9], 1..70),
        second in second(),
    ) {
        let site = Site::new(bits);
        let mut image: Vec<u8> = seeds.iter().flat_map(|seed| content(*seed, BLOCK_BYTES)).collect();
        let full = site.backup(&image, None, 1).unwrap();
        let point = increment(&site, &mut image, full, &second).unwrap();
        let repo = site.reopen().unwrap();
        prop_assert!(site.restore(&repo, point).unwrap() == image);
        // It counts all trees anew and compares them with the usage tables.
        let report = repo.verify(site.runtime.handle(), VerifyLevel::Full, &()).unwrap();
        prop_assert!(report.findings.is_empty(), "{:?}", report.findings);
    }
}

#[test]
fn what_was_said_not_to_come_is_refused() {
    let site = Site::new(2);
    let image = content(1, BLOCK_BYTES * 20);
    let full = site.backup(&image, None, 1).unwrap();
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(Some(full), image.len() as u64))
        .unwrap();
    session.expect_blocks(slot, [one(3)]);
    session.expect_no_others(slot);
    let block = content(3, BLOCK_BYTES);
    for other in [2, 4, 19] {
        let put = session.put(slot, other, &block);
        assert!(
            matches!(put, Err(Error::BlockNotOpen { block, .. }) if block == other),
            "{put:?}"
        );
    }
    session.put(slot, 3, &block).unwrap();
    assert!(session.put_hole(slot, 3, 1).is_err());
    session.abandon();
}
