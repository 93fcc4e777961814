//! Pages of results. The server pages even when it was not asked to; a token is good for
//! one use in its session and at its collector ("vSphere Web Services API" 2.3).

use std::collections::HashMap;

use super::retrieve::Contents;
use crate::soap::{Answer, Fault};
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

/// How many tokens a session may leave unused; one more and all are forgotten.
const MAX_OPEN_TOKENS: usize = 100;

/// What a session has still to fetch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    by_token: HashMap<String, Rest>,
    next_token: u64,
}

#[derive(Clone, Debug)]
struct Rest {
    /// Id of the collector that was asked.
    collector: String,
    /// The page size asked.
    size: usize,
    contents: Contents,
}

impl Pages {
    /// Keeps a rest and returns its token.
    fn keep(&mut self, rest: Rest) -> String {
        if self.by_token.len() >= MAX_OPEN_TOKENS {
            self.by_token.clear();
        }
        let token = self.next_token.to_string();
        self.next_token += 1;
        self.by_token.insert(token.clone(), rest);
        token
    }

    /// Takes out what a collector has left under a token.
    fn take(&mut self, collector: &str, token: &str) -> Option<Rest> {
        let rest = self.by_token.get(token)?;
        (rest.collector == collector).then_some(())?;
        self.by_token.remove(token)
    }
}

/// The answer of `RetrievePropertiesEx`: nothing, or the first page.
pub(crate) fn first_page(
    world: &World<'_>,
    collector: &MoRef,
    contents: Contents,
    max_objects: Option<i32>,
) -> Result<Answer, Fault> {
    let size = match max_objects {
        None => usize::MAX,
        Some(asked) => usize::try_from(asked)
            .ok()
            .filter(|asked| *asked > 0)
            .ok_or_else(|| Fault::invalid_argument("options.maxObjects"))?,
    };
    if contents.is_empty() {
        return Ok(Answer::Nothing);
    }
    let collector = collector.id.clone();
    page(
        world,
        Rest {
            collector,
            size,
            contents,
        },
    )
}

/// The answer of `ContinueRetrievePropertiesEx`.
pub(crate) fn next_page(
    world: &World<'_>,
    collector: &MoRef,
    token: &str,
) -> Result<Answer, Fault> {
    let rest = take(world, collector, token)?;
    page(world, rest)
}

/// Forgets the rest behind a token.
pub(crate) fn cancel(world: &World<'_>, collector: &MoRef, token: &str) -> Result<Answer, Fault> {
    take(world, collector, token)?;
    Ok(Answer::Nothing)
}

fn take(world: &World<'_>, collector: &MoRef, token: &str) -> Result<Rest, Fault> {
    world
        .state
        .sessions
        .with(world.cookie, |session| {
            session.pages.take(&collector.id, token)
        })
        .flatten()
        .ok_or_else(|| Fault::invalid_argument("token"))
}

fn page(world: &World<'_>, mut rest: Rest) -> Result<Answer, Fault> {
    // Without a session there is nowhere to keep the rest: everything at once.
    let size = match world.cookie {
        Some(_) => rest.size.min(world.state.options.page_limit.max(1)),
        None => usize::MAX,
    };
    let objects = rest.contents.take(world, size)?;
    let mut token = None;
    if !rest.contents.is_empty() {
        let keep = |session: &mut crate::session::Session| session.pages.keep(rest);
        token = world.state.sessions.with(world.cookie, keep);
    }
    Ok(Answer::One(Value::Object(
        DataObject::new("RetrieveResult")
            .with_some("token", token.map(Value::string))
            .with("objects", Value::objects("ObjectContent", objects)),
    )))
}
