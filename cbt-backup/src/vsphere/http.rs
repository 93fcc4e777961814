//! HTTP below SOAP: one server, one cookie, bounded answers.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use reqwest::tls::TlsInfo;
use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use rustls::ClientConfig;
use zeroize::Zeroizing;

mod transfer;

pub(super) use transfer::{Span, Upload};

use super::address::ServerAddress;
use super::error::Error;
use super::proxy::Proxy;
use super::thumbprint::Thumbprints;
use super::tls::tls_error;

/// The name of the session cookie.
pub(super) const SESSION_COOKIE: &str = "vmware_soap_session=";

/// What the HTTP client is made from.
pub(super) struct HttpOptions<'a> {
    pub(super) server: &'a ServerAddress,
    pub(super) tls: ClientConfig,
    pub(super) user_agent: &'a str,
    pub(super) connect_timeout: Duration,
    pub(super) total_timeout: Duration,
    pub(super) max_body_bytes: usize,
    pub(super) proxy: &'a Proxy,
}

/// The way to one server.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    sdk_url: String,
    total_timeout: Duration,
    max_body_bytes: usize,
}

/// One answer, complete.
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// The session cookie if the answer sets one, as it is to be sent back: quotes belong to
    /// the value.
    pub(super) cookie: Option<HeaderValue>,
    pub(super) thumbprints: Option<Thumbprints>,
}

impl Http {
    /// Makes the client; nothing is sent yet.
    pub(super) fn new(options: HttpOptions<'_>) -> Result<Self, Error> {
        let builder = Client::builder()
            .https_only(true)
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .gzip(true)
            .tls_info(true)
            .tcp_nodelay(true)
            .user_agent(options.user_agent)
            .connect_timeout(options.connect_timeout)
            .timeout(options.total_timeout)
            .tls_backend_preconfigured(options.tls);
        let builder = match (options.proxy, options.proxy.to_reqwest()?) {
            (Proxy::Environment, _) => builder,
            (_, Some(proxy)) => builder.no_proxy().proxy(proxy),
            (_, None) => builder.no_proxy(),
        };
        Ok(Self {
            client: builder.build().map_err(|source| Error::Setup { source })?,
            sdk_url: format!("https://{}/sdk", options.server.url_authority()),
            total_timeout: options.total_timeout,
            max_body_bytes: options.max_body_bytes,
        })
    }

    /// The time limit of one exchange.
    pub(super) fn total_timeout(&self) -> Duration {
        self.total_timeout
    }

    /// Gets a document beside the API.
    pub(super) async fn get(&self, document: &'static str) -> Result<Answer, Error> {
        let request = self.client.get(format!("{}/{document}", self.sdk_url));
        self.run(document, request).await
    }

    /// Posts one envelope.
    pub(super) async fn post(
        &self,
        method: &'static str,
        envelope: Zeroizing<Vec<u8>>,
        soap_action: &str,
        cookie: Option<HeaderValue>,
    ) -> Result<Answer, Error> {
        let mut request = self
            .client
            .post(&self.sdk_url)
            .header(CONTENT_TYPE, "text/xml; charset=utf-8")
            .header("SOAPAction", soap_action)
            .body(Bytes::from_owner(envelope));
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        self.run(method, request).await
    }

    async fn run(&self, method: &'static str, request: RequestBuilder) -> Result<Answer, Error> {
        let request = request.header(ACCEPT, "text/xml");
        let response = request.send().await.map_err(|e| self.failed(method, e))?;
        let status = response.status().as_u16();
        let content_type = response.headers().get(CONTENT_TYPE).cloned();
        let cookie = session_cookie(response.headers());
        let tls = response.extensions().get::<TlsInfo>();
        let thumbprints = tls.and_then(TlsInfo::peer_certificate).map(Thumbprints::of);
        if status != 200 && status != 500 {
            return Err(Error::HttpStatus { method, status });
        }
        let body = self.body(method, response).await?;
        let content_type = content_type.as_ref().and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|name| !names_xml(name)) {
            return Err(match status {
                200 => Error::not_xml(method, content_type, &body),
                status => Error::HttpStatus { method, status },
            });
        }
        Ok(Answer {
            body,
            cookie,
            thumbprints,
        })
    }

    /// The body, unpacked, up to the bound.
    async fn body(&self, method: &'static str, response: Response) -> Result<Vec<u8>, Error> {
        self.bounded_body(method, response, self.max_body_bytes)
            .await
    }

    async fn bounded_body(
        &self,
        method: &'static str,
        mut response: Response,
        limit_bytes: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failed(method, e))? {
            if chunk.len() > limit_bytes - body.len() {
                return Err(Error::TooLarge {
                    method,
                    limit_bytes,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn failed(&self, method: &'static str, error: reqwest::Error) -> Error {
        if let Some(tls) = tls_error(&error) {
            return tls;
        }
        if error.is_timeout() && !error.is_connect() {
            let limit_ms = u64::try_from(self.total_timeout.as_millis()).unwrap_or(u64::MAX);
            return Error::TimedOut { method, limit_ms };
        }
        Error::Transport {
            method,
            source: error,
        }
    }
}

/// True for `text/xml` and its kin.
fn names_xml(content_type: &str) -> bool {
    let media = content_type.split(';').next().unwrap_or_default();
    let media = media.trim().to_ascii_lowercase();
    media.ends_with("/xml") || media.ends_with("+xml")
}

/// The latest session cookie, name and value exactly as received, without its attributes.
fn session_cookie(headers: &HeaderMap) -> Option<HeaderValue> {
    let cookies = headers.get_all(SET_COOKIE).iter();
    let mut values = cookies.filter_map(|value| {
        let pair = value.as_bytes().split(|byte| *byte == b';').next()?;
        let pair = pair.trim_ascii();
        let is_ours = pair.starts_with(SESSION_COOKIE.as_bytes());
        (is_ours && pair.len() > SESSION_COOKIE.len()).then_some(pair)
    });
    let mut cookie = HeaderValue::from_bytes(values.next_back()?).ok()?;
    cookie.set_sensitive(true);
    Some(cookie)
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue, SET_COOKIE};

    use super::{names_xml, session_cookie};

    #[test]
    fn the_cookie_keeps_its_quotes_and_loses_its_attributes() {
        let mut headers = HeaderMap::new();
        assert!(session_cookie(&headers).is_none());
        for value in [
            "other=1; Path=/",
            "vmware_soap_session=\"old\"; Path=/",
            "vmware_soap_session=\"7bea\"; Path=/; HttpOnly; Secure;",
            "vmware_soap_session=; Path=/",
        ] {
            headers.append(SET_COOKIE, HeaderValue::from_static(value));
        }
        let cookie = session_cookie(&headers).unwrap();
        assert_eq!(cookie.as_bytes(), b"vmware_soap_session=\"7bea\"");
        assert!(!format!("{cookie:?}").contains("7bea"));
    }

    #[test]
    fn kinds_of_xml() {
        for yes in [
            "text/xml; charset=utf-8",
            "application/xml",
            "TEXT/XML",
            "application/soap+xml;x=1",
        ] {
            assert!(names_xml(yes), "{yes}");
        }
        for no in ["text/html", "", "application/json", "text/xmlish"] {
            assert!(!names_xml(no), "{no}");
        }
    }
}
