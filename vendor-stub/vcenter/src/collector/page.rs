//! Pages of results. The server pages even when it was not asked to; a token is good for
//! one use in its session ("vSphere Web Services API" 2.3).

use crate::soap::{Answer, Fault};
use crate::value::{DataObject, Value};
use crate::world::World;

/// How many tokens a session may leave unused; one more and all are forgotten.
const MAX_OPEN_TOKENS: usize = 100;

/// The answer of `RetrievePropertiesEx`: nothing, or the first page.
pub(crate) fn first_page(
    world: &World<'_>,
    contents: Vec<DataObject>,
    max_objects: Option<i32>,
) -> Result<Answer, Fault> {
    let asked = match max_objects {
        None => usize::MAX,
        Some(asked) => usize::try_from(asked)
            .ok()
            .filter(|asked| *asked > 0)
            .ok_or_else(|| Fault::invalid_argument("options.maxObjects"))?,
    };
    if contents.is_empty() {
        return Ok(Answer::Nothing);
    }
    Ok(page(world, contents, asked))
}

/// The answer of `ContinueRetrievePropertiesEx`.
pub(crate) fn next_page(world: &World<'_>, token: &str) -> Result<Answer, Fault> {
    let (size, rest) = take(world, token)?;
    Ok(page(world, rest, size))
}

/// Forgets the rest behind a token.
pub(crate) fn cancel(world: &World<'_>, token: &str) -> Result<Answer, Fault> {
    take(world, token)?;
    Ok(Answer::Nothing)
}

fn take(world: &World<'_>, token: &str) -> Result<(usize, Vec<DataObject>), Fault> {
    world
        .state
        .sessions
        .with(world.cookie, |session| session.pages.remove(token))
        .flatten()
        .ok_or_else(|| Fault::invalid_argument("token"))
}

fn page(world: &World<'_>, mut contents: Vec<DataObject>, asked: usize) -> Answer {
    let size = asked.min(world.state.options.page_limit.max(1));
    let mut token = None;
    // Without a session there is nowhere to keep the rest: everything at once.
    if contents.len() > size && world.cookie.is_some() {
        let rest = contents.split_off(size);
        token = world.state.sessions.with(world.cookie, |session| {
            if session.pages.len() >= MAX_OPEN_TOKENS {
                session.pages.clear();
            }
            let token = session.token();
            session.pages.insert(token.clone(), (asked, rest));
            token
        });
    }
    Answer::One(Value::Object(
        DataObject::new("RetrieveResult")
            .with_some("token", token.map(Value::string))
            .with("objects", Value::objects("ObjectContent", contents)),
    ))
}
