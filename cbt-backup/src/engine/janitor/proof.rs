//! Whose a snapshot with our name is.

use crate::{
    engine::description::Description,
    repo::{ObjectId, SessionId},
};

use super::watch::Watch;

/// Whose a snapshot with our name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A run of ours that is dead.
    Dead(SessionId),
    /// Perhaps a run of ours that lives.
    Alive(SessionId),
    /// A run into another repository.
    Elsewhere(ObjectId),
    /// Nobody can say, for this reason.
    Unproven(&'static str),
    /// The repository could not be asked.
    Unseen,
}

/// True when the answer depends on what the repository's announcements do.
pub(super) fn is_for_watching(description: &str, ours: ObjectId) -> bool {
    let parsed = description.parse::<Description>();
    parsed.is_ok_and(|parsed| parsed.repository.is_none_or(|id| id == ours))
}

/// Whose it is, by its description and what was seen in the repository of this identity.
pub(super) fn owner(description: &str, ours: ObjectId, watch: &Watch) -> Owner {
    let Ok(parsed) = description.parse::<Description>() else {
        return Owner::Unproven("its description names no run");
    };
    let session = parsed.session;
    match parsed.repository {
        Some(other) if other != ours => Owner::Elsewhere(other),
        _ if watch.is_alive => Owner::Alive(session),
        Some(_) => Owner::Dead(session),
        None if watch.has(session) => Owner::Dead(session),
        None => Owner::Unproven(
            "its description names no repository, and this one does not know its run",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{Owner, is_for_watching, owner};
    use crate::{
        engine::{description::Description, janitor::watch::Watch},
        repo::{ObjectId, SessionId},
    };

    #[test]
    fn only_this_repository_proves_and_only_of_the_dead() {
        let (ours, other) = (ObjectId::generate(), ObjectId::generate());
        let session = SessionId::generate();
        let text = |repository| {
            let description = Description {
                session,
                repository,
            };
            description.to_string()
        };
        let still = Watch::default();
        let moving = Watch {
            is_alive: true,
            ..Watch::default()
        };
        let known = Watch {
            sessions: vec![session],
            ..Watch::default()
        };
        let (ours_text, old_text, other_text) = (text(Some(ours)), text(None), text(Some(other)));
        assert_eq!(owner(&ours_text, ours, &still), Owner::Dead(session));
        assert_eq!(owner(&ours_text, ours, &moving), Owner::Alive(session));
        assert_eq!(owner(&old_text, ours, &known), Owner::Dead(session));
        assert_eq!(owner(&old_text, ours, &moving), Owner::Alive(session));
        assert!(matches!(owner(&old_text, ours, &still), Owner::Unproven(_)));
        assert_eq!(owner(&other_text, ours, &still), Owner::Elsewhere(other));
        assert_eq!(owner(&other_text, ours, &moving), Owner::Elsewhere(other));
        assert!(matches!(owner("mine", ours, &known), Owner::Unproven(_)));
        assert!(is_for_watching(&ours_text, ours) && is_for_watching(&old_text, ours));
        assert!(!is_for_watching(&other_text, ours) && !is_for_watching("mine", ours));
    }
}
