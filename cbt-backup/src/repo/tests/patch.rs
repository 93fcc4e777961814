//! Blocks of which only a part is new.

use super::site::{BLOCK_BYTES, Site, complete, content, info};
use crate::repo::tree::{TreeCursor, TreeItem};
use crate::repo::{DiskSlot, Error, PackKind, PointId, PointKind, PutOutcome, Session, TreeRecord};

const BLOCKS: usize = 12;

fn image() -> Vec<u8> {
    let block = |seed| content(seed, BLOCK_BYTES);
    // Block 2 is a hole.
    let seeds = [1, 2, 0].into_iter().chain(3..);
    seeds.take(BLOCKS).flat_map(block).collect()
}

fn increment(site: &Site, full: PointId) -> (Session, DiskSlot) {
    let session = site.begin().unwrap();
    let bytes = (BLOCKS * BLOCK_BYTES) as u64;
    let slot = session.add_disk(Site::disk(Some(full), bytes)).unwrap();
    (session, slot)
}

#[test]
fn a_part_is_put_over_the_block_of_the_parent() {
    let site = Site::new(2);
    let mut image = image();
    let full = site.backup(&image, None, 1).unwrap();
    let (session, slot) = increment(&site, full);
    for (block, from, length) in [(1, 512, 700), (2, 0, 9), (7, BLOCK_BYTES - 1, 1), (9, 5, 0)] {
        let part = content(9, length);
        let put = session.patch(slot, block as u64, from, &part).unwrap();
        let unchanged = length == 0;
        assert_eq!(put == Some(PutOutcome::Unchanged), unchanged, "{put:?}");
        image[block * BLOCK_BYTES + from..][..length].copy_from_slice(&part);
    }
    // What is not within the block is refused before anything is read.
    for (block, from, length) in [(0, BLOCK_BYTES, 1), (0, 1, BLOCK_BYTES), (BLOCKS, 0, 1)] {
        let put = session.patch(slot, block as u64, from, &content(9, length));
        assert!(matches!(put, Err(Error::BadBlock { .. })), "{put:?}");
    }
    session.set_disk_state(slot, complete());
    let point = session.commit(info(PointKind::Incremental, 2)).unwrap();
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, point.point).unwrap() == image);
}

#[test]
fn a_block_the_parent_cannot_supply_is_not_patched() {
    let site = Site::new(2);
    let full = site.backup(&image(), None, 1).unwrap();
    // The blob of block 3 is overwritten, its pack as long as before: only reading it can tell.
    let record = site.point(full).root.disks[0].clone();
    let tree = record.tree.map(TreeRecord::base);
    let mut cursor = TreeCursor::new(&site.repo, record.geometry().unwrap(), tree);
    let located = loop {
        let item = site.runtime.block_on(cursor.next()).unwrap();
        if let TreeItem::Block {
            number: 3,
            reference,
        } = item
        {
            break reference;
        }
    };
    let name = located.pack(PackKind::Data).to_string();
    let mut bytes = site.read(&name);
    bytes[located.offset as usize + 20] ^= 1;
    site.write(&name, bytes);
    let (session, slot) = increment(&site, full);
    assert_eq!(session.patch(slot, 3, 0, &[1; 8]).unwrap(), None);
    // Nothing was put: it may still come whole.
    let whole = content(11, BLOCK_BYTES);
    session.put(slot, 3, &whole).unwrap();
    session.set_disk_state(slot, complete());
    let point = session
        .commit(info(PointKind::Incremental, 2))
        .unwrap()
        .point;
    let mut expected = image();
    expected[3 * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(&whole);
    let repo = site.reopen().unwrap();
    assert!(site.restore(&repo, point).unwrap() == expected);
    // Without a parent there is nothing to patch.
    let session = site.begin().unwrap();
    let slot = session
        .add_disk(Site::disk(None, BLOCK_BYTES as u64))
        .unwrap();
    assert_eq!(session.patch(slot, 0, 0, &[1; 8]).unwrap(), None);
    session.abandon();
}
