//! Live sessions of the vCenter, for the library, which accepts their cookies.
//!
//! Each is a file of `LAB/sessions`, named by a digest of the cookie: the cookie itself is nowhere.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use crate::random::hex;
use crate::state::{read_if_there, remove_if_there, replace};
use crate::{Error, Lab};

/// What is told of a session.
#[derive(Serialize, Deserialize)]
struct Told {
    /// The user, as in the login.
    user: String,
    /// When it will have idled out, in milliseconds since 1970; `None` = never.
    idle_at_ms: Option<u64>,
}

impl Lab {
    /// Tells that a session lives, or that it was used. It counts as ended `idle_ms` from now,
    /// unless it is told again; `None` = never.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn publish_session(
        &self,
        cookie: &str,
        user: &str,
        idle_ms: Option<u64>,
    ) -> Result<(), Error> {
        self.make_folder("sessions".as_ref())?;
        let path = self.session_file(cookie);
        let told = Told {
            user: user.into(),
            idle_at_ms: idle_ms.map(|idle_ms| now_ms().saturating_add(idle_ms)),
        };
        let text = serde_json::to_vec(&told).map_err(|source| Error::Json {
            path: path.clone(),
            source,
        })?;
        replace(&path, &text)
    }

    /// Tells that a session ended. No error if nobody knows it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn end_session(&self, cookie: &str) -> Result<(), Error> {
        remove_if_there(&self.session_file(cookie))
    }

    /// Tells that all sessions ended, as when the vCenter starts anew.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn end_all_sessions(&self) -> Result<(), Error> {
        let folder = self.root().join("sessions");
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io("remove", folder)(error))
            }
            _ => Ok(()),
        }
    }

    /// Checks that a session lives and is that user's, named as `user@domain` or `DOMAIN\user`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLogin`] when it is unknown, idled out, or another's; [`Error::Io`],
    /// [`Error::Json`].
    pub fn check_session(&self, cookie: &str, user: &str) -> Result<(), Error> {
        let path = self.session_file(cookie);
        let text = read_if_there(&path)?.ok_or(Error::InvalidLogin)?;
        let told: Told =
            serde_json::from_slice(&text).map_err(|source| Error::Json { path, source })?;
        let lives = told
            .idle_at_ms
            .is_none_or(|idle_at_ms| now_ms() < idle_at_ms);
        if lives && canonical(&told.user) == canonical(user) {
            Ok(())
        } else {
            Err(Error::InvalidLogin)
        }
    }

    fn session_file(&self, cookie: &str) -> PathBuf {
        let name = hex(digest(&SHA256, cookie.as_bytes()).as_ref());
        self.root().join("sessions").join(name + ".json")
    }
}

/// One spelling of a user: `user@domain` in lower case.
fn canonical(user: &str) -> String {
    let user = user.to_lowercase();
    match user.split_once('\\') {
        Some((domain, user)) => format!("{user}@{domain}"),
        None => user,
    }
}

fn now_ms() -> u64 {
    u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use crate::{Error, Lab, SiteSpec};

    const COOKIE: &str = "7bea5bd3";

    fn is_refused(lab: &Lab, cookie: &str, user: &str) -> bool {
        matches!(lab.check_session(cookie, user), Err(Error::InvalidLogin))
    }

    #[test]
    fn a_session_lives_until_it_ends_or_idles_out() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        assert!(is_refused(&lab, COOKIE, "a@b.c"));
        lab.end_session(COOKIE).unwrap();
        lab.publish_session(COOKIE, "a@b.c", Some(0)).unwrap();
        assert!(is_refused(&lab, COOKIE, "a@b.c"), "idled out");
        lab.publish_session(COOKIE, "a@b.c", None).unwrap();
        for user in ["a@b.c", "B.C\\a"] {
            lab.check_session(COOKIE, user).unwrap();
        }
        for (cookie, user) in [(COOKIE, "x@b.c"), ("7bea", "a@b.c"), ("../site", "a@b.c")] {
            assert!(is_refused(&lab, cookie, user), "{cookie} {user}");
        }
        lab.end_session(COOKIE).unwrap();
        assert!(is_refused(&lab, COOKIE, "a@b.c"));
        lab.publish_session(COOKIE, "a@b.c", Some(60_000)).unwrap();
        lab.check_session(COOKIE, "a@b.c").unwrap();
        lab.end_all_sessions().unwrap();
        lab.end_all_sessions().unwrap();
        assert!(is_refused(&lab, COOKIE, "a@b.c"));
    }

    #[test]
    fn the_cookie_is_nowhere_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::create(folder.path(), SiteSpec::default()).unwrap();
        lab.publish_session(COOKIE, "a@b.c", None).unwrap();
        let mut files = 0;
        for entry in std::fs::read_dir(folder.path().join("sessions")).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            assert!(!text.contains(COOKIE) && !path.to_str().unwrap().contains(COOKIE));
            files += 1;
        }
        assert_eq!(files, 1);
    }
}
