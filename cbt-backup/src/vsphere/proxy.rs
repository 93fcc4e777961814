//! The way through an HTTP proxy, where there is no direct one.

use std::fmt;
use std::str::FromStr;

use super::address::ServerAddress;
use super::error::Error;
use crate::secret::Secret;

/// How the server is reached. TLS goes through a proxy untouched (`CONNECT`), so trust in the
/// server is the same. VDDK knows nothing of it: it needs a way of its own to its ports.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Proxy {
    /// Directly, whatever the environment says.
    #[default]
    None,
    /// As `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` in the environment say.
    Environment,
    /// Through this one.
    Http {
        /// Where it is.
        address: ProxyAddress,
        /// User and password, if it wants them. They cross the network in the clear.
        login: Option<(String, Secret)>,
    },
}

/// Host and port of a proxy. Parsed from `proxy.example:3128` or `http://proxy.example:3128`;
/// credentials in it are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAddress(ServerAddress);

impl FromStr for ProxyAddress {
    type Err = Error;

    fn from_str(given: &str) -> Result<Self, Error> {
        let bad = |why: &'static str| Error::BadProxyAddress {
            // What stands before an @ may be a password.
            given: given.rsplit('@').next().unwrap_or_default().to_owned(),
            why,
        };
        if given.contains('@') {
            return Err(bad("it must not hold user or password"));
        }
        let rest = match given.trim().split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some(_) => return Err(bad("only http is spoken to a proxy")),
            None => given.trim(),
        };
        let rest = rest.trim_end_matches('/');
        let address: ServerAddress = rest.parse().map_err(|error| match error {
            Error::BadAddress { why, .. } => bad(why),
            _ => bad("it is no address"),
        })?;
        if !rest.ends_with(&format!(":{}", address.port())) {
            return Err(bad("the port is missing"));
        }
        Ok(Self(address))
    }
}

impl fmt::Display for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0.authority())
    }
}

impl Proxy {
    /// The HTTP client's word for it; nothing for a direct way.
    pub(super) fn to_reqwest(&self) -> Result<Option<reqwest::Proxy>, Error> {
        let Self::Http { address, login } = self else {
            return Ok(None);
        };
        let proxy = reqwest::Proxy::all(address.to_string());
        let proxy = proxy.map_err(|source| Error::Setup { source })?;
        Ok(Some(match login {
            Some((user, password)) => proxy.basic_auth(user, password.expose()),
            None => proxy,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::ProxyAddress;

    #[test]
    fn addresses_are_read_and_shown() {
        for (given, shown) in [
            ("proxy:3128", "http://proxy:3128"),
            ("http://proxy.example:8080/", "http://proxy.example:8080"),
            ("HTTP://[::1]:443", "http://[::1]:443"),
        ] {
            let address: ProxyAddress = given.parse().unwrap();
            assert_eq!(address.to_string(), shown);
        }
    }

    #[test]
    fn what_is_none_is_refused_and_a_password_not_repeated() {
        for given in [
            "proxy",
            "https://proxy:1",
            "",
            "socks5://p:1",
            "http://proxy:0",
            "::1",
        ] {
            let error = given.parse::<ProxyAddress>().unwrap_err();
            assert!(error.to_string().contains("proxy"), "{error}");
        }
        let error = "http://me:hunter2@proxy:1".parse::<ProxyAddress>();
        let text = error.unwrap_err().to_string();
        assert!(
            !text.contains("hunter2") && text.contains("proxy:1"),
            "{text}"
        );
    }
}
