//! TaskManager and EventManager, and their collectors of what was.

use super::dispatch::Call;
use crate::event::{events, tasks};
use crate::history::{Entry, History, MAX_COLLECTORS};
use crate::random;
use crate::schema::TypeRef;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, Value};

/// The most that is read at once.
const MAX_READ: usize = 1000;

/// The most events that are told without a collector.
const MAX_EVENTS: usize = 1000;

/// QueryEvents: the newest that the filter selects, oldest first.
pub(super) fn query_events(call: &Call<'_>) -> Result<Answer, Fault> {
    let filter = call.args.get("filter").and_then(Value::object);
    let filter = filter.ok_or_else(|| Fault::invalid_argument("filter"))?;
    let most = filter.get_text("maxCount").map(str::parse::<usize>);
    let most = most
        .transpose()
        .map_err(|_| Fault::invalid_argument("filter.maxCount"))?;
    let history = History::new(filter.clone())?;
    let count = most.unwrap_or(MAX_EVENTS).min(MAX_EVENTS);
    let mut found = history.latest(&events(call.world)?, count);
    found.reverse();
    Ok(told(&history, found))
}

/// Tasks as they are, and events of the types that they have.
fn told(history: &History, found: Vec<DataObject>) -> Answer {
    let declared = if history.is_of_events() {
        "Event"
    } else {
        "TaskInfo"
    };
    let found = found.into_iter().map(Value::Object).collect();
    Answer::ManyOf(TypeRef::Named(declared), found)
}

/// CreateCollectorForTasks and CreateCollectorForEvents.
pub(super) fn create(call: &Call<'_>) -> Result<Answer, Fault> {
    let filter = call.args.get("filter").and_then(Value::object);
    let filter = filter.ok_or_else(|| Fault::invalid_argument("filter"))?;
    let history = History::new(filter.clone())?;
    let type_name = if history.is_of_events() {
        "EventHistoryCollector"
    } else {
        "TaskHistoryCollector"
    };
    let suffix = random::uuid()?;
    let id = call.session(|session| {
        if session.histories.len() >= MAX_COLLECTORS.unsigned_abs() as usize {
            return Err(Fault::new("InvalidState", "There are too many collectors."));
        }
        let id = format!("session[{}]{suffix}", session.key);
        session.histories.insert(id.clone(), history);
        Ok(id)
    })??;
    Ok(Answer::One(Value::reference(type_name, id)))
}

/// ReadNextTasks and ReadPreviousTasks, and the same of events.
pub(super) fn read(call: &Call<'_>, method: &str) -> Result<Answer, Fault> {
    let count = call.number::<i32>("maxCount")?;
    let count = usize::try_from(count).map_err(|_| Fault::invalid_argument("maxCount"))?;
    if count == 0 || count > MAX_READ {
        return Err(Fault::invalid_argument("maxCount"));
    }
    let all = all(call)?;
    with(call, |history| {
        let read = if method.starts_with("ReadNext") {
            history.next(&all, count)
        } else {
            history.previous(&all, count)
        };
        told(history, read)
    })
}

/// RewindCollector: from the oldest task on.
pub(super) fn rewind(call: &Call<'_>) -> Result<Answer, Fault> {
    with(call, History::rewind)?;
    Ok(Answer::Nothing)
}

/// ResetCollector: from the newest task back.
pub(super) fn reset(call: &Call<'_>) -> Result<Answer, Fault> {
    let all = all(call)?;
    with(call, |history| history.reset(&all))?;
    Ok(Answer::Nothing)
}

pub(super) fn set_page_size(call: &Call<'_>) -> Result<Answer, Fault> {
    let count = call.number::<i32>("maxCount")?;
    let count = usize::try_from(count)
        .ok()
        .filter(|count| (1..=MAX_READ).contains(count));
    let count = count.ok_or_else(|| Fault::invalid_argument("maxCount"))?;
    with(call, |history| history.page_size = count)?;
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

pub(super) fn destroy(call: &Call<'_>) -> Result<Answer, Fault> {
    let removed = call.session(|session| session.histories.remove(&call.this.id))?;
    removed.ok_or_else(|| Fault::not_found(call.this))?;
    Ok(Answer::Nothing)
}

/// What the collector that is called reads from.
fn all(call: &Call<'_>) -> Result<Vec<Entry>, Fault> {
    if with(call, |history| history.is_of_events())? {
        events(call.world)
    } else {
        tasks(call.world)
    }
}

fn with<R>(call: &Call<'_>, work: impl FnOnce(&mut History) -> R) -> Result<R, Fault> {
    let done = call.session(|session| session.histories.get_mut(&call.this.id).map(work))?;
    done.ok_or_else(|| Fault::not_found(call.this))
}
