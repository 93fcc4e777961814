//! Tags stay with a point's content, whatever becomes of the point.

use std::collections::BTreeSet;

use super::compaction::{compact, sweep};
use super::copying;
use super::site::{BLOCK_BYTES, Site, content, info, options, spec};
use crate::repo::{PointId, PointKind, PointMark, SessionSpec, Tag};

const BLOCKS: u64 = 30;

fn image(seed: u8) -> Vec<u8> {
    (0..BLOCKS as u8)
        .flat_map(|block| content(block * 2 + seed, BLOCK_BYTES))
        .collect()
}

fn tags(words: &[&str]) -> BTreeSet<Tag> {
    words.iter().map(|word| word.parse().unwrap()).collect()
}

fn tags_of(site: &Site, point: PointId) -> BTreeSet<Tag> {
    site.point(point).root.tags
}

/// A point that is called these words; with a parent the given blocks are put.
fn tagged(
    site: &Site,
    words: &[&str],
    image: &[u8],
    increment: Option<(PointId, Vec<u64>)>,
) -> PointId {
    let spec = SessionSpec {
        tags: tags(words),
        ..spec()
    };
    let begin = site.repo.begin(spec, site.runtime.handle(), options());
    let session = site.runtime.block_on(begin).unwrap();
    let kind = Site::fill(&session, image, increment).unwrap();
    // The partial point on the way has them, and so has the rest of the run.
    let (session, partial) = session.checkpoint(info(kind, 1)).unwrap();
    assert_eq!(tags_of(site, partial.point), tags(words));
    session.commit(info(kind, 2)).unwrap().point
}

#[test]
fn tags_are_listed_and_outlive_compaction_bin_mark_and_copy() {
    let site = Site::new(2);
    let first = image(1);
    let full = tagged(&site, &[], &first, None);
    let mut second = first.clone();
    let changed: Vec<u64> = (0..BLOCKS).filter(|block| block % 4 != 0).collect();
    for block in &changed {
        let from = *block as usize * BLOCK_BYTES;
        let new = content(*block as u8 + 120, BLOCK_BYTES);
        second[from..from + BLOCK_BYTES].copy_from_slice(&new);
    }
    let next = tagged(&site, &["gold", "audit"], &second, Some((full, changed)));
    let wanted = tags(&["gold", "audit"]);
    assert!(tags_of(&site, full).is_empty());
    // A point without tags looks to earlier builds as it did.
    let root = serde_json::to_value(site.point(full).root).unwrap();
    assert!(root.get("tags").is_none(), "{root}");
    let listed = site.runtime.block_on(site.repo.points(None)).unwrap();
    let listed = listed.points.iter().find(|point| point.id == next).unwrap();
    assert_eq!(listed.tags, wanted);

    let dropped = site.repo.drop_point(full, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    sweep(&site);
    assert_eq!(compact(&site).rewritten, [next]);
    assert!(site.point(next).name.generation > 0);
    assert_eq!(tags_of(&site, next), wanted);

    let handle = site.runtime.handle();
    let mark = PointMark::default();
    let marked = site.repo.mark(handle, "proxy", next, &mark, options());
    marked.unwrap();
    assert_eq!(tags_of(&site, next), wanted);

    let to = Site::new(2);
    let report = copying::copy(&site, &to, &[next]).unwrap();
    let copy = report.copied[0].to.unwrap();
    assert_eq!(tags_of(&to, copy), wanted);

    let dropped = site.repo.drop_point(next, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    let deleted = site.runtime.block_on(site.repo.deleted_points()).unwrap();
    assert_eq!(deleted.points[0].summary.tags, wanted);
    let back = site.repo.undelete(handle, next, "proxy", options());
    let back = back.unwrap().point;
    assert_eq!(tags_of(&site, back), wanted);
    assert_eq!(site.point(back).root.kind, PointKind::Incremental);
    assert!(site.restore(&site.repo, back).unwrap() == second);
}
