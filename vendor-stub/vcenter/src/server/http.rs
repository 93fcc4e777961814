//! HTTP: routes, headers, compression, and what a test ordered to go wrong below SOAP.

use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, SET_COOKIE,
    USER_AGENT, VARY,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};

use super::{State, cookie, folder, mob, nfc};
use crate::methods::{Caller, Outcome, resume, serve};
use crate::model::service_versions;
use crate::session::Client;

/// Requests of the known clients stay far below this.
const MAX_BODY_BYTES: usize = 4 << 20;
/// How much of a body that is too large is still read.
const MAX_DROPPED_BYTES: usize = 64 << 20;
const XML: &str = "text/xml; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

pub(super) type Answer = Response<Full<Bytes>>;

/// Serves one HTTP request.
pub(super) async fn handle(
    state: Arc<State>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Answer, Infallible> {
    let path = request.uri().path();
    let answer = match (request.method(), path) {
        (&Method::POST, "/sdk" | "/sdk/") => soap(state, peer, request).await,
        (&Method::GET, "/sdk/vimServiceVersions.xml") => versions(state).await,
        (&Method::GET, "/mob" | "/mob/") => {
            mob::serve(state, peer, request.headers(), request.uri().query()).await
        }
        (_, path) if path == "/folder" || path.starts_with("/folder/") => {
            folder::serve(state, peer, request).await
        }
        (method, path) if path.starts_with("/nfc/") => {
            nfc::serve(state, method.clone(), path.to_owned()).await
        }
        (_, "/mob" | "/mob/") => html(StatusCode::METHOD_NOT_ALLOWED),
        (_, "/sdk" | "/sdk/" | "/sdk/vimServiceVersions.xml") => {
            html(StatusCode::METHOD_NOT_ALLOWED)
        }
        _ => html(StatusCode::NOT_FOUND),
    };
    Ok(answer)
}

async fn versions(state: Arc<State>) -> Answer {
    let site = tokio::task::spawn_blocking(move || state.lab.site()).await;
    match site {
        Ok(Ok(site)) => page(StatusCode::OK, XML, service_versions(&site).into()),
        _ => html(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn soap(state: Arc<State>, peer: SocketAddr, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let Some(body) = collected(body, MAX_BODY_BYTES).await else {
        return html(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let caller = caller(peer, &parts.headers);
    let Some(outcome) = outcome(&state, caller, body).await else {
        return html(StatusCode::SERVICE_UNAVAILABLE);
    };
    let delay_ms = outcome.ordered.as_ref().and_then(|fault| fault.delay_ms);
    if let Some(delay_ms) = delay_ms {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
    }
    respond(outcome, &parts.headers)
}

/// A body; `None` if it is larger than the limit or cut off. What is too much is read all the same,
/// within bounds, so that a client that is still sending gets to the answer.
pub(super) async fn collected(mut body: Incoming, max_bytes: usize) -> Option<Bytes> {
    let (mut whole, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        length = length.saturating_add(data.len());
        if length <= max_bytes {
            whole.extend_from_slice(&data);
        } else {
            whole = Vec::new();
            if length - max_bytes > MAX_DROPPED_BYTES {
                break;
            }
        }
    }
    (length <= max_bytes).then(|| whole.into())
}

/// Serves a call, and waits as long as it waits. When the client goes away, this is dropped
/// at the next pause. `None` = the server is stopping, or the call panicked.
async fn outcome(state: &Arc<State>, caller: Caller, body: Bytes) -> Option<Outcome> {
    let caller = Arc::new(caller);
    let (shared, called) = (Arc::clone(state), Arc::clone(&caller));
    let served = tokio::task::spawn_blocking(move || {
        let text = String::from_utf8_lossy(&body).into_owned();
        serve(&shared, &called, &text)
    });
    let mut outcome = served.await.ok()?;
    while let Some(waiting) = &outcome.waiting {
        waiting.pause(state).await;
        let (shared, called) = (Arc::clone(state), Arc::clone(&caller));
        let resumed = tokio::task::spawn_blocking(move || resume(&shared, &called, outcome));
        outcome = resumed.await.ok()?;
    }
    Some(outcome)
}

fn caller(peer: SocketAddr, headers: &HeaderMap) -> Caller {
    let agent = headers
        .get(USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    let action = headers.get("SOAPAction");
    Caller {
        action: action.and_then(|action| Some(action.to_str().ok()?.to_owned())),
        cookie: cookie::from_headers(headers),
        client: Client {
            ip_address: peer.ip().to_string(),
            user_agent: agent.unwrap_or_default().to_owned(),
        },
    }
}

fn respond(outcome: Outcome, request: &HeaderMap) -> Answer {
    let ordered = outcome.ordered.unwrap_or_default();
    if let Some(status) = ordered.http_status {
        return html(StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY));
    }
    let mut body = outcome.body.into_bytes();
    if let Some(length) = ordered.truncate {
        body.truncate(length);
    }
    let packed = accepts_gzip(request).then(|| gzip(&body)).flatten();
    let is_packed = packed.is_some();
    let status = StatusCode::from_u16(outcome.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = page(status, XML, packed.unwrap_or(body));
    let headers = answer.headers_mut();
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let cookie = outcome.new_cookie.as_deref().map(cookie::set_cookie);
    if let Some(line) = cookie.and_then(|line| HeaderValue::try_from(line).ok()) {
        headers.insert(SET_COOKIE, line);
    }
    answer
}

fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT_ENCODING)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|coding| coding.split(';').next().unwrap_or_default().trim())
        .any(|coding| coding.eq_ignore_ascii_case("gzip"))
}

fn gzip(body: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

pub(super) fn page(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    answer
}

/// A page as the proxy in front of a vCenter shows it: no SOAP.
pub(super) fn html(status: StatusCode) -> Answer {
    let text = format!("<html><body><h1>{status}</h1></body></html>\n");
    page(status, HTML, text.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_only_when_asked_for() {
        let mut headers = HeaderMap::new();
        assert!(!accepts_gzip(&headers));
        headers.insert(
            ACCEPT_ENCODING,
            HeaderValue::from_static("identity, x-gzip"),
        );
        assert!(!accepts_gzip(&headers));
        headers.insert(
            ACCEPT_ENCODING,
            HeaderValue::from_static("deflate, GZIP;q=1"),
        );
        assert!(accepts_gzip(&headers));
    }
}
