//! The files of leases over HTTP: `/nfc/<ticket>/<name>` ("vSphere API reference", 2.13).

use std::fs;
use std::sync::Arc;

use hyper::{Method, StatusCode};
use serde_json::json;

use super::State;
use super::http::{Answer, html, page};

/// The most bytes of one file.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// Serves one request. The ticket in the path is the proof of the caller.
pub(super) async fn serve(state: Arc<State>, method: Method, path: String) -> Answer {
    if method != Method::GET {
        return html(StatusCode::METHOD_NOT_ALLOWED);
    }
    let served = tokio::task::spawn_blocking(move || answer(&state, &path));
    let served = served.await;
    served.unwrap_or_else(|_| html(StatusCode::SERVICE_UNAVAILABLE))
}

fn answer(state: &State, path: &str) -> Answer {
    let rest = path.strip_prefix("/nfc/").unwrap_or_default();
    let (ticket, name) = rest.split_once('/').unwrap_or_default();
    let now_ms = state.clock.now_ms();
    let found = state.sessions.leased(ticket, name, now_ms);
    state.record("nfc", json!({ "name": name }), Ok(()));
    let Some((path, is_disk)) = found else {
        return html(StatusCode::NOT_FOUND);
    };
    let content = if is_disk {
        state
            .lab
            .disk_as_stream(&path, name, MAX_FILE_BYTES)
            .inspect_err(|error| tracing::warn!(%error, "disk not streamed"))
            .ok()
            .flatten()
    } else {
        fs::read(&path).ok()
    };
    match content {
        Some(content) => page(StatusCode::OK, "application/octet-stream", content),
        None => html(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
