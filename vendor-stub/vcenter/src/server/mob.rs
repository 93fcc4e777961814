//! The object browser over HTTP: login by Basic authentication or by a session's cookie.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hyper::header::{AUTHORIZATION, HeaderValue, SET_COOKIE, WWW_AUTHENTICATE};
use hyper::{HeaderMap, StatusCode};
use serde_json::json;

use super::http::{Answer, HTML, html, page};
use super::{State, cookie};
use crate::mob;
use crate::session::Client;
use crate::soap::Fault;
use crate::world::{World, lab_fault};

/// What a request without an object shows.
const START: &str = "ServiceInstance";

/// Serves one request.
pub(super) async fn serve(
    state: Arc<State>,
    peer: SocketAddr,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Answer {
    let (headers, query) = (headers.clone(), query.unwrap_or_default().to_owned());
    let served = tokio::task::spawn_blocking(move || answer(&state, peer, &headers, &query));
    let served = served.await;
    served.unwrap_or_else(|_| html(StatusCode::SERVICE_UNAVAILABLE))
}

fn answer(state: &State, peer: SocketAddr, headers: &HeaderMap, query: &str) -> Answer {
    let (cookie, is_new) = match session(state, peer, headers) {
        Ok(found) => found,
        Err(fault) => {
            tracing::debug!(%peer, fault = fault.type_name(), "no login at the browser");
            return challenge();
        }
    };
    let id = mob::parameter(query, "moid").unwrap_or_else(|| START.to_owned());
    let path = mob::parameter(query, "doPath").filter(|path| !path.is_empty());
    let found = shown(state, &cookie, &id, path.as_deref());
    let args = json!({ "moid": id, "doPath": path });
    state.record("mob", args, found.as_ref().map(|_| ()));
    let mut answer = match found {
        Ok(Some(text)) => page(StatusCode::OK, HTML, text.into_bytes()),
        Ok(None) => html(StatusCode::NOT_FOUND),
        Err(fault) if fault.type_name() == "NoPermission" => html(StatusCode::FORBIDDEN),
        Err(_) => html(StatusCode::INTERNAL_SERVER_ERROR),
    };
    if is_new && let Ok(line) = HeaderValue::try_from(cookie::set_cookie(&cookie)) {
        answer.headers_mut().insert(SET_COOKIE, line);
    }
    answer
}

fn shown(
    state: &State,
    cookie: &str,
    id: &str,
    path: Option<&str>,
) -> Result<Option<String>, Fault> {
    let world = World::new(state, Some(cookie), state.dialect(None)?);
    mob::page(&world, id, path)
}

/// The session of the request: that of its cookie, or else a new one for its user. Tells
/// whether it is new.
pub(super) fn session(
    state: &State,
    peer: SocketAddr,
    headers: &HeaderMap,
) -> Result<(String, bool), Fault> {
    match cookie::from_headers(headers).filter(|cookie| state.touch(cookie)) {
        Some(cookie) => Ok((cookie, false)),
        None => Ok((login(state, peer, headers)?, true)),
    }
}

/// Opens a session for the user of the header `Authorization`.
fn login(state: &State, peer: SocketAddr, headers: &HeaderMap) -> Result<String, Fault> {
    let (user, password) = credentials(headers).ok_or_else(Fault::invalid_login)?;
    state
        .lab
        .check_login(&user, &password)
        .map_err(|error| lab_fault(&error))?;
    let client = Client {
        ip_address: peer.ip().to_string(),
        user_agent: "browser".to_owned(),
    };
    let now_ms = state.clock.now_ms();
    let (cookie, _) = state.sessions.open(&user, "en", &client, now_ms)?;
    state.publish_session(&cookie, &user);
    Ok(cookie)
}

fn credentials(headers: &HeaderMap) -> Option<(String, String)> {
    let line = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, text) = line.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let text = BASE64_STANDARD.decode(text.trim()).ok()?;
    let text = String::from_utf8(text).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Asks for a login.
pub(super) fn challenge() -> Answer {
    let mut answer = html(StatusCode::UNAUTHORIZED);
    let line = HeaderValue::from_static("Basic realm=\"stand-in\"");
    answer.headers_mut().insert(WWW_AUTHENTICATE, line);
    answer
}
