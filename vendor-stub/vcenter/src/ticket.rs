//! Tickets for one HTTP request each: method and place are part of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::random;
use crate::soap::Fault;
use crate::value::DataObject;

/// How many tickets may be open; one more and all are void.
const MAX_TICKETS: usize = 100;
/// Methods of requests by their names in a specification.
const METHODS: [(&str, &str); 5] = [
    ("httpGet", "GET"),
    ("httpHead", "HEAD"),
    ("httpPut", "PUT"),
    ("httpDelete", "DELETE"),
    ("httpPost", "POST"),
];

/// What a ticket is good for, and who got it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    method: &'static str,
    /// Path and query as they stand in the URL.
    place: String,
    login: String,
}

impl Ticket {
    /// The ticket for a `SessionManagerHttpServiceRequestSpec`.
    pub(crate) fn of(spec: &DataObject, login: String) -> Result<Self, Fault> {
        if spec.type_name != "SessionManagerHttpServiceRequestSpec" {
            return Err(Fault::not_supported("spec"));
        }
        let method = spec.get_text("method").unwrap_or("httpGet");
        let method = METHODS.iter().find(|(name, _)| *name == method);
        let (_, method) = method.ok_or_else(|| Fault::invalid_argument("spec.method"))?;
        let url = spec.get_text("url").unwrap_or_default();
        let rest = url.strip_prefix("https://");
        let place = rest.and_then(|rest| rest.find('/').map(|at| &rest[at..]));
        let place = place.ok_or_else(|| Fault::invalid_argument("spec.url"))?;
        Ok(Self {
            method,
            place: place.to_owned(),
            login,
        })
    }
}

/// The tickets that were not used yet, by their ids.
#[derive(Default)]
pub(crate) struct Tickets {
    open: Mutex<HashMap<String, Ticket>>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl Tickets {
    /// Keeps a ticket and returns its id.
    pub(crate) fn keep(&self, ticket: Ticket) -> Result<String, Fault> {
        let id = random::uuid()?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MAX_TICKETS {
            open.clear();
        }
        open.insert(id.clone(), ticket);
        Ok(id)
    }

    /// Takes a ticket for a request and returns the login of who got it. The ticket is gone then,
    /// whether it was for that request or not.
    pub(crate) fn redeem(&self, id: &str, method: &str, place: &str) -> Option<String> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let ticket = open.remove(id)?;
        (ticket.method == method && ticket.place == place).then_some(ticket.login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(method: &str, url: &str) -> Result<Ticket, Fault> {
        let spec = DataObject::new("SessionManagerHttpServiceRequestSpec")
            .text("method", method)
            .text("url", url);
        Ticket::of(&spec, "root".to_owned())
    }

    #[test]
    fn a_ticket_is_good_once_and_for_its_request_only() {
        let tickets = Tickets::default();
        let made = || ticket("httpGet", "https://esx/folder/a?dsName=b").unwrap();
        for (method, place, expected) in [
            ("GET", "/folder/a?dsName=b", Some("root".to_owned())),
            ("PUT", "/folder/a?dsName=b", None),
            ("GET", "/folder/c?dsName=b", None),
        ] {
            let id = tickets.keep(made()).unwrap();
            assert_eq!(tickets.redeem(&id, method, place), expected);
            assert_eq!(tickets.redeem(&id, method, place), None);
        }
        for (method, url) in [
            ("httpBrew", "https://a/b"),
            ("httpGet", "a/b"),
            ("httpGet", "https://a"),
        ] {
            let fault = ticket(method, url).unwrap_err();
            assert_eq!(fault.type_name(), "InvalidArgument");
        }
    }
}
