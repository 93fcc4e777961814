//! What a login needs.

mod login;
mod raw;
mod seen;

use std::fmt;

use crate::{Error, Secret, Target};
use login::Login;
pub(crate) use raw::RawParams;
pub use seen::SeenParams;
pub(crate) use seen::get as seen_params;

/// Login data for a server, and what on it is wanted.
pub struct ConnectParams {
    pub(crate) server: String,
    pub(crate) target: Target,
    thumbprint: Option<String>,
    login: Login,
    port: u16,
    nfc_port: u16,
}

impl ConnectParams {
    /// Begins with nothing set.
    pub fn builder() -> ConnectParamsBuilder {
        ConnectParamsBuilder::default()
    }

    /// Name or address of the server.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// What is connected to.
    pub fn target(&self) -> &Target {
        &self.target
    }
}

impl fmt::Debug for ConnectParams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectParams")
            .field("server", &self.server)
            .field("target", &self.target)
            .field("thumbprint", &self.thumbprint)
            .field("login", &self.login)
            .field("port", &self.port)
            .field("nfc_port", &self.nfc_port)
            .finish()
    }
}

/// Collects what a [`ConnectParams`] needs.
#[derive(Debug, Default)]
pub struct ConnectParamsBuilder {
    server: Option<String>,
    target: Option<Target>,
    thumbprint: Option<String>,
    login: Option<Login>,
    port: u16,
    nfc_port: u16,
}

impl ConnectParamsBuilder {
    /// Name or address of the vCenter or ESXi host.
    #[must_use]
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// HTTPS port; 443 unless set.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Port of the data path on the ESXi hosts; 902 unless set.
    #[must_use]
    pub fn nfc_port(mut self, port: u16) -> Self {
        self.nfc_port = port;
        self
    }

    /// SHA-1 of the server's certificate, `AA:BB:…` (VDDK API reference, 6.7).
    #[must_use]
    pub fn thumbprint(mut self, thumbprint: impl Into<String>) -> Self {
        self.thumbprint = Some(thumbprint.into());
        self
    }

    /// Logs in by name and password. Takes the place of [`session`](Self::session).
    #[must_use]
    pub fn user(mut self, name: impl Into<String>, password: Secret) -> Self {
        self.login = Some(Login::Password {
            user: name.into(),
            password,
        });
        self
    }

    /// Uses a session that the program has with the server already: the value of its
    /// `vmware_soap_session` cookie, its user, and the key (VDDK API reference, 6.8). Takes the
    /// place of [`user`](Self::user).
    #[must_use]
    pub fn session(mut self, cookie: Secret, user: impl Into<String>, key: Secret) -> Self {
        self.login = Some(Login::Session {
            cookie,
            user: user.into(),
            key,
        });
        self
    }

    /// What is connected to; [`Target::Server`] unless set.
    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    /// The VM, by the managed object id of that very server, for instance `vm-16`.
    #[must_use]
    pub fn vm_moref(self, moref: impl Into<String>) -> Self {
        self.target(Target::vm(moref))
    }

    /// Checks that nothing is missing: VixDiskLib crashes on what it did not expect to be NULL.
    ///
    /// # Errors
    /// [`Error::Argument`] naming what is missing, what is empty or holds a NUL byte, and a target
    /// or thumbprint that is none.
    #[doc(alias = "VixDiskLib_AllocateConnectParams")]
    #[doc(alias = "VixDiskLib_FreeConnectParams")]
    pub fn build(self) -> Result<ConnectParams, Error> {
        let missing = |what: &str| Error::Argument {
            what: format!("connect parameters without {what}"),
        };
        let server = self
            .server
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing("server"))?;
        if server.contains(char::is_control) {
            return Err(Error::Argument {
                what: format!("the server name {server:?}"),
            });
        }
        let login = self.login.ok_or_else(|| missing("user and password"))?;
        login.check()?;
        let target = self.target.unwrap_or(Target::Server);
        target.check()?;
        if let Some(thumbprint) = self
            .thumbprint
            .as_deref()
            .filter(|text| !is_thumbprint(text))
        {
            return Err(Error::Argument {
                what: format!("{thumbprint:?} as thumbprint (20 hexadecimal pairs with colons)"),
            });
        }
        Ok(ConnectParams {
            server,
            target,
            thumbprint: self.thumbprint,
            login,
            port: self.port,
            nfc_port: self.nfc_port,
        })
    }
}

/// Pairs of hexadecimal digits with colons between them: 20 of a SHA-1, or 32 of a SHA-256, which
/// newer releases may take (VDDK API reference, 6.7).
fn is_thumbprint(text: &str) -> bool {
    let pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split(':').all(pair) && matches!(text.split(':').count(), 20 | 32)
}

#[cfg(test)]
mod tests;
