//! Who logs in.

use std::fmt;

use crate::{Error, Secret};

/// How the library logs in (VDDK API reference, 6.8).
pub(crate) enum Login {
    /// By name and password.
    Password { user: String, password: Secret },
    /// With a session that the program has already.
    Session {
        cookie: Secret,
        user: String,
        key: Secret,
    },
}

impl Login {
    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Password { user, .. } | Self::Session { user, .. } => user,
        }
    }

    /// Refuses what is empty or would end too early in C. No secret comes into the error.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let texts = match self {
            Self::Password { user, password } => {
                vec![
                    ("user name", user.as_str()),
                    ("password", password.expose()),
                ]
            }
            Self::Session { cookie, user, key } => vec![
                ("session cookie", cookie.expose()),
                ("user name", user),
                ("session key", key.expose()),
            ],
        };
        for (what, text) in texts {
            let wrong = match () {
                () if text.is_empty() => format!("connect parameters without {what}"),
                () if text.contains('\0') => format!("a {what} with a NUL byte"),
                () => continue,
            };
            return Err(Error::Argument { what: wrong });
        }
        Ok(())
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Password { .. } => "Password",
            Self::Session { .. } => "Session",
        };
        f.debug_struct(name)
            .field("user", &self.user())
            .finish_non_exhaustive()
    }
}
