//! Methods of PropertyCollector, and Fetch.

use super::dispatch::Call;
use crate::collector;
use crate::soap::{Answer, Fault};
use crate::value::Value;

pub(super) fn retrieve_ex(call: &Call<'_>) -> Result<Answer, Fault> {
    let options = call.args.get("options").and_then(Value::object);
    let max_objects = options
        .and_then(|options| options.get_text("maxObjects"))
        .map(str::parse)
        .transpose()
        .map_err(|_| Fault::invalid_argument("options.maxObjects"))?;
    let contents = collector::contents(call.world, call.args)?;
    collector::first_page(call.world, call.this, contents, max_objects)
}

pub(super) fn proceed(call: &Call<'_>) -> Result<Answer, Fault> {
    collector::next_page(call.world, call.this, call.text("token"))
}

pub(super) fn cancel(call: &Call<'_>) -> Result<Answer, Fault> {
    collector::cancel(call.world, call.this, call.text("token"))
}

pub(super) fn retrieve(call: &Call<'_>) -> Result<Answer, Fault> {
    let mut contents = collector::contents(call.world, call.args)?;
    let objects = contents.take(call.world, usize::MAX)?;
    Ok(Answer::Many(
        objects.into_iter().map(Value::Object).collect(),
    ))
}

pub(super) fn fetch(call: &Call<'_>) -> Result<Answer, Fault> {
    let value = collector::fetch(call.world, call.this, call.text("prop"))?;
    Ok(value.map_or(Answer::Nothing, Answer::Any))
}
