//! The cookies: `vmware_soap_session`, its value in double quotes ("vSphere Web
//! Services API" 1.3).

use hyper::HeaderMap;
use hyper::header::COOKIE;

const NAME: &str = "vmware_soap_session";

/// The cookie of a ticket for one request ("vSphere API reference", 2.11).
const TICKET: &str = "vmware_cgi_ticket";

/// The value without quotes, if the request carries the cookie.
pub(super) fn from_headers(headers: &HeaderMap) -> Option<String> {
    named(headers, NAME)
}

/// The id of the ticket that the request carries, if it does.
pub(super) fn ticket_from_headers(headers: &HeaderMap) -> Option<String> {
    named(headers, TICKET)
}

fn named(headers: &HeaderMap, wanted: &str) -> Option<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == wanted)
        .map(|(_, value)| value.trim_matches('"').to_owned())
}

/// The line of `Set-Cookie`.
pub(super) fn set_cookie(value: &str) -> String {
    format!("{NAME}=\"{value}\"; Path=/; HttpOnly; Secure;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_found_among_others_and_in_an_echoed_line() {
        let mut headers = HeaderMap::new();
        assert_eq!(from_headers(&headers), None);
        let line = format!("a=b; {}", set_cookie("7bea"));
        headers.append(COOKIE, line.parse().unwrap());
        assert_eq!(from_headers(&headers).as_deref(), Some("7bea"));
    }
}
