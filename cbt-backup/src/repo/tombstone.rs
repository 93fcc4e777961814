//! Tombstones: points that were dropped, and the bin they lie in. Format: repository-format.md section 9.

use serde::{Deserialize, Serialize};

use super::config::FORMAT;
use super::error::Error;
use super::id::PointId;
use super::name::{ObjectName, RootName, SMALL_LIMIT_BYTES};
use super::point::{PointList, PointSummary};
use super::repository::Repository;
use super::roots::Roots;
use super::verify::{Finding, Severity};

/// What a tombstone says. That it is there is what counts; the rest is for people and for the bin.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Tombstone {
    /// Format number.
    pub format: u32,
    /// The point.
    pub point: PointId,
    /// When it was dropped, in milliseconds since 1970, by the clock of who dropped it.
    pub deleted_ms: i64,
    /// The machine it was dropped from.
    #[serde(default)]
    pub host: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
}

/// A point that was dropped and whose root is still there.
#[derive(Clone, Debug)]
pub struct DeletedPoint {
    /// The point.
    pub summary: PointSummary,
    /// Its tombstone; `None` when that cannot be read, which changes nothing but its age.
    pub tombstone: Option<Tombstone>,
}

impl Repository {
    /// Drops a point: from now on it does not count. Its data stay until a sweep takes them.
    /// Dropping it again changes nothing.
    ///
    /// # Errors
    /// `PointNotFound`, `NotWritable`, `NeedsFeature`, `Store`.
    pub async fn drop_point(
        &self,
        point: PointId,
        host: &str,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), Error> {
        self.config().check_writable()?;
        let roots = Roots::read(self, None).await?;
        if !roots.unfenced.iter().any(|root| root.point == point) {
            let id = point.to_string();
            return Err(Error::PointNotFound { id });
        }
        if roots.dead.contains(&point) {
            return Ok(());
        }
        let tombstone = Tombstone {
            format: FORMAT,
            point,
            deleted_ms: now_ms,
            host: host.to_owned(),
            reason: reason.to_owned(),
        };
        let name = ObjectName::Dead(point).to_string();
        self.store()
            .put_sealed(self.keys(), &name, &tombstone, SMALL_LIMIT_BYTES)
            .await
    }

    /// As [`Repository::drop_point`]. When the store is full its reserve is given up: what is
    /// dropped is what makes room.
    ///
    /// # Errors
    /// As there.
    pub async fn forget_point(
        &self,
        point: PointId,
        host: &str,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), Error> {
        match self.drop_point(point, host, reason, now_ms).await {
            Err(error) if error.is_full() && self.store().spend_reserve().await => {
                self.drop_point(point, host, reason, now_ms).await
            }
            dropped => dropped,
        }
    }

    /// The points that were dropped and are still there, in the order of their snapshots.
    ///
    /// # Errors
    /// `Store`. A root that cannot be read becomes a finding.
    pub async fn deleted_points(&self) -> Result<PointList<DeletedPoint>, Error> {
        let mut list = PointList {
            points: Vec::new(),
            findings: Vec::new(),
        };
        for name in Roots::read(self, None).await?.deleted() {
            match self.read_root(&name).await {
                Ok(point) => list.points.push(DeletedPoint {
                    summary: PointSummary::from(&point),
                    tombstone: self.tombstone(name.point).await?,
                }),
                Err(Error::Missing { .. }) => {}
                Err(error @ Error::Store { .. }) => return Err(error),
                Err(error) => {
                    let what = error.to_string();
                    let finding = Finding::new(Severity::Warning, &name.to_string(), what);
                    list.findings.push(finding.of_root(&name));
                }
            }
        }
        list.points
            .sort_by_key(|point| (point.summary.snapshot_time_ms, point.summary.id));
        Ok(list)
    }

    /// The dropped point whose id begins with `prefix`, in any case of letters.
    ///
    /// # Errors
    /// `PointNotFound`, `PointAmbiguous`, `Store`.
    pub async fn resolve_deleted(&self, prefix: &str) -> Result<PointId, Error> {
        let names = Roots::read(self, None).await?.deleted();
        one_of(names, prefix)
    }

    /// A tombstone; `None` when it is gone or cannot be read.
    pub(crate) async fn tombstone(&self, point: PointId) -> Result<Option<Tombstone>, Error> {
        match self.read_tombstone(point).await {
            Err(error) if error.is_damage() => {
                tracing::warn!(%error, "a tombstone cannot be read; it counts all the same");
                Ok(None)
            }
            read => read,
        }
    }

    /// A tombstone; `None` when it is gone.
    pub(crate) async fn read_tombstone(&self, point: PointId) -> Result<Option<Tombstone>, Error> {
        let name = ObjectName::Dead(point).to_string();
        let read = self
            .store()
            .get_sealed(self.keys(), &name, SMALL_LIMIT_BYTES);
        match read.await {
            Ok(tombstone) => Ok(Some(tombstone)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The one point among `names` whose id begins with `prefix`, in any case of letters. An empty
/// beginning, as of a script's variable that is not set, fits none.
pub(crate) fn one_of(names: Vec<RootName>, prefix: &str) -> Result<PointId, Error> {
    let wanted = prefix.to_ascii_uppercase();
    let mut fits: Vec<PointId> = names
        .into_iter()
        .map(|name| name.point)
        .filter(|point| !wanted.is_empty() && point.to_string().starts_with(&wanted))
        .collect();
    fits.sort_unstable();
    fits.dedup();
    match fits.as_slice() {
        [point] => Ok(*point),
        [] => Err(Error::PointNotFound {
            id: prefix.to_owned(),
        }),
        _ => Err(Error::PointAmbiguous {
            prefix: prefix.to_owned(),
            matches: fits.len(),
        }),
    }
}
