//! Past tasks as a collector of a session reads them.

use std::num::NonZeroU64;

use jiff::Timestamp;

use crate::soap::Fault;
use crate::value::{DataObject, Value};

/// How many collectors one session keeps.
pub(crate) const MAX_COLLECTORS: i32 = 32;
/// How many tasks the latest page has, unless told otherwise.
const PAGE_SIZE: usize = 10;

/// A collector: what it selects, and where it reads on.
#[derive(Clone, Debug)]
pub(crate) struct History {
    filter: DataObject,
    /// The chain id of the last task before the place where it reads on; `None` = the beginning.
    after: Option<NonZeroU64>,
    /// How many tasks the latest page has.
    pub(crate) page_size: usize,
}

impl History {
    /// A collector that begins with the oldest task.
    pub(crate) fn new(filter: DataObject) -> Result<Self, Fault> {
        let unknown = filter
            .members()
            .find(|(_, value)| matches!(value, Value::Opaque));
        if let Some((name, _)) = unknown {
            return Err(Fault::not_supported(name));
        }
        Ok(Self {
            filter,
            after: None,
            page_size: PAGE_SIZE,
        })
    }

    /// What it selects by.
    pub(crate) fn filter(&self) -> &DataObject {
        &self.filter
    }

    /// The next tasks, oldest first.
    pub(crate) fn next(&mut self, tasks: &[DataObject], count: usize) -> Vec<DataObject> {
        let after = self.after;
        let mine = tasks.iter().filter(|task| self.selects(task));
        let next = mine.filter(|task| number(task) > after).take(count);
        let read: Vec<DataObject> = next.cloned().collect();
        if let Some(last) = read.last() {
            self.after = number(last);
        }
        read
    }

    /// The tasks before, newest first.
    pub(crate) fn previous(&mut self, tasks: &[DataObject], count: usize) -> Vec<DataObject> {
        let after = self.after;
        let mine = tasks.iter().rev().filter(|task| self.selects(task));
        let mut before = mine.filter(|task| number(task) <= after);
        let read: Vec<DataObject> = before.by_ref().take(count).cloned().collect();
        self.after = before.next().and_then(number);
        read
    }

    /// Begins with the oldest task again.
    pub(crate) fn rewind(&mut self) {
        self.after = None;
    }

    /// Goes behind the newest task.
    pub(crate) fn reset(&mut self, tasks: &[DataObject]) {
        self.after = tasks.last().and_then(number);
    }

    /// The newest tasks, newest first.
    pub(crate) fn latest_page(&self, tasks: &[DataObject]) -> Vec<DataObject> {
        let mine = tasks.iter().rev().filter(|task| self.selects(task));
        mine.take(self.page_size).cloned().collect()
    }

    fn selects(&self, task: &DataObject) -> bool {
        let states = self.filter.get_items("state");
        let state = task.get_text("state");
        let by_entity = self.filter.get("entity").and_then(Value::object);
        let entity = by_entity.and_then(|found| found.get_reference("entity"));
        // All tasks lie below the root folder and the datacenter.
        let above = by_entity.is_some_and(|found| {
            let entity = entity.map_or("", |entity| entity.type_name.as_str());
            found.get_text("recursion") != Some("self")
                && ["Folder", "Datacenter"].contains(&entity)
        });
        (states.is_empty() || states.iter().any(|wanted| wanted.text() == state))
            && (above || entity.is_none_or(|entity| task.get_reference("entity") == Some(entity)))
            && self.selects_by_time(task)
    }

    /// A task without the time that is asked for, such as one that has not ended, is not in it.
    fn selects_by_time(&self, task: &DataObject) -> bool {
        let Some(by_time) = self.filter.get("time").and_then(Value::object) else {
            return true;
        };
        let member = match by_time.get_text("timeType") {
            Some("startedTime") => "startTime",
            Some("completedTime") => "completeTime",
            _ => "queueTime",
        };
        let time = |object: &DataObject, name| object.get_text(name)?.parse::<Timestamp>().ok();
        let Some(at) = time(task, member) else {
            return false;
        };
        time(by_time, "beginTime").is_none_or(|begin| begin <= at)
            && time(by_time, "endTime").is_none_or(|end| at <= end)
    }
}

fn number(task: &DataObject) -> Option<NonZeroU64> {
    task.get_text("eventChainId")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(numbers: std::ops::Range<i32>) -> Vec<DataObject> {
        numbers
            .map(|number| {
                let state = if number % 2 == 0 { "success" } else { "error" };
                DataObject::new("TaskInfo")
                    .with("eventChainId", Value::int(number))
                    .with("state", Value::Enum("TaskInfoState", state.to_owned()))
                    .with(
                        "entity",
                        Value::reference("VirtualMachine", format!("vm-{}", number % 3)),
                    )
            })
            .collect()
    }

    fn numbers(tasks: &[DataObject]) -> Vec<u64> {
        tasks
            .iter()
            .filter_map(number)
            .map(NonZeroU64::get)
            .collect()
    }

    #[test]
    fn tasks_are_read_in_both_directions_and_new_ones_come_last() {
        let mut history = History::new(DataObject::new("TaskFilterSpec")).unwrap();
        let known = tasks(1..6);
        assert_eq!(numbers(&history.next(&known, 2)), [1, 2]);
        assert_eq!(numbers(&history.next(&known, 9)), [3, 4, 5]);
        assert!(history.next(&known, 9).is_empty());
        assert_eq!(numbers(&history.next(&tasks(1..8), 9)), [6, 7]);
        history.reset(&known);
        assert_eq!(numbers(&history.previous(&known, 2)), [5, 4]);
        assert_eq!(numbers(&history.previous(&known, 9)), [3, 2, 1]);
        assert!(history.previous(&known, 9).is_empty());
        history.rewind();
        assert_eq!(numbers(&history.next(&known, 1)), [1]);
        history.page_size = 3;
        assert_eq!(numbers(&history.latest_page(&known)), [5, 4, 3]);
    }

    #[test]
    fn a_filter_selects_by_state_and_entity() {
        let state = Value::Array(
            crate::schema::TypeRef::Named("TaskInfoState"),
            vec![Value::Enum("TaskInfoState", "error".to_owned())],
        );
        let entity = DataObject::new("TaskFilterSpecByEntity")
            .with("entity", Value::reference("VirtualMachine", "vm-0"))
            .with(
                "recursion",
                Value::Enum("TaskFilterSpecRecursionOption", "self".to_owned()),
            );
        let filter = DataObject::new("TaskFilterSpec").with("state", state);
        let known = tasks(1..10);
        let read = |filter: &DataObject| {
            let mut history = History::new(filter.clone()).unwrap();
            numbers(&history.next(&known, 99))
        };
        assert_eq!(read(&filter), [1, 3, 5, 7, 9]);
        assert_eq!(read(&filter.part("entity", entity)), [3, 9]);
        let unknown = DataObject::new("TaskFilterSpec").with("alarm", Value::Opaque);
        assert!(History::new(unknown).is_err());
    }
}
