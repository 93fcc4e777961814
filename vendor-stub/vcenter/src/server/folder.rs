//! Datastore files over HTTP: `/folder/<path>?dcPath=..&dsName=..` ("vSphere API reference", 2.11).

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, HeaderValue, RANGE, SET_COOKIE};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, StatusCode};
use serde_json::json;

use super::http::{Answer, HTML, html, page};
use super::{State, cookie, mob};
use crate::mob::parameter;
use crate::session::Client;
use crate::soap::Fault;
use crate::value::MoRef;
use crate::world::{World, lab_fault};

/// What one request may carry or ask for.
const MAX_FILE_BYTES: u64 = 256 << 20;
const BINARY: &str = "application/octet-stream";

/// Serves one request.
pub(super) async fn serve(
    state: Arc<State>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Answer {
    let (parts, body) = request.into_parts();
    if parts.method == Method::PUT && !parts.headers.contains_key(CONTENT_LENGTH) {
        return html(StatusCode::LENGTH_REQUIRED);
    }
    let limit = usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX);
    let Ok(body) = Limited::new(body, limit).collect().await else {
        return html(StatusCode::PAYLOAD_TOO_LARGE);
    };
    let body = body.to_bytes();
    let served = tokio::task::spawn_blocking(move || answer(&state, peer, &parts, &body));
    let served = served.await;
    served.unwrap_or_else(|_| html(StatusCode::SERVICE_UNAVAILABLE))
}

fn answer(state: &State, peer: SocketAddr, parts: &Parts, body: &Bytes) -> Answer {
    if let Some(id) = cookie::ticket_from_headers(&parts.headers) {
        return by_ticket(state, peer, parts, body, &id);
    }
    let Ok((cookie, is_new)) = mob::session(state, peer, &parts.headers) else {
        return mob::challenge();
    };
    let result = served(state, &cookie, parts, body, false);
    let mut answer = recorded(state, parts, result);
    if is_new && let Ok(line) = HeaderValue::try_from(cookie::set_cookie(&cookie)) {
        answer.headers_mut().insert(SET_COOKIE, line);
    }
    answer
}

/// Serves a request that carries a ticket instead of a session: a session for this request only.
fn by_ticket(state: &State, peer: SocketAddr, parts: &Parts, body: &Bytes, id: &str) -> Answer {
    let place = parts.uri.path_and_query();
    let place = place
        .map(hyper::http::uri::PathAndQuery::as_str)
        .unwrap_or_default();
    let login = state
        .service_tickets
        .redeem(id, parts.method.as_str(), place);
    let Some(login) = login else {
        return mob::challenge();
    };
    let client = Client {
        ip_address: peer.ip().to_string(),
        user_agent: "ticket".to_owned(),
    };
    let opened = state
        .sessions
        .open(&login, "en", &client, state.clock.now_ms());
    let Ok((cookie, _)) = opened else {
        return html(StatusCode::SERVICE_UNAVAILABLE);
    };
    let result = served(state, &cookie, parts, body, true);
    state.end_session(&cookie);
    recorded(state, parts, result)
}

fn recorded(state: &State, parts: &Parts, result: Result<Answer, Refusal>) -> Answer {
    let args = json!({ "method": parts.method.as_str(), "path": parts.uri.path() });
    let fault = result.as_ref().err().map(|refusal| refusal.fault.clone());
    state.record("folder", args, fault.as_ref().map_or(Ok(()), Err));
    result.unwrap_or_else(|refusal| html(refusal.status))
}

/// Why a request is not served.
struct Refusal {
    status: StatusCode,
    fault: Fault,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            fault: Fault::new("FileFault", text),
        }
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let status = match fault.type_name() {
            "NoPermission" => StatusCode::FORBIDDEN,
            "NotFound" | "FileNotFound" | "ManagedObjectNotFound" => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, fault }
    }
}

impl From<lab::Error> for Refusal {
    fn from(error: lab::Error) -> Self {
        lab_fault(&error).into()
    }
}

fn served(
    state: &State,
    cookie: &str,
    parts: &Parts,
    body: &Bytes,
    as_host: bool,
) -> Result<Answer, Refusal> {
    let ordered = state.ordered_fault("folder")?.unwrap_or_default();
    if let Some(status) = ordered.http_status {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        return Err(Refusal::new(status, "as ordered"));
    }
    let target = Target::of(state, cookie, parts, as_host)?;
    let world = World::new(state, Some(cookie), state.dialect(None)?);
    let needed: &[&str] = match parts.method {
        Method::GET | Method::HEAD => &["Datastore.Browse"],
        Method::PUT => &["Datastore.Browse", "Datastore.FileManagement"],
        Method::DELETE => &["Datastore.FileManagement"],
        _ => return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method")),
    };
    for privilege in needed {
        world.demand(&target.datastore, privilege)?;
    }
    if state.lab.is_busy_disk_file(&target.path)? {
        return Err(Fault::file("FileLocked", parts.uri.path()).into());
    }
    match parts.method {
        Method::PUT => put(&target.path, body),
        Method::DELETE => fs::remove_file(&target.path)
            .map(|()| page(StatusCode::OK, HTML, Vec::new()))
            .map_err(|error| refused(&error)),
        _ => get(&target.path, &parts.headers),
    }
}

/// What a request is about.
struct Target {
    datastore: MoRef,
    path: PathBuf,
}

impl Target {
    /// A host knows no paths of datacenters, and with a ticket it is the host that answers.
    fn of(state: &State, cookie: &str, parts: &Parts, as_host: bool) -> Result<Self, Refusal> {
        let missing = |what: &str| Refusal::new(StatusCode::NOT_FOUND, what);
        let query = parts.uri.query().unwrap_or_default();
        let world = World::new(state, Some(cookie), state.dialect(None)?);
        let site = world.site()?;
        let datacenter = parameter(query, "dcPath");
        let optional = world.dialect.bare_host || as_host;
        match datacenter {
            None if optional => {}
            Some(name) if name.trim_matches('/') == site.datacenter.name => {}
            _ => return Err(missing("dcPath")),
        }
        let name = parameter(query, "dsName").ok_or_else(|| missing("dsName"))?;
        let datastore = site.datastore(&name).ok_or_else(|| missing("dsName"))?;
        // Some clients write the slash between folder and file as %2F.
        let path = decoded(parts.uri.path().trim_start_matches("/folder"));
        let path = path.ok_or_else(|| missing("path"))?;
        let names: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        Ok(Self {
            datastore: MoRef::new("Datastore", datastore.moref.clone()),
            path: state.lab.file_on_datastore(&name, &names)?,
        })
    }
}

/// A path, where a plus is a plus.
fn decoded(path: &str) -> Option<String> {
    let path = path.replace('+', "%2B").replace('&', "%26");
    parameter(&format!("s={path}"), "s")
}

fn refused(error: &std::io::Error) -> Refusal {
    let status = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => StatusCode::NOT_FOUND,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, error.to_string())
}

fn put(path: &Path, body: &Bytes) -> Result<Answer, Refusal> {
    let status = if path.exists() {
        StatusCode::OK
    } else {
        StatusCode::CREATED
    };
    fs::write(path, body).map_err(|error| refused(&error))?;
    Ok(page(status, HTML, Vec::new()))
}

fn get(path: &Path, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let metadata = fs::metadata(path).map_err(|error| refused(&error))?;
    if metadata.is_dir() {
        return listing(path);
    }
    let length = metadata.len();
    let asked = headers.get(RANGE).and_then(|line| line.to_str().ok());
    let range = match asked.map(|line| range_of(line, length)) {
        None => 0..length,
        Some(Some(range)) => range,
        Some(None) => return Err(Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "range")),
    };
    let size = range.end - range.start;
    if size > MAX_FILE_BYTES {
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "too large"));
    }
    let mut content = vec![0; usize::try_from(size).unwrap_or_default()];
    fs::File::open(path)
        .and_then(|file| file.read_exact_at(&mut content, range.start))
        .map_err(|error| refused(&error))?;
    let status = if asked.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let mut answer = page(status, BINARY, content);
    let headers = answer.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    if asked.is_some() {
        let line = format!("bytes {}-{}/{length}", range.start, range.end - 1);
        if let Ok(line) = HeaderValue::try_from(line) {
            headers.insert(CONTENT_RANGE, line);
        }
    }
    Ok(answer)
}

/// The one range of `bytes=a-b` or `bytes=a-`; `None` when it lies outside or has another form.
fn range_of(line: &str, length: u64) -> Option<Range<u64>> {
    let (start, end) = line.trim().strip_prefix("bytes=")?.split_once('-')?;
    let start: u64 = start.parse().ok()?;
    let end = match end {
        "" => length,
        end => end.parse::<u64>().ok()?.checked_add(1)?.min(length),
    };
    (start < end).then_some(start..end)
}

fn listing(path: &Path) -> Result<Answer, Refusal> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| refused(&error))? {
        let entry = entry.map_err(|error| refused(&error))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    let rows: String = names.iter().fold(String::new(), |rows, name| {
        let shown = quick_xml::escape::escape(name);
        rows + "<li>" + &shown + "</li>\n"
    });
    let text = format!("<html><body><h1>Index</h1><ul>\n{rows}</ul></body></html>\n");
    Ok(page(StatusCode::OK, HTML, text.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stay_inside_the_file() {
        assert_eq!(range_of("bytes=0-3", 10), Some(0..4));
        assert_eq!(range_of("bytes=8-99", 10), Some(8..10));
        assert_eq!(range_of("bytes=4-", 10), Some(4..10));
        for bad in [
            "bytes=10-",
            "bytes=5-4",
            "bytes=-5",
            "4-5",
            "bytes=0-18446744073709551615",
        ] {
            assert_eq!(range_of(bad, 10), None, "{bad}");
        }
        assert_eq!(decoded("a%20b+c%2Fd&e=f").as_deref(), Some("a b+c/d&e=f"));
    }
}
