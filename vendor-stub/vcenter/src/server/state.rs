//! What all requests share.

use std::sync::Arc;

use lab::{Fault as Ordered, Lab};
use serde_json::{Value as Json, json};

use crate::Options;
use crate::clock::Clock;
use crate::session::Sessions;
use crate::soap::Fault;
use crate::task::Tasks;
use crate::world::lab_fault;

/// Lab, sessions and tasks of one server.
#[derive(Debug)]
pub(crate) struct State {
    /// The lab served.
    pub(crate) lab: Lab,
    /// The settings.
    pub(crate) options: Options,
    /// The server's time.
    pub(crate) clock: Arc<Clock>,
    /// Who is logged in.
    pub(crate) sessions: Sessions,
    /// What runs.
    pub(crate) tasks: Tasks,
    idle_ms: u64,
}

impl State {
    /// The state of a new server. `idle_secs` = 0 means that sessions never idle out.
    pub(crate) fn new(
        lab: Lab,
        options: Options,
        clock: Arc<Clock>,
        tasks: Tasks,
        idle_secs: u64,
    ) -> Self {
        Self {
            lab,
            options,
            clock,
            sessions: Sessions::default(),
            tasks,
            idle_ms: match idle_secs {
                0 => u64::MAX,
                secs => secs.saturating_mul(1000),
            },
        }
    }

    /// Marks the session of that cookie as active; `false` when there is none.
    pub(crate) fn touch(&self, cookie: &str) -> bool {
        self.sessions
            .touch(cookie, self.clock.now_ms(), self.idle_ms)
    }

    /// Counts a call and returns the fault a test ordered for it.
    pub(crate) fn ordered_fault(&self, method: &str) -> Result<Option<Ordered>, Fault> {
        let next = self.lab.faults().next(method);
        next.map_err(|error| lab_fault(&error))
    }

    /// Writes one line to the journal of the lab.
    pub(crate) fn record(&self, method: &str, args: Json, result: Result<(), &Fault>) {
        let result = match result {
            Ok(()) => json!("ok"),
            Err(fault) => json!(fault.type_name()),
        };
        let journal = self.lab.journal();
        if let Err(error) = journal.record("vcenter", method, args, result) {
            tracing::warn!(%error, method, "journal not written");
        }
    }
}
