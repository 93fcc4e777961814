//! Where the server is.

use std::fmt;
use std::str::FromStr;

use super::error::Error;

/// The port of the API when none is given.
const DEFAULT_PORT: u16 = 443;

/// Host and port of a vCenter or a stand-alone host.
///
/// Parsed from `vc.example`, `vc.example:8443`, `https://vc.example/sdk`, `[::1]:443`, `::1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    host: String,
    port: u16,
}

impl ServerAddress {
    /// Host name or IP address, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port of the API.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as they stand in an https URL: the usual port goes without saying.
    pub(super) fn url_authority(&self) -> String {
        let authority = self.authority();
        match authority.strip_suffix(":443") {
            Some(host) if self.port == DEFAULT_PORT => host.to_owned(),
            _ => authority,
        }
    }

    /// Host and port, always both.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.port, self.host.contains(':')) {
            (DEFAULT_PORT, _) => f.write_str(&self.host),
            (port, true) => write!(f, "[{}]:{port}", self.host),
            (port, false) => write!(f, "{}:{port}", self.host),
        }
    }
}

impl FromStr for ServerAddress {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let bad = |why: &'static str| Error::BadAddress {
            given: given.to_owned(),
            why,
        };
        let rest = match given.trim().split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return Err(bad("only https is spoken")),
            None => given.trim(),
        };
        let authority = match rest.split_once('/') {
            Some((authority, "" | "sdk" | "sdk/")) => authority,
            Some(_) => return Err(bad("the only path is /sdk")),
            None => rest,
        };
        let (host, port) = split_port(authority).ok_or_else(|| bad("brackets do not match"))?;
        let port = match port {
            None => DEFAULT_PORT,
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(bad("the port is not a number from 1 to 65535")),
                Ok(port) => port,
            },
        };
        check_host(host).map_err(bad)?;
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

/// Splits host and port; a bare IPv6 address has colons but no port.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        return match tail {
            "" => Some((host, None)),
            tail => Some((host, Some(tail.strip_prefix(':')?))),
        };
    }
    match authority.split_once(':') {
        Some((_, port)) if port.contains(':') => Some((authority, None)),
        Some((host, port)) => Some((host, Some(port))),
        None => Some((authority, None)),
    }
}

fn check_host(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Err("the host is missing");
    }
    if host.contains(':') {
        return match host.parse::<std::net::Ipv6Addr>() {
            Ok(_) => Ok(()),
            Err(_) => Err("not an IPv6 address"),
        };
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if host.len() > 253 || !host.chars().all(plain) {
        return Err("the host has characters that no host name has");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ServerAddress;

    fn parts(given: &str) -> (String, u16) {
        let address: ServerAddress = given.parse().unwrap();
        (address.host().to_owned(), address.port())
    }

    #[test]
    fn the_usual_forms_are_read() {
        for (given, host, port) in [
            ("vc.example", "vc.example", 443),
            (" vc.example:8443 ", "vc.example", 8443),
            ("https://vc:8443/sdk", "vc", 8443),
            ("HTTPS://vc/", "vc", 443),
            ("[::1]:444", "::1", 444),
            ("::1", "::1", 443),
            ("192.0.2.7:443", "192.0.2.7", 443),
        ] {
            assert_eq!(parts(given), (host.to_owned(), port), "{given}");
        }
    }

    #[test]
    fn other_text_is_refused_with_a_reason() {
        for given in [
            "",
            "http://vc",
            "vc:0",
            "vc:70000",
            "vc:x",
            "[::1",
            "[::1]8",
            "https://vc/ui",
            "a b",
            "user@vc",
            "::zz",
            "vc:",
        ] {
            assert!(given.parse::<ServerAddress>().is_err(), "{given}");
        }
    }

    #[test]
    fn shown_without_the_usual_port_and_in_brackets_in_a_url() {
        let v6: ServerAddress = "[2001:db8::1]:8443".parse().unwrap();
        assert_eq!(v6.to_string(), "[2001:db8::1]:8443");
        let short: ServerAddress = "::1".parse().unwrap();
        assert_eq!(short.to_string(), "::1");
        assert_eq!(short.authority(), "[::1]:443");
        assert_eq!(short.url_authority(), "[::1]");
        assert_eq!(v6.url_authority(), "[2001:db8::1]:8443");
        let usual = "vc".parse::<ServerAddress>().unwrap();
        assert_eq!(usual.authority(), "vc:443");
        assert_eq!(usual.url_authority(), "vc");
    }
}
