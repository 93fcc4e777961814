//! What a copy would read, found by looking at nodes only.

use super::catalog::{Catalog, identity};
use super::ground::{Grounds, compared_in_source};
use super::losses::Losses;
use super::options::CopiedPoint;
use super::run::Run;
use crate::repo::error::Error;
use crate::repo::id::PackKind;
use crate::repo::point::{Point, PointSummary};
use crate::repo::root::{PutStats, TreeRecord};
use crate::repo::tree::{Against, Demand, Difference, Geometry, TreeDifference};
use crate::repo::verify::Finding;

impl Run<'_> {
    /// Measures one point. What an earlier copy that was not over has brought counts as read.
    pub(super) fn measure(
        &self,
        catalog: &Catalog,
        point: &Point,
    ) -> Result<(CopiedPoint, Vec<Finding>), Error> {
        let origin = identity(self.source, point);
        let parents = catalog.parents(point);
        let grounds = Grounds::choose(&parents, point, origin, catalog.bases(point));
        // A base that this run would copy is not in the target yet, but would be.
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
            if !disk.has_data() {
                continue;
            }
            let geometry = disk.geometry()?;
            let mut demand = Demand::default();
            for range in &disk.unreadable {
                losses.inherited(point, index, geometry.bytes_of(*range));
                demand.never.insert(range.first, range.blocks);
            }
            let against = match grounds.resumed_disk(index, disk) {
                Some(ground) => {
                    let covered = ground.covered_bytes.div_ceil(1 << geometry.block_shift());
                    demand.from = covered.min(geometry.blocks());
                    ground.against
                }
                None => base
                    .as_ref()
                    .and_then(|base| compared_in_source(base, disk))
                    .unwrap_or(Against::Tree(None)),
            };
            let tree = disk.tree.map(TreeRecord::base);
            let difference = TreeDifference::new(self.source, geometry, tree, against, demand);
            self.measure_disk(index, geometry, difference, &mut copied, &mut losses)?;
        }
        copied.unreadable_bytes = losses.bytes();
        Ok((copied, losses.into_findings(point).collect()))
    }

    fn measure_disk(
        &self,
        index: usize,
        geometry: Geometry,
        mut difference: TreeDifference,
        copied: &mut CopiedPoint,
        losses: &mut Losses,
    ) -> Result<(), Error> {
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
