//! What a snapshot of ours says of itself: by this any proxy can tell whose it is.

use std::{fmt, str::FromStr};

use crate::repo::{ObjectId, SessionId};

/// How every description begins.
const PROGRAM: &str = "cbt-backup ";
/// What stands between session and repository.
const OF: &str = " of repository ";

/// The description of the snapshot of a run.
///
/// ```text
/// cbt-backup 01M7Z96G0000000000000000AB of repository 01M7Z96G0000000000000000CD
/// ```
///
/// An earlier form named no repository; it is still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// The first session of the run.
    pub session: SessionId,
    /// The repository that the run wrote to.
    pub repository: Option<ObjectId>,
}

impl Description {
    /// The identity that the same run gives to `PrepareForAccess`.
    pub fn identity(&self) -> String {
        identity(self.session)
    }
}

/// Under which name a run keeps its VM in place. It has 37 of the 50 characters that are allowed.
pub fn identity(session: SessionId) -> String {
    format!("{PROGRAM}{session}")
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PROGRAM}{}", self.session)?;
        match self.repository {
            Some(repository) => write!(f, "{OF}{repository}"),
            None => Ok(()),
        }
    }
}

/// A text is not the description of a run's snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the description of a run's snapshot")]
pub struct NotADescription;

impl FromStr for Description {
    type Err = NotADescription;

    /// Takes the exact form only: nobody writes it by chance.
    fn from_str(text: &str) -> Result<Self, NotADescription> {
        let rest = text.strip_prefix(PROGRAM).ok_or(NotADescription)?;
        let (session, repository) = match rest.split_once(OF) {
            Some((session, id)) => (session, Some(id.parse().map_err(|_| NotADescription)?)),
            None => (rest, None),
        };
        Ok(Self {
            session: session.parse().map_err(|_| NotADescription)?,
            repository,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Description, identity};
    use crate::repo::{ObjectId, SessionId};

    #[test]
    fn both_forms_come_back_and_nothing_else_is_taken() {
        let new = Description {
            session: SessionId::generate(),
            repository: Some(ObjectId::generate()),
        };
        let old = Description {
            repository: None,
            ..new
        };
        assert_eq!(new.to_string().parse(), Ok(new));
        assert_eq!(identity(new.session).parse(), Ok(old));
        assert_eq!(
            (old.to_string(), new.identity()),
            (old.identity(), old.identity())
        );
        assert!(new.identity().len() <= 50);
        for other in [
            String::new(),
            "cbt-backup".to_owned(),
            "cbt-backup of mine".to_owned(),
            format!("{new} "),
            format!(" {new}"),
            format!("{old} of repository mine"),
            "cbt-backup stun cycle 01M7Z96G0000000000000000AB".to_owned(),
            new.to_string().to_lowercase(),
        ] {
            assert!(other.parse::<Description>().is_err(), "{other:?}");
        }
    }
}
