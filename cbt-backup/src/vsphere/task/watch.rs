//! Waiting for a task as the server likes it best: it answers when something changes.

use std::time::Duration;

use super::{TaskInfo, TaskProperties, TaskRef};
use crate::vsphere::client::Client;
use crate::vsphere::error::Error;
use crate::vsphere::fault::Fault;
use crate::vsphere::property::{ObjectChange, PropertyFilterSpec, Watch};

/// The changes of one task, by a collector and a filter of its own ("vSphere API reference",
/// 4.4).
#[derive(Debug)]
pub struct TaskWatch {
    task: TaskRef,
    watch: Watch,
}

impl Client {
    /// Begins to follow a task. Nothing is asked before [`TaskWatch::next`].
    pub fn watch_task(&self, task: &TaskRef) -> TaskWatch {
        let mut spec = PropertyFilterSpec::of_object(&task.0, &["info"]);
        // A finished task disappears after a while, which must not fail the filter.
        spec.report_missing = Some(true);
        let mut watch = self.watch();
        watch.add(spec, false);
        TaskWatch {
            task: task.clone(),
            watch,
        }
    }
}

impl TaskWatch {
    /// The task as it is now, the first time, and whenever something has changed; nothing if
    /// nothing did within `limit`.
    ///
    /// # Errors
    ///
    /// A fault `ManagedObjectNotFound` when the task has disappeared from the server; one for
    /// which [`Error::is_unsupported`] holds where the server has no collectors or waits, and
    /// [`Client::task`] has to be asked instead; any failure of the calls.
    pub async fn next(&mut self, limit: Duration) -> Result<Option<TaskInfo>, Error> {
        let Some(updates) = self.watch.wait(limit).await? else {
            return Ok(None);
        };
        let mut read = TaskProperties::default();
        for seen in updates.seen {
            for update in seen.objects.iter().filter(|o| o.object == self.task.0) {
                update.apply(&mut read).map_err(|source| Error::Xml {
                    method: WAIT,
                    source,
                })?;
                if let Some((_, fault)) = update.missing.first() {
                    return Err(refused(fault.clone()));
                }
                if update.change == ObjectChange::Leave {
                    return Err(self.gone());
                }
            }
            if let Some((_, fault)) = seen.missing.into_iter().find(|m| m.0 == self.task.0) {
                return Err(refused(fault));
            }
        }
        Ok(read.info)
    }

    /// The task has left the filter: the server has forgotten it.
    fn gone(&self) -> Error {
        let mut fault = Fault::empty("ManagedObjectNotFound");
        fault
            .fields
            .push(("obj".to_owned(), self.task.0.to_string()));
        refused(fault)
    }

    /// Ends it at the server too. Dropping does the same in the background.
    pub async fn close(self) {
        self.watch.close().await;
    }
}

const WAIT: &str = "WaitForUpdatesEx";

fn refused(fault: Fault) -> Error {
    Error::Fault {
        method: WAIT,
        fault: Box::new(fault),
    }
}
