//! A call that waits for updates.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::filter::Collector;
use super::update::Limits;
use crate::server::State;
use crate::soap::{Answer, Fault};
use crate::value::{MoRef, Value};
use crate::world::World;

/// How often a waiting call looks whether another process changed the lab.
const POLL: Duration = Duration::from_millis(40);

/// A call of one of the methods that report updates.
#[derive(Debug)]
pub(crate) struct Wait {
    collector: Arc<Collector>,
    this: MoRef,
    version: String,
    limits: Limits,
    deadline: Option<Instant>,
    /// How often the collector was cancelled before this call came.
    cancels: u64,
    /// The changes of the lab and of this process when it last looked.
    seen: Option<(u64, u64)>,
}

impl Wait {
    /// A call on `collector`. Without a deadline it waits until something changes.
    pub(crate) fn new(
        collector: Arc<Collector>,
        this: &MoRef,
        version: &str,
        limits: Limits,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            cancels: collector.cancels(),
            collector,
            this: this.clone(),
            version: version.to_owned(),
            limits,
            deadline,
            seen: None,
        }
    }

    /// Looks for changes. `None` = none yet, and there is time left.
    pub(crate) fn look(&mut self, world: &World<'_>) -> Result<Option<Answer>, Fault> {
        let cookie = world.cookie.filter(|cookie| world.state.keep(cookie));
        if cookie.is_none() {
            return Err(Fault::not_authenticated(&self.this, "System.View"));
        }
        if self.collector.cancels() != self.cancels {
            return Err(Fault::new("RequestCanceled", "The request was canceled."));
        }
        // Before the lab is read: what changes meanwhile is seen next time.
        let changes = world.state.changes().count();
        let seen = (world.generation()?, changes);
        if self.seen.replace(seen) != Some(seen)
            && let Some(set) = self.collector.update(world, &self.version, self.limits)?
        {
            return Ok(Some(Answer::One(Value::Object(set))));
        }
        let is_over = self.deadline.is_some_and(|end| end <= Instant::now());
        Ok(is_over.then_some(Answer::Nothing))
    }

    /// Waits until there may be something to see, or the time is up.
    pub(crate) async fn pause(&self, state: &State) {
        let Some((_, changes)) = self.seen else {
            return;
        };
        let poll = Instant::now() + POLL;
        let end = self.deadline.map_or(poll, |end| end.min(poll));
        tokio::select! {
            () = state.changes().after(changes) => {}
            () = sleep_until(end) => {}
        }
    }
}
