//! Tasks: queued, running with progress, then success or error.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lab::timestamp;
use tokio::runtime::Handle;

use crate::changes::Changes;
use crate::clock::Clock;
use crate::soap::Fault;
use crate::value::{DataObject, MoRef, Value};

/// Beyond this number the oldest finished task is forgotten, however young it is.
const MAX_TASKS: usize = 1000;
const FIRST_TASK: u32 = 5001;

/// What a task does when its time has come. Its result becomes `TaskInfo.result`.
pub(crate) type Work = Box<dyn FnOnce() -> Result<Option<Value>, Fault> + Send>;

/// A task to start.
#[derive(Clone, Debug)]
pub(crate) struct TaskSpec {
    /// The method's name.
    pub(crate) name: &'static str,
    /// `TaskInfo.descriptionId`.
    pub(crate) description_id: &'static str,
    /// What it works on.
    pub(crate) entity: MoRef,
    /// The name of that.
    pub(crate) entity_name: String,
    /// Who started it.
    pub(crate) user_name: String,
}

#[derive(Clone, Debug)]
enum State {
    Queued,
    Running { progress: i32 },
    Success(Option<Value>),
    Error(Fault),
}

#[derive(Clone, Debug)]
struct Task {
    key: String,
    spec: TaskSpec,
    state: State,
    cancelled: bool,
    cancelable: bool,
    queue_time: String,
    start_time: Option<String>,
    complete_time: Option<String>,
    /// When it was done, by the server's clock.
    done_ms: Option<u64>,
    chain_id: i32,
    /// The number of the event that it began, among all events.
    begun: u32,
    /// The number of the event that it was done.
    done: Option<u32>,
}

impl Task {
    fn is_forgotten(&self, now_ms: u64, memory_ms: u64) -> bool {
        self.done_ms
            .is_some_and(|done_ms| now_ms.saturating_sub(done_ms) >= memory_ms)
    }

    fn is_done(&self) -> bool {
        matches!(self.state, State::Success(_) | State::Error(_))
    }

    fn info(&self) -> DataObject {
        let (state, progress, result, error) = match &self.state {
            State::Queued => ("queued", None, None, None),
            State::Running { progress } => ("running", Some(*progress), None, None),
            State::Success(result) => ("success", None, result.clone(), None),
            State::Error(fault) => ("error", None, None, Some(fault.localized())),
        };
        let reason =
            DataObject::new("TaskReasonUser").text("userName", self.spec.user_name.clone());
        DataObject::new("TaskInfo")
            .text("key", &self.key)
            .with("task", Value::reference("Task", &self.key))
            .text("name", self.spec.name)
            .text("descriptionId", self.spec.description_id)
            .with("entity", Value::Reference(self.spec.entity.clone()))
            .text("entityName", &self.spec.entity_name)
            .with("state", Value::Enum("TaskInfoState", state.to_owned()))
            .with("cancelled", Value::boolean(self.cancelled))
            .with("cancelable", Value::boolean(self.cancelable))
            .with_some("error", error.map(Value::Object))
            .with_some("result", result)
            .with_some("progress", progress.map(Value::int))
            .part("reason", reason)
            .with("queueTime", Value::time(&self.queue_time))
            .with_some("startTime", self.start_time.clone().map(Value::time))
            .with_some("completeTime", self.complete_time.clone().map(Value::time))
            .with("eventChainId", Value::int(self.chain_id))
    }
}

/// All tasks under way, and those done not long ago. They outlive the sessions that
/// started them.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    all: Arc<Mutex<(u32, Vec<Task>)>>,
    next_event: Arc<AtomicU32>,
    changes: Changes,
    runtime: Handle,
    clock: Arc<Clock>,
    duration: Duration,
    memory_ms: u64,
}

impl Tasks {
    /// No tasks yet. Each will take about `duration` before its work is done, and is
    /// forgotten when it has been done for `memory` on `clock`.
    pub(crate) fn new(
        runtime: Handle,
        clock: Arc<Clock>,
        duration: Duration,
        memory: Duration,
    ) -> Self {
        Self {
            all: Arc::new(Mutex::new((FIRST_TASK, Vec::new()))),
            next_event: Arc::new(AtomicU32::new(1)),
            changes: Changes::new(),
            runtime,
            clock,
            duration,
            memory_ms: u64::try_from(memory.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The next number and the tasks, without those whose time is over.
    fn all(&self) -> MutexGuard<'_, (u32, Vec<Task>)> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.clock.now_ms();
        let before = all.1.len();
        all.1
            .retain(|task| !task.is_forgotten(now_ms, self.memory_ms));
        if all.1.len() < before {
            self.changes.tell();
        }
        all
    }

    /// What is told of every change of a task.
    pub(crate) fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Starts a task and returns its id. `TaskInProgress` while another one works on the
    /// same VM.
    pub(crate) fn start(&self, spec: TaskSpec, work: Work) -> Result<String, Fault> {
        let key = self.enter(spec)?;
        let tasks = self.clone();
        let started = key.clone();
        self.runtime
            .spawn(async move { tasks.run(&started, work).await });
        Ok(key)
    }

    fn enter(&self, spec: TaskSpec) -> Result<String, Fault> {
        let mut all = self.all();
        let (next, tasks) = &mut *all;
        let busy = tasks
            .iter()
            .find(|task| !task.is_done() && task.spec.entity == spec.entity)
            .filter(|task| task.spec.entity.type_name == "VirtualMachine");
        if let Some(task) = busy {
            return Err(Fault::task_in_progress(&task.key));
        }
        if tasks.len() >= MAX_TASKS
            && let Some(oldest) = tasks.iter().position(Task::is_done)
        {
            tasks.remove(oldest);
        }
        let key = format!("task-{next}");
        tasks.push(Task {
            key: key.clone(),
            spec,
            state: State::Queued,
            cancelled: false,
            cancelable: true,
            queue_time: timestamp(),
            start_time: None,
            complete_time: None,
            done_ms: None,
            chain_id: i32::try_from(*next).unwrap_or(i32::MAX),
            begun: self.next_event.fetch_add(1, Ordering::Relaxed),
            done: None,
        });
        *next += 1;
        self.changes.tell();
        Ok(key)
    }

    async fn run(&self, key: &str, work: Work) {
        let step = self.duration / 4;
        tokio::time::sleep(step).await;
        for progress in [0, 35, 70] {
            self.change(key, |task| {
                task.state = State::Running { progress };
                task.start_time.get_or_insert_with(timestamp);
            });
            tokio::time::sleep(step).await;
        }
        // From here on it cannot be cancelled any more.
        let cancelled = self.change(key, |task| {
            task.cancelable = false;
            task.cancelled
        });
        let outcome = if cancelled == Some(true) {
            Err(Fault::new(
                "RequestCanceled",
                "The task was canceled by a user.",
            ))
        } else {
            tokio::task::spawn_blocking(work)
                .await
                .unwrap_or_else(|error| Err(Fault::system_error(error.to_string())))
        };
        self.change(key, |task| {
            task.complete_time = Some(timestamp());
            task.done_ms = Some(self.clock.now_ms());
            task.done = Some(self.next_event.fetch_add(1, Ordering::Relaxed));
            task.state = match outcome {
                Ok(result) => State::Success(result),
                Err(fault) => State::Error(fault),
            };
        });
    }

    fn change<R>(&self, key: &str, change: impl FnOnce(&mut Task) -> R) -> Option<R> {
        let mut all = self.all();
        let changed = all.1.iter_mut().find(|task| task.key == key).map(change);
        self.changes.tell();
        changed
    }

    /// The task's `info`, if the task is remembered.
    pub(crate) fn info(&self, key: &str) -> Option<DataObject> {
        let all = self.all();
        let task = all.1.iter().find(|task| task.key == key);
        task.map(Task::info)
    }

    /// The tasks of an entity that are remembered, oldest first.
    pub(crate) fn recent(&self, entity: &MoRef) -> Vec<String> {
        self.all()
            .1
            .iter()
            .filter(|task| task.spec.entity == *entity)
            .map(|task| task.key.clone())
            .collect()
    }

    /// All tasks that are remembered, oldest first.
    pub(crate) fn all_recent(&self) -> Vec<String> {
        let all = self.all();
        all.1.iter().map(|task| task.key.clone()).collect()
    }

    /// What is known of all tasks that are remembered, oldest first.
    pub(crate) fn all_infos(&self) -> Vec<DataObject> {
        let all = self.all();
        all.1.iter().map(Task::info).collect()
    }

    /// What is known of all tasks that are remembered, with the numbers of the events that they began
    /// and that they were done.
    pub(crate) fn all_events(&self) -> Vec<(DataObject, u32, Option<u32>)> {
        let all = self.all();
        let tasks = all.1.iter();
        tasks
            .map(|task| (task.info(), task.begun, task.done))
            .collect()
    }

    /// Asks a task to end early.
    pub(crate) fn cancel(&self, task: &MoRef) -> Result<(), Fault> {
        let state = |task: &mut Task| {
            if task.is_done() {
                return Err(Fault::new(
                    "InvalidState",
                    "The operation is not allowed in the current state.",
                ));
            }
            if !task.cancelable {
                return Err(Fault::not_supported("CancelTask"));
            }
            task.cancelled = true;
            Ok(())
        };
        self.change(&task.id, state)
            .unwrap_or_else(|| Err(Fault::not_found(task)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Duration = Duration::from_mins(10);

    fn spec() -> TaskSpec {
        TaskSpec {
            name: "CreateSnapshot_Task",
            description_id: "VirtualMachine.createSnapshot",
            entity: MoRef::new("VirtualMachine", "vm-1021"),
            entity_name: "app01".into(),
            user_name: "VSPHERE.LOCAL\\backup".into(),
        }
    }

    fn state(tasks: &Tasks, key: &str) -> String {
        let info = tasks.info(key).unwrap();
        assert_eq!(info.disagreement(), None);
        info.get_text("state").unwrap().to_owned()
    }

    /// Lets paused time pass until the task is done; returns the states seen.
    async fn watch(tasks: &Tasks, key: &str) -> Vec<String> {
        let mut seen = vec![state(tasks, key)];
        while !matches!(seen.last().map(String::as_str), Some("success" | "error")) {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let now = state(tasks, key);
            if seen.last() != Some(&now) {
                seen.push(now);
            }
        }
        seen
    }

    fn tasks() -> Tasks {
        let (clock, duration) = (Arc::new(Clock::new()), Duration::from_millis(40));
        Tasks::new(Handle::current(), clock, duration, MEMORY)
    }

    #[tokio::test]
    async fn states_follow_each_other_and_the_vm_is_held() {
        let tasks = tasks();
        let snapshot = || Value::reference("VirtualMachineSnapshot", "snapshot-2044");
        let key = tasks
            .start(spec(), Box::new(move || Ok(Some(snapshot()))))
            .unwrap();
        let busy = tasks.start(spec(), Box::new(|| Ok(None))).unwrap_err();
        assert_eq!(busy.type_name(), "TaskInProgress");
        assert_eq!(busy.detail.get_reference("task").unwrap().id, key);

        assert_eq!(watch(&tasks, &key).await, ["queued", "running", "success"]);
        let info = tasks.info(&key).unwrap();
        assert_eq!(info.get("result"), Some(&snapshot()));
        assert!(info.get("progress").is_none() && info.get("completeTime").is_some());
        assert_eq!(tasks.recent(&spec().entity), [key.as_str()]);
        assert!(tasks.start(spec(), Box::new(|| Ok(None))).is_ok());
    }

    #[tokio::test]
    async fn a_cancelled_task_does_not_do_its_work() {
        let tasks = tasks();
        let key = tasks
            .start(spec(), Box::new(|| panic!("must not run")))
            .unwrap();
        let reference = MoRef::new("Task", key.clone());
        tasks.cancel(&reference).unwrap();
        assert_eq!(watch(&tasks, &key).await.last().unwrap(), "error");
        let info = tasks.info(&key).unwrap();
        let error = info.get("error").and_then(Value::object).unwrap();
        let fault = error.get("fault").and_then(Value::object).unwrap();
        assert_eq!(fault.type_name, "RequestCanceled");
        let again = tasks.cancel(&reference).unwrap_err();
        assert_eq!(again.type_name(), "InvalidState");
    }

    #[tokio::test]
    async fn a_finished_task_is_forgotten_in_time_and_one_under_way_is_not() {
        let tasks = tasks();
        let entity = spec().entity;
        let done = tasks.start(spec(), Box::new(|| Ok(None))).unwrap();
        watch(&tasks, &done).await;
        let (release, released) = std::sync::mpsc::channel::<()>();
        let wait = move || {
            released
                .recv()
                .map(|()| None)
                .map_err(|_| panic!("dropped"))
        };
        let under_way = tasks.start(spec(), Box::new(wait)).unwrap();

        tasks.clock.advance(MEMORY / 2);
        assert_eq!(tasks.recent(&entity), [done.as_str(), under_way.as_str()]);
        tasks.clock.advance(MEMORY / 2);
        assert_eq!(tasks.recent(&entity), [under_way.as_str()]);
        assert_eq!(tasks.info(&done), None);
        let fault = tasks.cancel(&MoRef::new("Task", done)).unwrap_err();
        assert_eq!(fault.type_name(), "ManagedObjectNotFound");

        // Its time begins when it is done.
        release.send(()).unwrap();
        assert_eq!(watch(&tasks, &under_way).await.last().unwrap(), "success");
        assert_eq!(tasks.recent(&entity), [under_way.as_str()]);
        tasks.clock.advance(MEMORY);
        assert!(tasks.recent(&entity).is_empty());
    }

    #[tokio::test]
    async fn a_fault_of_the_work_is_the_error_of_the_task() {
        let tasks = tasks();
        let fail = || Err(Fault::file("FileLocked", "[datastore1] a/a.vmdk"));
        let key = tasks.start(spec(), Box::new(fail)).unwrap();
        assert_eq!(watch(&tasks, &key).await.last().unwrap(), "error");
        let missing = MoRef::new("Task", "task-1");
        assert_eq!(
            tasks.cancel(&missing).unwrap_err().type_name(),
            "ManagedObjectNotFound"
        );
    }
}
