//! How one request is read and answered: for which version of the API, as which product,
//! and in which of the forms that servers use.

use std::borrow::Cow;

use super::ids::{in_lab, on_host};
use crate::Form;
use crate::schema::{Member, Version};

/// The manner of one exchange.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dialect {
    /// What is newer than this is neither told nor understood.
    pub(crate) version: Version,
    /// Whether ids are those of an ESXi host.
    pub(crate) bare_host: bool,
    /// The form of answers.
    pub(crate) form: Form,
}

impl Dialect {
    /// The id inside of what a client calls by that id.
    pub(crate) fn inside<'a>(&self, id: &'a str) -> Cow<'a, str> {
        if self.bare_host {
            in_lab(id)
        } else {
            Cow::Borrowed(id)
        }
    }

    /// The id by which a client knows what has that id inside.
    pub(crate) fn outside<'a>(&self, id: &'a str) -> Cow<'a, str> {
        if self.bare_host {
            on_host(id)
        } else {
            Cow::Borrowed(id)
        }
    }

    /// Whether a member is there in this version.
    pub(crate) fn has(&self, member: &Member) -> bool {
        member.since <= self.version
    }
}
