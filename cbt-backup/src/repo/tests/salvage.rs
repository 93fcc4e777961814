//! What of a damaged disk is restored, and which bytes are told as lost.

use std::ops::Range;

use super::compaction::{all_that_is_not_full, mostly_garbage};
use super::copying::{copy, history, ids};
use super::site::{BLOCK_BYTES, Site};
use super::sweep::at_once;
use crate::repo::{Error, Image, Piece, Point, PointId, Repository, Salvaged, WalkOptions};

/// What a salvage gave: the disk with zeros where it is lost, and the lost ranges as they were told.
fn salvage(site: &Site, repo: &Repository, point: &Point) -> Result<(Vec<u8>, Lost), Error> {
    let (mut disk, mut lost) = (Vec::new(), Lost::new());
    let options = WalkOptions {
        memory_bytes: 5 * 3 * BLOCK_BYTES as u64,
        threads: 2,
    };
    repo.salvage_disk(site.runtime.handle(), point, 0, options, |part| {
        let (offset_bytes, length_bytes) = match part {
            Salvaged::Piece(Piece::Data { offset_bytes, data }) => {
                disk.extend_from_slice(data);
                (offset_bytes, data.len() as u64)
            }
            Salvaged::Piece(Piece::Hole {
                offset_bytes,
                length_bytes,
            }) => (offset_bytes, length_bytes),
            Salvaged::Lost {
                offset_bytes,
                length_bytes,
                why,
            } => {
                assert!(why.is_damage(), "{why}");
                lost.push(offset_bytes..offset_bytes + length_bytes);
                (offset_bytes, length_bytes)
            }
        };
        disk.resize((offset_bytes + length_bytes) as usize, 0);
        Ok::<_, Error>(())
    })?;
    Ok((disk, lost))
}

type Lost = Vec<Range<u64>>;

/// The ranges of a disk that cannot be read, by reading each block by itself; neighbours joined.
fn unreadable(site: &Site, repo: &Repository, point: &Point, length: usize) -> Lost {
    let disk = Image::open(repo, site.runtime.handle(), point, 0).unwrap();
    let mut lost = Lost::new();
    for start in (0..length).step_by(BLOCK_BYTES) {
        let mut block = vec![0; BLOCK_BYTES.min(length - start)];
        if disk.read_at(start as u64, &mut block).is_ok() {
            continue;
        }
        let (start, end) = (start as u64, (start + block.len()) as u64);
        match lost.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => lost.push(start..end),
        }
    }
    lost
}

fn with_zeros(image: &[u8], lost: &[Range<u64>]) -> Vec<u8> {
    let mut image = image.to_vec();
    for range in lost {
        image[range.start as usize..range.end as usize].fill(0);
    }
    image
}

fn point(site: &Site, repo: &Repository, id: PointId) -> Point {
    site.runtime.block_on(repo.point(&id)).unwrap()
}

#[test]
fn all_but_what_is_lost_is_restored_and_each_lost_range_is_told() {
    let (mut hit, mut several) = (0, 0);
    for number in 0.. {
        for damage in ["gone", "cut", "flipped"] {
            let site = Site::new(2);
            let points = history(&site);
            let Some(pack) = site.names("pack").get(number).cloned() else {
                assert!(hit > 20 && several > 5, "{hit}, {several}");
                return;
            };
            let mut bytes = site.read(&pack);
            match damage {
                "gone" => site.delete(&pack),
                "cut" => site.write(&pack, bytes[..4500.min(bytes.len() - 1)].to_vec()),
                _ => {
                    bytes[70] ^= 1;
                    site.write(&pack, bytes);
                }
            }
            let repo = site.reopen().unwrap();
            for (id, image) in &points {
                let point = point(&site, &repo, *id);
                let lost = unreadable(&site, &repo, &point, image.len());
                let (disk, told) = salvage(&site, &repo, &point).unwrap();
                assert_eq!(told, lost, "{pack} {damage}");
                assert!(disk == with_zeros(image, &lost), "{pack} {damage}");
                assert_eq!(site.restore(&repo, *id).is_err(), !lost.is_empty());
                hit += usize::from(!lost.is_empty());
                several += usize::from(lost.len() > 1);
            }
        }
    }
}

#[test]
fn what_a_copy_was_made_without_is_told_too() {
    let (from, to) = (Site::new(2), Site::new(2));
    let points = history(&from);
    let full = from.point(points[0].0).root.session;
    from.delete(&format!("pack/{full}/d00000001"));
    let report = copy(&from, &to, &ids(&points)).unwrap();
    let (source, target) = (from.reopen().unwrap(), to.reopen().unwrap());
    for (copied, (id, image)) in report.copied.iter().zip(&points) {
        let original = salvage(&from, &source, &point(&from, &source, *id)).unwrap();
        let copy = point(&to, &target, copied.to.unwrap());
        assert!(!copy.root.disks[0].unreadable.is_empty());
        assert_eq!(salvage(&to, &target, &copy).unwrap(), original);
        assert!(original.0 == with_zeros(image, &original.1) && !original.1.is_empty());
    }
}

#[test]
fn what_was_moved_is_not_lost_and_what_was_dropped_is_an_error() {
    let (site, [(next, second), (_, _)]) = mostly_garbage();
    let stale = site.point(next);
    let options = all_that_is_not_full();
    let compacted = site.repo.compact(site.runtime.handle(), "", &options, &());
    compacted.unwrap();
    let sweep = || {
        for _ in 0..2 {
            let swept = site.runtime.block_on(site.repo.sweep(at_once(), &()));
            swept.unwrap();
        }
    };
    sweep();
    let repo = site.reopen().unwrap();
    let (disk, lost) = salvage(&site, &repo, &stale).unwrap();
    assert_eq!(lost, Lost::new());
    assert!(disk == second);
    let dropped = site.repo.drop_point(next, "", "", 0);
    site.runtime.block_on(dropped).unwrap();
    sweep();
    let gone = salvage(&site, &site.reopen().unwrap(), &stale).unwrap_err();
    assert!(matches!(gone, Error::PointNotFound { .. }), "{gone}");
}
