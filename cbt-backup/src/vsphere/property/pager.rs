//! A retrieval page by page, which survives a lost session and forgets nothing on the way out.

use std::collections::HashSet;
use std::marker::PhantomData;

use super::spec::{PropertyFilterSpec, PropertySpec};
use super::{Found, Page, Properties, RETRIEVE, read_page, refused, retrieve_spec_operation};
use crate::vsphere::client::Client;
use crate::vsphere::envelope::{nothing, reference};
use crate::vsphere::error::Error;
use crate::vsphere::exchange::{Attempts, Effect};
use crate::vsphere::inventory::{destroy_operation, view_operation};
use crate::vsphere::moref::Moref;
use crate::vsphere::operation::Operation;

const CONTINUE: &str = "ContinueRetrievePropertiesEx";
const CANCEL: &str = "CancelRetrievePropertiesEx";
/// More objects than this in one retrieval are not believed.
const MAX_OBJECTS: usize = 1_000_000;
/// Pages in a row without anything new, beyond those that a repetition explains.
const MAX_IDLE_PAGES: usize = 16;

/// What a [`Pager`] reads.
#[derive(Debug, Clone)]
pub(in crate::vsphere) enum Source {
    /// The answer to this question.
    Spec(PropertyFilterSpec),
    /// Everything of these kinds below a container. The pager makes the view, makes it again
    /// in a new session, and destroys it.
    Below {
        /// The folder, or another container.
        container: Moref,
        /// The managed types to list.
        kinds: Vec<String>,
        /// What to read of them.
        properties: Vec<PropertySpec>,
    },
}

/// Where the retrieval is.
#[derive(Debug)]
enum State {
    /// Nothing asked, or all to be asked again.
    Start,
    /// A call is under way. Found at the beginning of another one, it was dropped midway.
    Asking,
    /// A further page waits behind this token, which is good once.
    More { token: String },
    /// Everything was given, or an error was.
    End,
}

/// Pages of objects, one at a time: never more than one page in memory, besides the
/// references of the objects already given.
///
/// When the session is lost between two pages, or the transport fails, the pager starts over
/// and leaves out what it has given before. A token that is not used up is handed back
/// (`CancelRetrievePropertiesEx`) by [`close`](Self::close), or in the background when the
/// pager is dropped; so is the view.
pub(in crate::vsphere) struct Pager<T> {
    client: Client,
    source: Source,
    page_objects: Option<u32>,
    state: State,
    view: Option<Moref>,
    views_lost: u32,
    /// The login that token and view belong to.
    generation: u64,
    /// Nothing: whoever asked does the repetition.
    attempts: Option<Attempts>,
    given: HashSet<Moref>,
    pages_given: usize,
    idle_pages: usize,
    kind: PhantomData<fn() -> T>,
}

impl Client {
    /// Reads the objects of `source` page by page, at most `page_objects` a page; the server
    /// may choose smaller pages.
    pub(in crate::vsphere) fn pages<T: Properties>(
        &self,
        source: Source,
        page_objects: Option<u32>,
    ) -> Pager<T> {
        let attempts = Attempts::new(self, Effect::Read);
        Pager::new(self, source, page_objects, Some(attempts))
    }
}

impl<T: Properties> Pager<T> {
    pub(super) fn new(
        client: &Client,
        source: Source,
        page_objects: Option<u32>,
        attempts: Option<Attempts>,
    ) -> Self {
        Self {
            client: client.clone(),
            source,
            page_objects,
            state: State::Start,
            view: None,
            views_lost: 0,
            generation: 0,
            attempts,
            given: HashSet::new(),
            pages_given: 0,
            idle_pages: 0,
            kind: PhantomData,
        }
    }

    /// The next page, never an empty one; nothing at the end. Each object comes once.
    ///
    /// # Errors
    ///
    /// Any failure of the calls that repetition did not mend, [`Error::BadAnswer`] if the
    /// server goes on and on. After an error there are no more pages.
    pub(in crate::vsphere) async fn next(&mut self) -> Result<Option<Vec<Found<T>>>, Error> {
        loop {
            if matches!(self.state, State::End) {
                self.clean_up().await;
                return Ok(None);
            }
            let fresh = match self.attempt().await {
                Ok(fresh) => fresh,
                Err(error) => {
                    self.clean_up().await; // which also ends it
                    return Err(error);
                }
            };
            if !fresh.is_empty() {
                return Ok(Some(fresh));
            }
        }
    }

    /// All that is left. For what is known to be small.
    pub(in crate::vsphere) async fn collect(mut self) -> Result<Vec<Found<T>>, Error> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page);
        }
        Ok(all)
    }

    /// Ends the retrieval early: hands the token back and destroys the view. Failures are
    /// only logged, as both die with the session.
    pub(in crate::vsphere) async fn close(mut self) {
        self.clean_up().await;
    }

    /// One page, as often as repetition allows.
    async fn attempt(&mut self) -> Result<Vec<Found<T>>, Error> {
        loop {
            if let Some(attempts) = &mut self.attempts {
                attempts.begin()?;
            }
            match self.step().await {
                Ok(page) => {
                    let fresh = self.take(page)?;
                    if let Some(attempts) = self.attempts.as_mut().filter(|_| !fresh.is_empty()) {
                        *attempts = Attempts::new(&self.client, Effect::Read);
                    }
                    return Ok(fresh);
                }
                Err(error) => {
                    self.state = State::Start;
                    if self.has_lost_view(&error) {
                        continue;
                    }
                    match &mut self.attempts {
                        Some(attempts) => attempts.after(error).await?,
                        None => return Err(error),
                    }
                }
            }
        }
    }

    /// True, once, when the failure is that the view is gone, as with a session that was lost since it
    /// was made ("vSphere API reference", 1.10). It is made again.
    fn has_lost_view(&mut self, error: &Error) -> bool {
        let Some(view) = &self.view else {
            return false;
        };
        let is_it = error.fault_type() == Some("ManagedObjectNotFound")
            && error.fault().and_then(|fault| fault.field("obj"))
                == Some(view.to_string().as_str());
        if self.views_lost > 0 || !is_it {
            return false;
        }
        self.views_lost += 1;
        self.view = None;
        true
    }

    /// One call, with a view before it where one is missing.
    async fn step(&mut self) -> Result<Page<T>, Error> {
        let generation = self.client.inner.session.generation();
        if generation != self.generation {
            // Tokens and views died with their session.
            self.generation = generation;
            self.view = None;
            self.state = State::Start;
        }
        let collector = self.client.inner.content.property_collector.clone();
        let page = match std::mem::replace(&mut self.state, State::Asking) {
            State::More { token } => {
                let operation = Operation::new(CONTINUE, &collector).text("token", &token);
                self.client.exchange(&operation, read_page::<T>).await?
            }
            State::Start | State::Asking | State::End => {
                let spec = self.spec().await?;
                let operation = retrieve_spec_operation(&collector, &spec, self.page_objects);
                self.client.exchange(&operation, read_page::<T>).await?
            }
        };
        // A dead session answers with status 200 and hides it here.
        let missing = page.objects.iter().flat_map(|found| &found.missing);
        let mut faults = missing.map(|(_, fault)| fault);
        if let Some(fault) = faults.find(|fault| fault.type_name == "NotAuthenticated") {
            return Err(refused(fault.clone()));
        }
        Ok(page)
    }

    async fn spec(&mut self) -> Result<PropertyFilterSpec, Error> {
        let (container, kinds, properties) = match &self.source {
            Source::Spec(spec) => return Ok(spec.clone()),
            Source::Below {
                container,
                kinds,
                properties,
            } => (container, kinds, properties),
        };
        let view = if let Some(view) = self.view.clone() {
            view
        } else {
            let Some(manager) = &self.client.inner.content.view_manager else {
                return Ok(PropertyFilterSpec::of_walk(container, properties.clone()));
            };
            let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
            let operation = view_operation(manager, container, &kinds);
            let view = self.client.exchange(&operation, reference).await?;
            self.view.insert(view).clone()
        };
        Ok(PropertyFilterSpec::of_view(&view, properties.clone()))
    }

    /// Keeps what was not given before, and notes where the retrieval is.
    fn take(&mut self, page: Page<T>) -> Result<Vec<Found<T>>, Error> {
        self.state = match page.token {
            Some(token) => State::More { token },
            None => State::End,
        };
        let mut fresh = page.objects;
        let is_walk = self.client.inner.content.view_manager.is_none();
        if let (Source::Below { kinds, .. }, true) = (&self.source, is_walk) {
            // A view has no others; a walk meets them.
            fresh.retain(|found| is_one_of(&found.moref, kinds));
        }
        fresh.retain(|found| self.given.insert(found.moref.clone()));
        if fresh.is_empty() {
            self.idle_pages += 1;
        } else {
            self.idle_pages = 0;
            self.pages_given += 1;
        }
        let endless = |what: String| Error::BadAnswer {
            method: RETRIEVE,
            what,
        };
        if self.idle_pages > self.pages_given + MAX_IDLE_PAGES {
            let pages = self.idle_pages;
            return Err(endless(format!(
                "{pages} pages in a row have nothing new, and it goes on"
            )));
        }
        if self.given.len() > MAX_OBJECTS {
            return Err(endless(format!("it has more than {MAX_OBJECTS} objects")));
        }
        Ok(fresh)
    }

    async fn clean_up(&mut self) {
        let left = self.left_at_server();
        end_at_server(&self.client, self.generation, left).await;
    }
}

impl<T> Pager<T> {
    /// What the server keeps for us, which is ours to give back now.
    fn left_at_server(&mut self) -> Vec<Operation> {
        let collector = &self.client.inner.content.property_collector;
        let mut left = Vec::new();
        if let State::More { token } = std::mem::replace(&mut self.state, State::End) {
            left.push(Operation::new(CANCEL, collector).text("token", &token));
        }
        if let Some(view) = self.view.take() {
            left.push(destroy_operation(&view));
        }
        left
    }
}

impl<T> Drop for Pager<T> {
    fn drop(&mut self) {
        let left = self.left_at_server();
        end_in_background(&self.client, self.generation, left);
    }
}

/// True if an object is of one of the managed types `kinds`, or of one derived from them
/// ("vSphere API reference", 4.1).
fn is_one_of(object: &Moref, kinds: &[String]) -> bool {
    let base = match object.kind.as_str() {
        "ClusterComputeResource" => "ComputeResource",
        "VirtualApp" => "ResourcePool",
        "StoragePod" => "Folder",
        "DistributedVirtualPortgroup" | "OpaqueNetwork" => "Network",
        "VmwareDistributedVirtualSwitch" => "DistributedVirtualSwitch",
        other => other,
    };
    // No kinds at all means all there are.
    kinds.is_empty()
        || kinds
            .iter()
            .any(|kind| [&object.kind, base, "ManagedEntity"].contains(&kind.as_str()))
}

/// As [`end_at_server`], for what is dropped: nobody waits for it.
pub(in crate::vsphere) fn end_in_background(
    client: &Client,
    generation: u64,
    calls: Vec<Operation>,
) {
    if calls.is_empty() {
        return;
    }
    let client = client.clone();
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        runtime.spawn(async move { end_at_server(&client, generation, calls).await });
    }
}

/// Makes the calls that end things of one session, if that session still lives.
pub(in crate::vsphere) async fn end_at_server(
    client: &Client,
    generation: u64,
    calls: Vec<Operation>,
) {
    for operation in calls {
        let session = &client.inner.session;
        if session.is_closed() || session.generation() != generation {
            return;
        }
        if let Err(error) = client.exchange(&operation, nothing).await {
            tracing::debug!(method = operation.method(), %error, "failed to end something that dies with the session");
        }
    }
}
