//! What a copy would read, found by looking at nodes only.

use super::catalog::Catalog;
use super::ground::compared_in_source;
use super::losses::Losses;
use super::options::CopiedPoint;
use super::run::Run;
use crate::repo::error::Error;
use crate::repo::id::PackKind;
use crate::repo::point::{Point, PointSummary};
use crate::repo::root::{DiskRecord, PutStats, TreeRecord};
use crate::repo::tree::{Against, Demand, Difference, TreeDifference};
use crate::repo::verify::Finding;

impl Run<'_> {
    /// Measures one point. What an earlier copy has left in the target is not counted.
    pub(super) fn measure(
        &self,
        catalog: &Catalog,
        point: &Point,
    ) -> Result<(CopiedPoint, Vec<Finding>), Error> {
        let base = catalog.bases(point).into_iter().next();
        let base = base.map(|(base, _)| base);
        let mut losses = Losses::default();
        let mut copied = CopiedPoint {
            from: PointSummary::from(point),
            to: None,
            base: base.as_ref().map(Point::id),
            read_blocks: 0,
            read_bytes: 0,
            unreadable_bytes: 0,
            stats: PutStats::default(),
        };
        for (index, disk) in point.root.disks.iter().enumerate() {
            if disk.has_data() {
                let against = base
                    .as_ref()
                    .and_then(|base| compared_in_source(base, disk));
                let against = against.unwrap_or(Against::Tree(None));
                self.measure_disk(index, disk, against, &mut copied, &mut losses)?;
            }
        }
        copied.unreadable_bytes = losses.bytes();
        Ok((copied, losses.into_findings(point).collect()))
    }

    fn measure_disk(
        &self,
        index: usize,
        disk: &DiskRecord,
        against: Against,
        copied: &mut CopiedPoint,
        losses: &mut Losses,
    ) -> Result<(), Error> {
        let geometry = disk.geometry()?;
        let tree = disk.tree.map(TreeRecord::base);
        let demand = Demand::default();
        let mut difference = TreeDifference::new(self.source, geometry, tree, against, demand);
        while let Some(item) = self.handle.block_on(difference.next())? {
            match item {
                Difference::Same(_) | Difference::Hole(_) => {}
                Difference::Block { reference, .. } => {
                    copied.read_blocks += 1;
                    copied.read_bytes += u64::from(reference.length);
                }
                Difference::Damaged { range, node, error } => {
                    let pack = node.pack(PackKind::Node);
                    losses.blocks(index, geometry, range, pack, &error);
                }
            }
            if self.monitor.should_stop() {
                return Err(Error::Stopped);
            }
        }
        Ok(())
    }
}
