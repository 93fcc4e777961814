//! Methods that make and end property collectors and filters.

use std::sync::Arc;

use super::dispatch::Call;
use crate::collector::{Collector, Filter};
use crate::random;
use crate::soap::{Answer, Fault};
use crate::value::Value;

/// How many collectors one session keeps.
const MAX_COLLECTORS: usize = 100;

pub(super) fn create_collector(call: &Call<'_>) -> Result<Answer, Fault> {
    let suffix = random::uuid()?;
    let id = call.session(|session| {
        if session.collectors.len() >= MAX_COLLECTORS {
            return Err(Fault::system_error("too many property collectors"));
        }
        let id = format!("session[{}]{suffix}", session.key);
        session.collectors.insert(id.clone(), Arc::default());
        Ok(id)
    })??;
    Ok(Answer::One(Value::reference("PropertyCollector", id)))
}

pub(super) fn destroy_collector(call: &Call<'_>) -> Result<Answer, Fault> {
    if !call.this.id.starts_with("session[") {
        // The one that every session has cannot be destroyed.
        return Err(Fault::not_supported("DestroyPropertyCollector"));
    }
    let removed = call.session(|session| session.collectors.remove(&call.this.id))?;
    let removed = removed.ok_or_else(|| Fault::not_found(call.this))?;
    removed.cancel();
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

pub(super) fn create(call: &Call<'_>) -> Result<Answer, Fault> {
    let spec = call.args.get("spec").and_then(Value::object);
    let spec = spec.ok_or_else(|| Fault::invalid_argument("spec"))?;
    Filter::check(call.world, spec)?;
    let suffix = random::uuid()?;
    let id = call.session(|session| format!("session[{}]{suffix}", session.key))?;
    collector(call)?.add(Filter {
        id: id.clone(),
        spec: spec.clone(),
        partial: call.args.get_flag("partialUpdates"),
    })?;
    call.world.state.changes().tell();
    Ok(Answer::One(Value::reference("PropertyFilter", id)))
}

pub(super) fn destroy(call: &Call<'_>) -> Result<Answer, Fault> {
    let collectors = call.world.collectors();
    let mut collectors = collectors.iter();
    if collectors.any(|(_, collector)| collector.remove(&call.this.id)) {
        Ok(Answer::Nothing)
    } else {
        Err(Fault::not_found(call.this))
    }
}

/// The collector that is called.
pub(super) fn collector(call: &Call<'_>) -> Result<Arc<Collector>, Fault> {
    let found = call.session(|session| session.collectors.get(&call.this.id).cloned())?;
    found.ok_or_else(|| Fault::not_found(call.this))
}
