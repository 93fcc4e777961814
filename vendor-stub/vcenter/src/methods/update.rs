//! Methods that report what changed.

use std::time::Duration;

use tokio::time::Instant;

use super::dispatch::Call;
use super::filter::collector;
use crate::collector::{Limits, Wait};
use crate::soap::{Answer, Fault};
use crate::value::Value;

const WHOLE: Limits = Limits {
    updates: usize::MAX,
    truncates: false,
};

pub(super) fn check(call: &mut Call<'_>) -> Result<Answer, Fault> {
    updates(call, WHOLE, Some(Duration::ZERO))
}

pub(super) fn wait(call: &mut Call<'_>) -> Result<Answer, Fault> {
    updates(call, WHOLE, None)
}

pub(super) fn wait_ex(call: &mut Call<'_>) -> Result<Answer, Fault> {
    let options = call.args.get("options").and_then(Value::object);
    let number = |name: &str| {
        let text = options.and_then(|options| options.get_text(name));
        text.map(str::parse::<i32>).transpose()
    };
    let wrong = |name: &str| Fault::invalid_argument(&format!("options.{name}"));
    let seconds = match number("maxWaitSeconds") {
        Ok(None) => None,
        Ok(Some(seconds)) => Some(u64::try_from(seconds).map_err(|_| wrong("maxWaitSeconds"))?),
        Err(_) => return Err(wrong("maxWaitSeconds")),
    };
    let asked = match number("maxObjectUpdates") {
        Ok(None) => usize::MAX,
        Ok(Some(asked)) if asked > 0 => {
            usize::try_from(asked).map_err(|_| wrong("maxObjectUpdates"))?
        }
        _ => return Err(wrong("maxObjectUpdates")),
    };
    let limits = Limits {
        updates: asked.min(call.world.state.options.update_limit.max(1)),
        truncates: true,
    };
    updates(call, limits, seconds.map(Duration::from_secs))
}

pub(super) fn cancel(call: &Call<'_>) -> Result<Answer, Fault> {
    collector(call)?.cancel();
    call.world.state.changes().tell();
    Ok(Answer::Nothing)
}

fn updates(
    call: &mut Call<'_>,
    limits: Limits,
    patience: Option<Duration>,
) -> Result<Answer, Fault> {
    let deadline = patience.map(|patience| Instant::now() + patience);
    let version = call.args.get_text("version").unwrap_or_default();
    let mut wait = Wait::new(collector(call)?, call.this, version, limits, deadline);
    if let Some(answer) = wait.look(call.world)? {
        return Ok(answer);
    }
    call.wait = Some(wait);
    Ok(Answer::Nothing)
}
