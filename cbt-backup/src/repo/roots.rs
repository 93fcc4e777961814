//! Which roots there are and which of them count. Format: repository-format.md section 8.

use std::collections::{BTreeMap, HashSet};

use super::error::Error;
use super::id::{PointId, SessionId, VmKey};
use super::name::{ObjectName, RootName};
use super::repository::Repository;

/// What the names under `point/`, `dead/` and `fence/` said, listed in this order.
///
/// The order is part of the protocol: a tombstone and a final fence outlive their roots.
#[derive(Clone, Default, Debug)]
pub(crate) struct Roots {
    /// Roots without a final fence, all generations.
    pub(crate) unfenced: Vec<RootName>,
    /// Roots whose session a sweep has fenced for good.
    pub(crate) fenced: Vec<RootName>,
    /// Points that have a tombstone.
    pub(crate) dead: HashSet<PointId>,
}

impl Roots {
    /// Looks at the roots of a VM, or at all.
    pub(crate) async fn read(repo: &Repository, vm: Option<&VmKey>) -> Result<Self, Error> {
        let prefix = vm.map_or("point".to_owned(), |vm| format!("point/{vm}"));
        let mut names = repo.store().list(&prefix).await?;
        names.extend(repo.store().list("dead").await?);
        names.extend(repo.store().list("fence").await?);
        let names = names.iter().map(|(name, _)| name.as_str());
        Ok(Self::of(names.filter_map(ObjectName::parse)))
    }

    /// What these names say.
    pub(crate) fn of(names: impl Iterator<Item = ObjectName>) -> Self {
        let (mut roots, mut dead, mut fenced) = (Vec::new(), HashSet::new(), HashSet::new());
        for name in names {
            match name {
                ObjectName::Root(root) => roots.push(root),
                ObjectName::Dead(point) => drop(dead.insert(point)),
                ObjectName::Fence {
                    session,
                    last: true,
                    ..
                } => drop(fenced.insert(session)),
                _ => {}
            }
        }
        let (fenced, unfenced) = roots
            .into_iter()
            .partition(|root| fenced.contains(&root.session));
        Self {
            unfenced,
            fenced,
            dead,
        }
    }

    /// The root that counts of each living point.
    pub(crate) fn living(&self) -> Vec<RootName> {
        newest(self.unfenced.iter().filter(|root| !self.is_dead(root)))
    }

    /// The root that would count of each point that has a tombstone.
    pub(crate) fn deleted(&self) -> Vec<RootName> {
        newest(self.unfenced.iter().filter(|root| self.is_dead(root)))
    }

    pub(crate) fn is_dead(&self, root: &RootName) -> bool {
        self.dead.contains(&root.point)
    }
}

/// Of each point the root with the highest generation, then the highest session.
fn newest<'a>(roots: impl Iterator<Item = &'a RootName>) -> Vec<RootName> {
    let mut newest: BTreeMap<PointId, &RootName> = BTreeMap::new();
    for root in roots {
        let best = newest.entry(root.point).or_insert(root);
        if (root.generation, root.session) > (best.generation, best.session) {
            *best = root;
        }
    }
    newest.into_values().cloned().collect()
}

impl Repository {
    /// The points that have a tombstone.
    pub(crate) async fn dead_points(&self) -> Result<HashSet<PointId>, Error> {
        let tombstones = self.store().list("dead").await?;
        let dead = tombstones
            .iter()
            .filter_map(|(name, _)| match ObjectName::parse(name) {
                Some(ObjectName::Dead(point)) => Some(point),
                _ => None,
            });
        Ok(dead.collect())
    }

    /// The sessions that have a final fence.
    pub(crate) async fn fenced_sessions(&self) -> Result<HashSet<SessionId>, Error> {
        let fences = self.store().list("fence").await?;
        let fenced = fences
            .iter()
            .filter_map(|(name, _)| match ObjectName::parse(name) {
                Some(ObjectName::Fence {
                    session,
                    last: true,
                    ..
                }) => Some(session),
                _ => None,
            });
        Ok(fenced.collect())
    }
}
