//! Methods of ServiceInstance.

use lab::timestamp;

use super::dispatch::Call;
use crate::model::service_content;
use crate::soap::{Answer, Fault};
use crate::value::Value;

pub(super) fn content(call: &Call<'_>) -> Result<Answer, Fault> {
    let content = service_content(call.world.site()?);
    Ok(Answer::One(Value::Object(content)))
}

pub(super) fn current_time() -> Answer {
    Answer::One(Value::time(timestamp()))
}
