//! Tasks: work the server does after it has answered.
//!
//! ```text
//! watch    a task followed: the server tells of changes      wait    until a task has ended
//! history  tasks that are long over
//! ```

mod history;
mod wait;
mod watch;

#[cfg(any(test, feature = "fuzzing"))]
pub(super) use history::read_tasks;
pub(super) use history::{HistoryFilter, PastTask, TaskHistory};
pub use watch::TaskWatch;

use super::client::Client;
use super::envelope::nothing;
use super::error::Error;
use super::fault::Fault;
use super::moref::Moref;
use super::operation::Operation;
use super::property::Properties;
use super::xml::{Reader, Tag, XmlError};

/// A task of the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TaskRef(pub Moref);

/// Where a task is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TaskState {
    /// It waits for its turn.
    #[default]
    Queued,
    /// It runs.
    Running,
    /// It ended well.
    Success,
    /// It ended with a fault.
    Error,
    /// A state that newer servers may know.
    Other(String),
}

/// What the server tells about a task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TaskInfo {
    /// The method, such as `CreateSnapshot_Task`; tasks of extensions may have none.
    pub name: String,
    /// The object it works on.
    pub entity: Option<Moref>,
    /// Where it is.
    pub state: TaskState,
    /// Percent done, known at times and only while running.
    pub progress: Option<u8>,
    /// It can be cancelled now.
    pub cancelable: bool,
    /// It was told to stop.
    pub cancelled: bool,
    /// Why it failed.
    pub error: Option<Fault>,
    /// What it made, such as the snapshot.
    pub result: Option<Moref>,
}

impl Client {
    /// Looks at a task once.
    ///
    /// # Errors
    ///
    /// A fault `ManagedObjectNotFound` for a task that ended a while ago; any failure of the
    /// call.
    pub async fn task(&self, task: &TaskRef) -> Result<TaskInfo, Error> {
        let read: TaskProperties = self.properties(&task.0, &["info"]).await?;
        read.info.ok_or_else(|| Error::BadAnswer {
            method: "RetrievePropertiesEx",
            what: format!("{} has no info", task.0),
        })
    }

    /// Asks the server to stop a task, if it can be stopped. The task then ends as failed with
    /// `RequestCanceled`. False if it has ended, or can't be stopped now.
    ///
    /// # Errors
    ///
    /// A fault `ManagedObjectNotFound` for a task that ended a while ago; any failure of the
    /// calls.
    #[doc(alias = "CancelTask")]
    pub async fn cancel_task(&self, task: &TaskRef) -> Result<bool, Error> {
        let info = self.task(task).await?;
        let has_ended = matches!(info.state, TaskState::Success | TaskState::Error);
        if has_ended || !info.cancelable {
            return Ok(false);
        }
        match self.write(&cancel_operation(task), nothing).await {
            Ok(()) => Ok(true),
            // It ended between our look and our call.
            Err(error) if error.fault_type() == Some("InvalidState") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The call that stops a task.
pub(super) fn cancel_operation(task: &TaskRef) -> Operation {
    Operation::new("CancelTask", &task.0)
}

/// The property `info` of a task.
#[derive(Debug, Default)]
pub(super) struct TaskProperties {
    pub(super) info: Option<TaskInfo>,
}

impl Properties for TaskProperties {
    fn take(&mut self, path: &str, r: &mut Reader<'_>, value: &Tag) -> Result<(), XmlError> {
        if path == "info" {
            self.info = Some(read_info(r, value)?);
        }
        Ok(())
    }
}

fn read_info(r: &mut Reader<'_>, tag: &Tag) -> Result<TaskInfo, XmlError> {
    let mut info = TaskInfo::default();
    let mut state = None;
    r.children(tag, |r, tag| {
        match tag.name.as_str() {
            "name" => info.name = r.short_text(tag)?,
            "entity" => info.entity = Some(r.moref(tag)?),
            "state" => state = Some(read_state(r.short_text(tag)?)),
            "progress" => info.progress = Some(percent(r.number(tag)?)),
            "cancelable" => info.cancelable = r.boolean(tag)?,
            "cancelled" => info.cancelled = r.boolean(tag)?,
            "error" => info.error = Some(Fault::read_localized(r, tag)?),
            "result" if tag.kind.is_some() => info.result = Some(r.moref(tag)?),
            _ => {}
        }
        Ok(())
    })?;
    info.state = state.ok_or(XmlError::Missing {
        element: "state",
        inside: "TaskInfo",
    })?;
    Ok(info)
}

fn percent(progress: i64) -> u8 {
    u8::try_from(progress.clamp(0, 100)).unwrap_or(100)
}

fn read_state(text: String) -> TaskState {
    match text.as_str() {
        "queued" => TaskState::Queued,
        "running" => TaskState::Running,
        "success" => TaskState::Success,
        "error" => TaskState::Error,
        _ => TaskState::Other(text),
    }
}
