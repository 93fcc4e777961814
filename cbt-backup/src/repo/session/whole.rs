//! A point whose tree another root takes over as it is.

use super::begin::Session;
use crate::repo::error::Error;
use crate::repo::id::PackId;
use crate::repo::name::RootName;
use crate::repo::point::Point;
use crate::repo::usage::{Needs, Usage};

impl Session {
    /// Reads a root and its usage table. Every pack must be there at its length, and on no list: what is
    /// condemned may go at any time.
    pub(super) async fn read_whole(&self, name: &RootName) -> Result<(Point, Usage), Error> {
        let old = self.repo.read_root(name).await?;
        let usage = self.repo.usage(&old.root.usage).await?;
        let needs: Needs = usage.rows().map(|((_, pack), need)| (pack, need)).collect();
        let avoided = self.avoided("of the point", &needs).await?;
        let bad: Vec<PackId> = needs
            .packs()
            .filter(|pack| avoided.contains(*pack))
            .collect();
        match bad.first() {
            None => Ok((old, usage)),
            Some(first) => Err(Error::NotWhole {
                point: old.id(),
                packs: bad.len(),
                first: first.to_string(),
            }),
        }
    }
}
