//! Methods of SessionManager.

use super::dispatch::Call;
use crate::random;
use crate::soap::{Answer, Fault};
use crate::value::Value;
use crate::world::lab_fault;

pub(super) fn login(call: &mut Call<'_>) -> Result<Answer, Fault> {
    let state = call.world.state;
    refuse_second(call)?;
    let args = call.args;
    let user = args.get_text("userName").unwrap_or_default();
    state
        .lab
        .check_login(user, call.text("password"))
        .map_err(|error| lab_fault(&error))?;
    let locale = match args.get_text("locale") {
        None | Some("") => "en",
        Some(locale) => locale,
    };
    open(call, user, locale)
}

/// Refuses a login on a session, whose cookie stays good. Elsewhere a login that fails hands out a
/// cookie as well; it proves nothing.
fn refuse_second(call: &mut Call<'_>) -> Result<(), Fault> {
    if call.world.cookie.is_some() {
        return Err(Fault::invalid_login());
    }
    call.new_cookie = Some(random::hex(20)?);
    Ok(())
}

fn open(call: &mut Call<'_>, user: &str, locale: &str) -> Result<Answer, Fault> {
    let state = call.world.state;
    let now_ms = state.clock.now_ms();
    let (cookie, session) = state.sessions.open(user, locale, call.client, now_ms)?;
    state.publish_session(&cookie, user);
    call.new_cookie = Some(cookie);
    Ok(Answer::One(Value::Object(session.user_session())))
}

pub(super) fn clone_ticket(call: &Call<'_>) -> Result<Answer, Fault> {
    let lost = || Fault::not_authenticated(call.this, "System.View");
    let cookie = call.world.cookie.ok_or_else(lost)?;
    let ticket = call.world.state.sessions.clone_ticket(cookie)?;
    Ok(Answer::One(Value::string(ticket.ok_or_else(lost)?)))
}

/// Opens a session for a ticket of another one.
pub(super) fn clone(call: &mut Call<'_>) -> Result<Answer, Fault> {
    refuse_second(call)?;
    let user = call.world.state.sessions.redeem(call.text("cloneTicket"));
    let user = user.ok_or_else(Fault::invalid_login)?;
    open(call, &user, "en")
}

pub(super) fn logout(call: &Call<'_>) -> Result<Answer, Fault> {
    let cookie = call
        .world
        .cookie
        .ok_or_else(|| Fault::not_authenticated(call.this, "System.View"))?;
    call.world.state.end_session(cookie);
    Ok(Answer::Nothing)
}

/// TerminateSession: ends sessions of others.
pub(super) fn terminate(call: &Call<'_>) -> Result<Answer, Fault> {
    let state = call.world.state;
    let keys = call.args.get_items("sessionId").iter();
    let mut cookies = Vec::new();
    for key in keys.filter_map(Value::text) {
        let cookie = state.sessions.cookie_of(key);
        let cookie = cookie.ok_or_else(|| Fault::new("NotFound", "There is no such session."))?;
        if call.world.cookie == Some(cookie.as_str()) {
            return Err(Fault::invalid_argument("sessionId"));
        }
        cookies.push(cookie);
    }
    for cookie in cookies {
        state.end_session(&cookie);
    }
    Ok(Answer::Nothing)
}

pub(super) fn is_active(call: &Call<'_>) -> Answer {
    let (key, user) = (call.text("sessionID"), call.text("userName"));
    let active = call.world.state.sessions.is_active(key, user);
    Answer::One(Value::boolean(active))
}
