//! What of a point could not be read in the source.

use crate::repo::error::Error;
use crate::repo::id::PackId;
use crate::repo::point::Point;
use crate::repo::ranges::BlockRange;
use crate::repo::tree::Geometry;
use crate::repo::verify::{Finding, Severity};

/// Losses of one point, joined as they come.
#[derive(Default)]
pub(super) struct Losses(Vec<Loss>);

struct Loss {
    disk: Option<usize>,
    bytes: std::ops::Range<u64>,
    object: String,
    what: String,
}

impl Losses {
    /// Blocks of a disk whose pack does not supply them.
    pub(super) fn blocks(
        &mut self,
        disk: usize,
        geometry: Geometry,
        range: BlockRange,
        pack: PackId,
        error: &Error,
    ) {
        self.add(
            disk,
            geometry.bytes_of(range),
            pack.to_string(),
            error.to_string(),
        );
    }

    /// Blocks that the source itself was copied without.
    pub(super) fn inherited(&mut self, point: &Point, disk: usize, bytes: std::ops::Range<u64>) {
        let what = "these bytes could not be read when the point was copied before".to_owned();
        self.add(disk, bytes, point.name.to_string(), what);
    }

    /// A file of the VM's configuration.
    pub(super) fn file(&mut self, name: &str, error: &Error) {
        self.0.push(Loss {
            disk: None,
            bytes: 0..0,
            object: name.to_owned(),
            what: format!("{error}; the copy is without it"),
        });
    }

    fn add(&mut self, disk: usize, bytes: std::ops::Range<u64>, object: String, what: String) {
        match self.0.last_mut() {
            Some(last)
                if last.disk == Some(disk)
                    && last.object == object
                    && last.bytes.end == bytes.start =>
            {
                last.bytes.end = bytes.end;
            }
            _ => self.0.push(Loss {
                disk: Some(disk),
                bytes,
                object,
                what,
            }),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many bytes of disks are lost.
    pub(super) fn bytes(&self) -> u64 {
        let lengths = self.0.iter().map(|loss| loss.bytes.end - loss.bytes.start);
        lengths.sum()
    }

    pub(super) fn into_findings(self, point: &Point) -> impl Iterator<Item = Finding> {
        self.0.into_iter().map(move |loss| {
            let finding = Finding::new(Severity::Error, &loss.object, loss.what);
            match loss.disk {
                Some(disk) => finding.of_disk(point, disk, Some(loss.bytes)),
                None => finding.of_point(point),
            }
        })
    }
}
