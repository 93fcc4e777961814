//! Tasks that are long over: what the server's history still knows of them.
//!
//! A collector of the history is ours, lives in our session, and begins at the oldest task.

use jiff::Timestamp;

use super::{TaskState, read_state};
use crate::vsphere::client::{Client, read_timestamp};
use crate::vsphere::envelope::{nothing, reference};
use crate::vsphere::error::Error;
use crate::vsphere::moref::Moref;
use crate::vsphere::operation::Operation;
use crate::vsphere::property::{end_at_server, end_in_background};
use crate::vsphere::xml::{Reader, Tag, XmlError};

/// Tasks a page. Servers take up to 1000.
const PAGE_TASKS: u32 = 500;
/// More tasks than this in one answer are not believed.
const MAX_TASKS: usize = 10_000;

/// What the history tells of one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vsphere) struct PastTask {
    /// The method, such as `CreateSnapshot_Task`; may be empty for tasks of extensions.
    pub(in crate::vsphere) name: String,
    /// The key of its description, such as `VirtualMachine.createSnapshot`.
    pub(in crate::vsphere) description_id: String,
    /// The object it worked on.
    pub(in crate::vsphere) entity: Option<Moref>,
    pub(in crate::vsphere) state: TaskState,
    /// When it was asked for, by the server's clock.
    pub(in crate::vsphere) queued: Timestamp,
    pub(in crate::vsphere) completed: Option<Timestamp>,
}

/// Which tasks are collected.
#[derive(Debug, Clone)]
pub(in crate::vsphere) enum HistoryFilter {
    /// Those of one object that were asked for at this time or later.
    Of {
        /// The object.
        entity: Moref,
        /// The time.
        from: Timestamp,
    },
    /// Those of all objects that were over by then.
    EndedBy(Timestamp),
}

/// A collector at the server. It is destroyed by [`close`](Self::close), or in the background
/// when it is dropped: a session may have few of them.
pub(in crate::vsphere) struct TaskHistory {
    client: Client,
    collector: Option<Moref>,
    /// The login it belongs to.
    generation: u64,
}

impl TaskHistory {
    /// Makes a collector that begins with the oldest of its tasks.
    pub(in crate::vsphere) async fn open(
        client: &Client,
        manager: &Moref,
        filter: &HistoryFilter,
    ) -> Result<Self, Error> {
        let generation = client.inner.session.generation();
        let operation = collect_operation(manager, filter);
        let collector = client.exchange(&operation, reference).await?;
        let rewind = Operation::new("RewindCollector", &collector);
        let history = Self {
            client: client.clone(),
            collector: Some(collector),
            generation,
        };
        client.exchange(&rewind, nothing).await?;
        Ok(history)
    }

    /// The next tasks, older ones first; none at the end.
    pub(in crate::vsphere) async fn next(&self) -> Result<Vec<PastTask>, Error> {
        let Some(collector) = &self.collector else {
            return Ok(Vec::new());
        };
        let operation = next_operation(collector);
        self.client.exchange(&operation, read_tasks).await
    }

    /// Destroys the collector. A failure is only logged, as it dies with the session.
    pub(in crate::vsphere) async fn close(mut self) {
        let left = self.left_at_server();
        end_at_server(&self.client, self.generation, left).await;
    }

    fn left_at_server(&mut self) -> Vec<Operation> {
        let collector = self.collector.take();
        let destroy = |collector| Operation::new("DestroyCollector", &collector);
        collector.map(destroy).into_iter().collect()
    }
}

impl Drop for TaskHistory {
    fn drop(&mut self) {
        let left = self.left_at_server();
        end_in_background(&self.client, self.generation, left);
    }
}

/// The call that makes a collector.
fn collect_operation(manager: &Moref, filter: &HistoryFilter) -> Operation {
    let operation = Operation::new("CreateCollectorForTasks", manager).open("filter");
    let operation = match filter {
        HistoryFilter::Of { entity, from } => operation
            .open("entity")
            .moref("entity", entity)
            .text("recursion", "self")
            .close("entity")
            .open("time")
            .text("timeType", "queuedTime")
            .text("beginTime", &date_time(*from))
            .close("time"),
        HistoryFilter::EndedBy(by) => operation
            .open("time")
            .text("timeType", "completedTime")
            .text("endTime", &date_time(*by))
            .close("time"),
    };
    operation.close("filter")
}

fn next_operation(collector: &Moref) -> Operation {
    Operation::new("ReadNextTasks", collector).number("maxCount", PAGE_TASKS.into())
}

/// A time with at most the six digits of a second that servers write ("vSphere API reference",
/// 1.7).
fn date_time(time: Timestamp) -> String {
    let cut = Timestamp::from_microsecond(time.as_microsecond());
    cut.unwrap_or(time).to_string()
}

/// Reads the answer to `ReadNextTasks`: the result repeated, one for each task.
pub(in crate::vsphere) fn read_tasks(
    r: &mut Reader<'_>,
    response: &Tag,
) -> Result<Vec<PastTask>, XmlError> {
    let mut tasks = Vec::new();
    r.children(response, |r, tag| {
        if tag.name != "returnval" {
            return Ok(());
        }
        if tasks.len() >= MAX_TASKS {
            return Err(XmlError::TooMany {
                what: "tasks",
                limit: MAX_TASKS,
            });
        }
        tasks.push(read_task(r, tag)?);
        Ok(())
    })?;
    Ok(tasks)
}

fn read_task(r: &mut Reader<'_>, tag: &Tag) -> Result<PastTask, XmlError> {
    let (mut name, mut description_id) = (String::new(), String::new());
    let (mut entity, mut state, mut queued, mut completed) = (None, None, None, None);
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "name" => name = r.short_text(tag)?,
            "descriptionId" => description_id = r.short_text(tag)?,
            "entity" => entity = Some(r.moref(tag)?),
            "state" => state = Some(read_state(r.short_text(tag)?)),
            "queueTime" => queued = Some(read_timestamp(r, tag)?),
            "completeTime" => completed = Some(read_timestamp(r, tag)?),
            _ => {}
        }
        Ok(())
    })?;
    let missing = |element| XmlError::Missing {
        element,
        inside: "TaskInfo",
    };
    Ok(PastTask {
        name,
        description_id,
        entity,
        state: state.ok_or_else(|| missing("state"))?,
        queued: queued.ok_or_else(|| missing("queueTime"))?,
        completed,
    })
}

#[cfg(test)]
mod tests {
    use super::{HistoryFilter, collect_operation, next_operation};
    use crate::vsphere::moref::Moref;
    use crate::vsphere::operation::Operation;

    fn sent(operation: &Operation) -> String {
        let envelope = operation.envelope("id").unwrap();
        let text = String::from_utf8(envelope.to_vec()).unwrap();
        let (_, rest) = text.split_once("<soapenv:Body>").unwrap();
        rest.split_once("</soapenv:Body>").unwrap().0.to_owned()
    }

    /// No sample has these calls: the order is that of the type definitions.
    #[test]
    fn the_filter_is_in_the_order_of_the_schema() {
        let manager = Moref::new("TaskManager", "TaskManager");
        let time = "2026-01-15T09:00:00.123456789Z".parse().unwrap();
        let of_vm = HistoryFilter::Of {
            entity: Moref::vm("vm-1"),
            from: time,
        };
        assert_eq!(
            sent(&collect_operation(&manager, &of_vm)),
            "<CreateCollectorForTasks xmlns=\"urn:vim25\"><_this type=\"TaskManager\">TaskManager</_this><filter><entity><entity type=\"VirtualMachine\">vm-1</entity><recursion>self</recursion></entity><time><timeType>queuedTime</timeType><beginTime>2026-01-15T09:00:00.123456Z</beginTime></time></filter></CreateCollectorForTasks>"
        );
        assert_eq!(
            sent(&collect_operation(&manager, &HistoryFilter::EndedBy(time))),
            "<CreateCollectorForTasks xmlns=\"urn:vim25\"><_this type=\"TaskManager\">TaskManager</_this><filter><time><timeType>completedTime</timeType><endTime>2026-01-15T09:00:00.123456Z</endTime></time></filter></CreateCollectorForTasks>"
        );
        let collector = Moref::new("TaskHistoryCollector", "session[1]2");
        assert_eq!(
            sent(&next_operation(&collector)),
            "<ReadNextTasks xmlns=\"urn:vim25\"><_this type=\"TaskHistoryCollector\">session[1]2</_this><maxCount>500</maxCount></ReadNextTasks>"
        );
    }
}
