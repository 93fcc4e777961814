//! What a session says of the blocks of a disk's parent.

use super::site::{BLOCK_BYTES, Site, content};
use crate::repo::OldBlock;

/// Fan-out 4: thirty blocks lie in eight leaves on three levels.
const BLOCKS: u64 = 30;

#[test]
fn blocks_of_the_parent_are_told_as_they_are() {
    let site = Site::new(2);
    let mut image = Vec::new();
    for block in 0..BLOCKS {
        let is_hole = (8..16).contains(&block) || block == 21;
        if is_hole {
            image.resize(image.len() + BLOCK_BYTES, 0);
        } else {
            image.extend(content(block as u8, BLOCK_BYTES));
        }
    }
    let point = site.backup(&image, None, 1).unwrap();
    let session = site.begin().unwrap();
    let spec = Site::disk(Some(point), image.len() as u64);
    let slot = session.add_disk(spec).unwrap();
    let all = session.old_blocks(slot, 0..BLOCKS + 2).unwrap();
    assert_eq!(all.len() as u64, BLOCKS + 2);
    for (old, data) in all.iter().zip(image.chunks(BLOCK_BYTES)) {
        assert_eq!(session.is_same(*old, data), Some(true));
        assert_eq!(session.is_same(*old, &[0xab; 512]), Some(false));
    }
    // There is nothing behind the end.
    assert_eq!(all[BLOCKS as usize..], [OldBlock::Unknown; 2]);
    for first in 0..BLOCKS {
        for end in first..=BLOCKS {
            let some = session.old_blocks(slot, first..end).unwrap();
            assert_eq!(some, all[first as usize..end as usize], "{first}..{end}");
        }
    }
    let alone = session.add_disk(Site::disk(None, 1 << 20)).unwrap();
    let unknown = session.old_blocks(alone, 0..3).unwrap();
    assert_eq!(unknown, [OldBlock::Unknown; 3]);
    session.abandon();
}
