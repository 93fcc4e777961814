//! TaskManager and its collectors of past tasks.

use super::dispatch::Call;
use crate::history::{History, MAX_COLLECTORS};
use crate::random;
use crate::soap::{Answer, Fault};
use crate::value::Value;

/// The most that is read at once.
const MAX_READ: usize = 1000;

/// CreateCollectorForTasks.
pub(super) fn create(call: &Call<'_>) -> Result<Answer, Fault> {
    let filter = call.args.get("filter").and_then(Value::object);
    let filter = filter.ok_or_else(|| Fault::invalid_argument("filter"))?;
    let history = History::new(filter.clone())?;
    let suffix = random::uuid()?;
    let id = call.session(|session| {
        if session.histories.len() >= MAX_COLLECTORS.unsigned_abs() as usize {
            return Err(Fault::new("InvalidState", "There are too many collectors."));
        }
        let id = format!("session[{}]{suffix}", session.key);
        session.histories.insert(id.clone(), history);
        Ok(id)
    })??;
    Ok(Answer::One(Value::reference("TaskHistoryCollector", id)))
}

/// ReadNextTasks and ReadPreviousTasks.
pub(super) fn read(call: &Call<'_>, method: &str) -> Result<Answer, Fault> {
    let count = call.number::<i32>("maxCount")?;
    let count = usize::try_from(count).map_err(|_| Fault::invalid_argument("maxCount"))?;
    if count == 0 || count > MAX_READ {
        return Err(Fault::invalid_argument("maxCount"));
    }
    let tasks = call.world.state.tasks.all_infos();
    let read = with(call, |history| {
        if method == "ReadNextTasks" {
            history.next(&tasks, count)
        } else {
            history.previous(&tasks, count)
        }
    })?;
    Ok(Answer::Many(read.into_iter().map(Value::Object).collect()))
}

/// RewindCollector: from the oldest task on.
pub(super) fn rewind(call: &Call<'_>) -> Result<Answer, Fault> {
    with(call, History::rewind)?;
    Ok(Answer::Nothing)
}

/// ResetCollector: from the newest task back.
pub(super) fn reset(call: &Call<'_>) -> Result<Answer, Fault> {
    let tasks = call.world.state.tasks.all_infos();
    with(call, |history| history.reset(&tasks))?;
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

fn with<R>(call: &Call<'_>, work: impl FnOnce(&mut History) -> R) -> Result<R, Fault> {
    let done = call.session(|session| session.histories.get_mut(&call.this.id).map(work))?;
    done.ok_or_else(|| Fault::not_found(call.this))
}
