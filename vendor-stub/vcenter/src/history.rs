//! Past tasks and events as a collector of a session reads them.

use jiff::Timestamp;

use crate::schema::schema;
use crate::soap::Fault;
use crate::value::{DataObject, Value};

/// How many collectors one session keeps.
pub(crate) const MAX_COLLECTORS: i32 = 32;
/// How many tasks or events the latest page has, unless told otherwise.
const PAGE_SIZE: usize = 10;

/// A task or an event.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its place in history, from 1.
    pub(crate) number: u64,
    /// A `TaskInfo` or an `Event`.
    pub(crate) object: DataObject,
    /// The ids of the objects it is about.
    pub(crate) about: Vec<String>,
    /// The ids of all that is above these.
    pub(crate) above: Vec<String>,
}

/// A collector: what it selects, and where it reads on.
#[derive(Clone, Debug)]
pub(crate) struct History {
    filter: DataObject,
    /// The number of the last entry before the place where it reads on; 0 = the beginning.
    after: u64,
    /// How many entries the latest page has.
    pub(crate) page_size: usize,
}

impl History {
    /// A collector that begins with the oldest task or event, as its filter is for the ones or the
    /// others.
    pub(crate) fn new(filter: DataObject) -> Result<Self, Fault> {
        let unknown = filter
            .members()
            .find(|(_, value)| matches!(value, Value::Opaque));
        if let Some((name, _)) = unknown {
            return Err(Fault::not_supported(name));
        }
        Ok(Self {
            filter,
            after: 0,
            page_size: PAGE_SIZE,
        })
    }

    /// What it selects by.
    pub(crate) fn filter(&self) -> &DataObject {
        &self.filter
    }

    /// Whether it reads events, and not tasks.
    pub(crate) fn is_of_events(&self) -> bool {
        self.filter.type_name == "EventFilterSpec"
    }

    /// The next entries, oldest first.
    pub(crate) fn next(&mut self, all: &[Entry], count: usize) -> Vec<DataObject> {
        let after = self.after;
        let mine = all.iter().filter(|entry| self.selects(entry));
        let next = mine.filter(|entry| entry.number > after).take(count);
        let read: Vec<&Entry> = next.collect();
        if let Some(last) = read.last() {
            self.after = last.number;
        }
        objects(read)
    }

    /// The entries before, newest first.
    pub(crate) fn previous(&mut self, all: &[Entry], count: usize) -> Vec<DataObject> {
        let after = self.after;
        let mine = all.iter().rev().filter(|entry| self.selects(entry));
        let mut before = mine.filter(|entry| entry.number <= after);
        let read: Vec<&Entry> = before.by_ref().take(count).collect();
        self.after = before.next().map_or(0, |entry| entry.number);
        objects(read)
    }

    /// Begins with the oldest entry again.
    pub(crate) fn rewind(&mut self) {
        self.after = 0;
    }

    /// Goes behind the newest entry.
    pub(crate) fn reset(&mut self, all: &[Entry]) {
        self.after = all.last().map_or(0, |entry| entry.number);
    }

    /// The newest entries, newest first.
    pub(crate) fn latest_page(&self, all: &[Entry]) -> Vec<DataObject> {
        self.latest(all, self.page_size)
    }

    /// That many of the newest entries, newest first.
    pub(crate) fn latest(&self, all: &[Entry], count: usize) -> Vec<DataObject> {
        let mine = all.iter().rev().filter(|entry| self.selects(entry));
        objects(mine.take(count))
    }

    fn selects(&self, entry: &Entry) -> bool {
        let states = self.filter.get_items("state");
        let state = entry.object.get_text("state");
        (states.is_empty() || states.iter().any(|wanted| wanted.text() == state))
            && self.selects_by_entity(entry)
            && self.selects_by_time(&entry.object)
            && self.selects_by_user(&entry.object)
            && self.selects_by_kind(&entry.object)
    }

    fn selects_by_entity(&self, entry: &Entry) -> bool {
        let Some(by_entity) = self.filter.get("entity").and_then(Value::object) else {
            return true;
        };
        let Some(entity) = by_entity.get_reference("entity") else {
            return true;
        };
        let (about, below) = (
            entry.about.contains(&entity.id),
            entry.above.contains(&entity.id),
        );
        match by_entity.get_text("recursion") {
            Some("self") => about,
            Some("children") => below,
            _ => about || below,
        }
    }

    /// A task without the time that is asked for, such as one that has not ended, is not in it.
    fn selects_by_time(&self, object: &DataObject) -> bool {
        let Some(by_time) = self.filter.get("time").and_then(Value::object) else {
            return true;
        };
        let member = match by_time.get_text("timeType") {
            _ if self.is_of_events() => "createdTime",
            Some("startedTime") => "startTime",
            Some("completedTime") => "completeTime",
            _ => "queueTime",
        };
        let time = |object: &DataObject, name| object.get_text(name)?.parse::<Timestamp>().ok();
        let Some(at) = time(object, member) else {
            return false;
        };
        time(by_time, "beginTime").is_none_or(|begin| begin <= at)
            && time(by_time, "endTime").is_none_or(|end| at <= end)
    }

    fn selects_by_user(&self, object: &DataObject) -> bool {
        let Some(by_user) = self.filter.get("userName").and_then(Value::object) else {
            return true;
        };
        let user = object.get_text("userName").unwrap_or_default();
        let users = by_user.get_items("userList");
        // The system itself does nothing here.
        !by_user.get_flag("systemUser")
            && (users.is_empty()
                || users
                    .iter()
                    .filter_map(Value::text)
                    .any(|wanted| wanted.eq_ignore_ascii_case(user)))
    }

    /// By the chain, the category and the type of an event; types select those derived from them too.
    fn selects_by_kind(&self, object: &DataObject) -> bool {
        let chain = self.filter.get_text("eventChainId");
        let any = |name: &str, fits: &dyn Fn(&str) -> bool| {
            let wanted = self.filter.get_items(name);
            wanted.is_empty() || wanted.iter().filter_map(Value::text).any(fits)
        };
        let is_a = |wanted: &str| {
            let wanted = wanted.rsplit('.').next().unwrap_or_default();
            schema().is_a(&object.type_name, wanted)
        };
        chain.is_none_or(|chain| object.get_text("chainId") == Some(chain))
            && any("category", &|category| category == crate::event::CATEGORY)
            && any("type", &is_a)
            && any("eventTypeId", &is_a)
            && self.filter.get_items("tag").is_empty()
    }
}

fn objects<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<DataObject> {
    let objects = entries.into_iter().map(|entry| entry.object.clone());
    objects.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tasks(numbers: std::ops::Range<i32>) -> Vec<Entry> {
        let entry = |number: i32| {
            let state = if number % 2 == 0 { "success" } else { "error" };
            Entry {
                number: u64::from(number.unsigned_abs()),
                object: DataObject::new("TaskInfo")
                    .with("eventChainId", Value::int(number))
                    .with("state", Value::Enum("TaskInfoState", state.to_owned())),
                about: vec![format!("vm-{}", number % 3)],
                above: vec!["group-v4".to_owned()],
            }
        };
        numbers.map(entry).collect()
    }

    fn numbers(tasks: &[DataObject]) -> Vec<u64> {
        let number = |task: &DataObject| task.get_text("eventChainId")?.parse().ok();
        tasks.iter().filter_map(number).collect()
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
