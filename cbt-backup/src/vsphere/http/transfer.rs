//! Files beside the API: bounded downloads, uploads of a known length.

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, COOKIE, HeaderValue, RANGE};
use zeroize::Zeroizing;

use super::{Http, session_cookie};
use crate::vsphere::error::Error;

/// A part of a file, from the first byte on, as many as named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::vsphere) struct Span {
    pub(in crate::vsphere) start_bytes: u64,
    pub(in crate::vsphere) length_bytes: u64,
}

/// What a download gave.
pub(in crate::vsphere) struct Download {
    pub(in crate::vsphere) status: u16,
    /// Empty for any status but 200 and 206.
    pub(in crate::vsphere) body: Vec<u8>,
    pub(in crate::vsphere) cookie: Option<HeaderValue>,
}

/// What an upload gave.
pub(in crate::vsphere) struct Upload {
    pub(in crate::vsphere) status: u16,
    pub(in crate::vsphere) cookie: Option<HeaderValue>,
}

impl Http {
    /// Gets `path`, which starts with a slash and is encoded, up to `limit_bytes`.
    pub(in crate::vsphere) async fn download(
        &self,
        path: &str,
        cookie: Option<HeaderValue>,
        span: Option<Span>,
        limit_bytes: usize,
    ) -> Result<Download, Error> {
        const METHOD: &str = "GET of a file";
        let mut request = self.client.get(self.beside(path));
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        if let Some(span) = span {
            let last = span.start_bytes.saturating_add(span.length_bytes) - 1;
            request = request.header(RANGE, format!("bytes={}-{last}", span.start_bytes));
        }
        let response = request.send().await.map_err(|e| self.failed(METHOD, e))?;
        let status = response.status().as_u16();
        let cookie = new_cookie(&response);
        if status != 200 && status != 206 {
            let body = Vec::new();
            return Ok(Download {
                status,
                body,
                cookie,
            });
        }
        if let Some(span) = span {
            let range = response.headers().get(CONTENT_RANGE);
            let is_asked = range
                .and_then(|value| value.to_str().ok())
                .is_some_and(|text| text.starts_with(&format!("bytes {}-", span.start_bytes)));
            if status != 206 || !is_asked {
                return Err(Error::BadAnswer {
                    method: METHOD,
                    what: "another part of the file than the one asked for".to_owned(),
                });
            }
        }
        let promised = response.content_length();
        if promised.is_some_and(|length| length > limit_bytes as u64) {
            return Err(Error::TooLarge {
                method: METHOD,
                limit_bytes,
            });
        }
        let body = self.bounded_body(METHOD, response, limit_bytes).await?;
        Ok(Download {
            status,
            body,
            cookie,
        })
    }

    /// Puts `content` at `path`. The content is wiped afterwards.
    pub(in crate::vsphere) async fn upload(
        &self,
        path: &str,
        cookie: Option<HeaderValue>,
        content: Zeroizing<Vec<u8>>,
    ) -> Result<Upload, Error> {
        // A body of known length: the client sends Content-Length, and no chunks.
        let mut request = self
            .client
            .put(self.beside(path))
            .header(CONTENT_TYPE, "application/octet-stream")
            .body(Bytes::from_owner(content));
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let response = request.send().await;
        let response = response.map_err(|e| self.failed("PUT of a file", e))?;
        Ok(Upload {
            status: response.status().as_u16(),
            cookie: new_cookie(&response),
        })
    }

    /// The same server, another path than the API's.
    fn beside(&self, path: &str) -> String {
        let base = self.sdk_url.strip_suffix("/sdk").unwrap_or(&self.sdk_url);
        format!("{base}{path}")
    }
}

/// The session cookie that a file's answer sets anew. One that comes with "who are you" belongs to
/// no login.
fn new_cookie(response: &Response) -> Option<HeaderValue> {
    if response.status().as_u16() == 401 {
        return None;
    }
    session_cookie(response.headers())
}
