//! Following changes: a property collector of our own, its filters, and the waiting.
//!
//! ```text
//! let mut watch = client.watch();
//! let task = watch.add(spec, false);       // asks nothing yet
//! while let Some(updates) = watch.wait(limit).await? { … }
//! watch.close().await;
//! ```

use std::time::{Duration, Instant};

use super::pager::{end_at_server, end_in_background};
use super::spec::{PropertyFilterSpec, write_filter_spec};
use super::update::{FilterUpdate, ObjectUpdate, UpdateSet, read_updates};
use crate::vsphere::client::Client;
use crate::vsphere::envelope::{nothing, reference};
use crate::vsphere::error::Error;
use crate::vsphere::exchange::{Attempts, Effect};
use crate::vsphere::fault::Fault;
use crate::vsphere::moref::Moref;
use crate::vsphere::operation::Operation;

/// The longest single wait: below what clients and proxies between give up at.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// Objects an answer, so that an answer stays small; more come in further ones.
const MAX_OBJECT_UPDATES: u32 = 500;
/// Beginnings from the start without anything learnt in between.
const MAX_RESTARTS: u32 = 4;
/// Truncated sets in a row without content.
const MAX_EMPTY_SETS: u32 = 16;

/// How a [`Watch`] learns of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WatchMethod {
    /// `WaitForUpdatesEx`: the server answers when something happens, or after a while.
    WaitEx,
    /// `WaitForUpdates`, from before API 4.1: the server answers when something happens. The
    /// wait is cancelled when its time is over.
    Wait,
    /// `CheckForUpdates`: asked again and again.
    Poll,
}

/// A filter of a [`Watch`], good as long as that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WatchId(u64);

/// What one filter saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The filter.
    pub filter: WatchId,
    /// Objects with news.
    pub objects: Vec<ObjectUpdate>,
    /// Objects that are not there (any more), if the filter reports them.
    pub missing: Vec<(Moref, Fault)>,
}

/// News from a [`Watch`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updates {
    /// This is the state from the beginning: what was known before is to be forgotten. So it
    /// is the first time, and whenever server or session forgot us.
    pub is_fresh: bool,
    /// More of the same follows at once.
    pub is_truncated: bool,
    /// What each filter saw.
    pub seen: Vec<Seen>,
}

#[derive(Debug)]
struct Filter {
    id: WatchId,
    spec: PropertyFilterSpec,
    is_partial: bool,
    /// Once it is made.
    made: Option<Moref>,
}

/// Follows objects by a property collector of its own, so that no one else's filters
/// interfere ("vSphere API reference", 2.4).
///
/// It outlives sessions: after a new login, and when the server does not know the version any
/// more, collector and filters are made again and the next [`Updates`] are fresh. Dropping it
/// destroys the collector in the background.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    method: WatchMethod,
    filters: Vec<Filter>,
    last_id: u64,
    collector: Option<Moref>,
    /// The login that the collector belongs to.
    generation: u64,
    /// Empty: from the beginning.
    version: String,
    is_truncated: bool,
    is_fresh: bool,
    /// A wait was begun whose end was not seen.
    is_waiting: bool,
    /// Filters to destroy.
    doomed: Vec<Moref>,
    empty_sets: u32,
}

impl Client {
    /// Begins to follow changes. Nothing is asked before the first wait.
    #[doc(alias = "CreatePropertyCollector")]
    pub fn watch(&self) -> Watch {
        Watch {
            client: self.clone(),
            method: WatchMethod::WaitEx,
            filters: Vec::new(),
            last_id: 0,
            collector: None,
            generation: 0,
            version: String::new(),
            is_truncated: false,
            is_fresh: true,
            is_waiting: false,
            doomed: Vec::new(),
            empty_sets: 0,
        }
    }
}

impl Watch {
    /// The same by another method of waiting.
    #[must_use]
    pub fn by(mut self, method: WatchMethod) -> Self {
        self.method = method;
        self
    }

    /// Follows what `spec` asks for, from the next wait on. With `is_partial`, changes inside a
    /// property come as such, under longer paths; else the whole property comes again.
    #[doc(alias = "CreateFilter")]
    pub fn add(&mut self, spec: PropertyFilterSpec, is_partial: bool) -> WatchId {
        self.last_id += 1;
        let id = WatchId(self.last_id);
        self.filters.push(Filter {
            id,
            spec,
            is_partial,
            made: None,
        });
        id
    }

    /// Ends one of the filters, at the server with the next wait.
    #[doc(alias = "DestroyPropertyFilter")]
    pub fn remove(&mut self, id: WatchId) {
        if let Some(position) = self.filters.iter().position(|filter| filter.id == id) {
            self.doomed.extend(self.filters.swap_remove(position).made);
        }
    }

    /// Waits for news, at most for `limit`; nothing if there were none. Waits longer than a
    /// minute are several calls.
    ///
    /// # Errors
    ///
    /// A fault `RequestCanceled` after [`WatchInterrupt::interrupt`]; `InvalidProperty` or
    /// `ManagedObjectNotFound` for a filter that can't be made; any failure of the calls that
    /// repetition did not mend. The watch can be used again after any of them.
    #[doc(alias = "WaitForUpdatesEx")]
    pub async fn wait(&mut self, limit: Duration) -> Result<Option<Updates>, Error> {
        let start = Instant::now();
        let mut attempts = Attempts::new(&self.client, Effect::Read);
        let mut restarts = 0;
        let mut pause = self.client.inner.poll.first;
        loop {
            attempts.begin()?;
            let asked = Instant::now();
            let left = limit.saturating_sub(start.elapsed());
            match self.step(left).await {
                Ok(Some(set)) => {
                    if let Some(updates) = self.take(set)? {
                        return Ok(Some(updates));
                    }
                }
                Ok(None) => attempts = Attempts::new(&self.client, Effect::Read),
                Err(error) if restarts < MAX_RESTARTS && self.forgot_us(&error) => {
                    tracing::debug!(%error, "following changes starts over");
                    restarts += 1;
                    continue;
                }
                Err(error) => {
                    // The version of a truncated set is good once.
                    self.is_fresh |= std::mem::take(&mut self.is_truncated);
                    // After a time-out the server may still be waiting.
                    self.is_waiting |= matches!(error, Error::TimedOut { .. });
                    attempts.after(error).await?;
                    continue;
                }
            }
            let left = limit.saturating_sub(start.elapsed());
            if left.is_zero() && !self.is_truncated {
                return Ok(None);
            }
            // Some servers answer at once though nothing happened.
            if asked.elapsed() < pause && !self.is_truncated {
                tokio::time::sleep(pause.min(left)).await;
                pause = (pause * 3 / 2).min(self.client.inner.poll.longest);
            }
        }
    }

    /// Looks whether there is news, without waiting.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    #[doc(alias = "CheckForUpdates")]
    pub async fn check(&mut self) -> Result<Option<Updates>, Error> {
        self.wait(Duration::ZERO).await
    }

    /// A handle that ends a wait from elsewhere; nothing before the first wait.
    pub fn interrupter(&self) -> Option<WatchInterrupt> {
        Some(WatchInterrupt {
            client: self.client.clone(),
            collector: self.collector.clone()?,
        })
    }

    /// Destroys the collector and its filters. Failures are only logged: both die with the
    /// session.
    #[doc(alias = "DestroyPropertyCollector")]
    pub async fn close(mut self) {
        let left = self.left_at_server();
        end_at_server(&self.client, self.generation, left).await;
    }

    /// One call, with all that must be made before it.
    async fn step(&mut self, left: Duration) -> Result<Option<UpdateSet>, Error> {
        let collector = self.prepare().await?;
        if self.is_fresh {
            self.version.clear();
        }
        let operation = self.wait_operation(&collector, left);
        self.is_waiting = true;
        let answer = match self.method {
            WatchMethod::Wait if !left.is_zero() => {
                let asked = self.client.exchange(&operation, read_updates);
                let limit = left.min(self.longest_wait());
                if let Ok(answer) = tokio::time::timeout(limit, asked).await {
                    answer
                } else {
                    // The call goes on at the server without us.
                    self.cancel(&collector).await?;
                    Ok(None)
                }
            }
            _ => self.client.exchange(&operation, read_updates).await,
        };
        self.is_waiting = false;
        let answer = answer?;
        let objects = answer.iter().flat_map(|set| &set.filters);
        let objects = objects.flat_map(|filter| &filter.objects);
        let mut missing = objects.flat_map(|object| &object.missing);
        if let Some((_, fault)) = missing.find(|(_, f)| f.type_name == "NotAuthenticated") {
            return Err(Error::Fault {
                method: operation.method(),
                fault: Box::new(fault.clone()),
            });
        }
        Ok(answer)
    }

    /// Collector and filters as they must be; gives the collector.
    async fn prepare(&mut self) -> Result<Moref, Error> {
        let generation = self.client.inner.session.generation();
        if generation != self.generation {
            self.generation = generation;
            self.forget_collector();
        }
        let collector = if let Some(collector) = self.collector.clone() {
            collector
        } else {
            let parent = &self.client.inner.content.property_collector;
            let operation = Operation::new("CreatePropertyCollector", parent);
            let made = self.client.exchange(&operation, reference).await?;
            self.is_fresh = true;
            self.collector.insert(made).clone()
        };
        if std::mem::take(&mut self.is_waiting) {
            // An answer that nobody took may have used up its version.
            self.is_fresh = true;
            self.cancel(&collector).await?;
        }
        while let Some(filter) = self.doomed.last() {
            let operation = Operation::new("DestroyPropertyFilter", filter);
            match self.client.exchange(&operation, nothing).await {
                Err(error) if error.fault_type() != Some("ManagedObjectNotFound") => {
                    return Err(error);
                }
                _ => self.doomed.pop(),
            };
        }
        for filter in self.filters.iter_mut().filter(|f| f.made.is_none()) {
            let operation = create_filter_operation(&collector, &filter.spec, filter.is_partial);
            filter.made = Some(self.client.exchange(&operation, reference).await?);
        }
        Ok(collector)
    }

    fn wait_operation(&self, collector: &Moref, left: Duration) -> Operation {
        let method = match self.method {
            WatchMethod::WaitEx => "WaitForUpdatesEx",
            WatchMethod::Wait if !left.is_zero() => "WaitForUpdates",
            WatchMethod::Wait | WatchMethod::Poll => "CheckForUpdates",
        };
        let operation = Operation::new(method, collector).text("version", &self.version);
        if self.method != WatchMethod::WaitEx {
            return operation;
        }
        let wait = left.min(self.longest_wait());
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        operation
            .open("options")
            .number("maxWaitSeconds", i64::try_from(seconds).unwrap_or(0))
            .number("maxObjectUpdates", MAX_OBJECT_UPDATES.into())
            .close("options")
    }

    /// The longest wait that our own time limit of a call leaves room for.
    fn longest_wait(&self) -> Duration {
        LONGEST_WAIT.min(self.client.inner.http.total_timeout() / 2)
    }

    async fn cancel(&self, collector: &Moref) -> Result<(), Error> {
        let operation = Operation::new("CancelWaitForUpdates", collector);
        self.client.exchange(&operation, nothing).await
    }

    /// News from an answer, if there is any.
    fn take(&mut self, set: UpdateSet) -> Result<Option<Updates>, Error> {
        self.version = set.version;
        self.is_truncated = set.is_truncated;
        let seen: Vec<Seen> = set
            .filters
            .into_iter()
            .filter_map(|update| self.seen(update))
            .collect();
        if seen.is_empty() && !self.is_fresh {
            self.empty_sets += u32::from(set.is_truncated);
            if self.empty_sets > MAX_EMPTY_SETS {
                self.empty_sets = 0;
                return Err(Error::BadAnswer {
                    method: "WaitForUpdatesEx",
                    what: format!("{MAX_EMPTY_SETS} sets in a row are truncated to nothing"),
                });
            }
            return Ok(None);
        }
        self.empty_sets = 0;
        Ok(Some(Updates {
            is_fresh: std::mem::take(&mut self.is_fresh),
            is_truncated: set.is_truncated,
            seen,
        }))
    }

    /// Under our own name; a filter that was removed meanwhile is left out.
    fn seen(&self, update: FilterUpdate) -> Option<Seen> {
        let mut filters = self.filters.iter();
        let filter = filters.find(|filter| filter.made.as_ref() == Some(&update.filter))?;
        Some(Seen {
            filter: filter.id,
            objects: update.objects,
            missing: update.missing,
        })
    }

    /// True if the server has lost the version or the collector, which is then made anew.
    fn forgot_us(&mut self, error: &Error) -> bool {
        let lost = |moref: &Moref| {
            error.fault().and_then(|fault| fault.field("obj")) == Some(&moref.to_string())
        };
        match error.fault_type() {
            Some("InvalidCollectorVersion") => self.is_fresh = true,
            Some("ManagedObjectNotFound") if self.collector.as_ref().is_some_and(lost) => {
                self.forget_collector();
            }
            _ => return false,
        }
        self.is_truncated = false;
        true
    }

    fn forget_collector(&mut self) {
        self.collector = None;
        self.doomed.clear();
        self.is_waiting = false;
        self.is_truncated = false;
        self.is_fresh = true;
        for filter in &mut self.filters {
            filter.made = None;
        }
    }

    fn left_at_server(&mut self) -> Vec<Operation> {
        let collector = self.collector.take();
        let destroy = |collector| Operation::new("DestroyPropertyCollector", &collector);
        collector.map(destroy).into_iter().collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let left = self.left_at_server();
        end_in_background(&self.client, self.generation, left);
    }
}

/// Ends a wait from elsewhere.
#[derive(Debug, Clone)]
pub struct WatchInterrupt {
    client: Client,
    collector: Moref,
}

impl WatchInterrupt {
    /// Makes the wait under way, if there is one, end with the fault `RequestCanceled`.
    ///
    /// # Errors
    ///
    /// Any failure of the call.
    #[doc(alias = "CancelWaitForUpdates")]
    pub async fn interrupt(&self) -> Result<(), Error> {
        let operation = Operation::new("CancelWaitForUpdates", &self.collector);
        self.client.read(&operation, nothing).await
    }
}

/// The call that makes a filter.
pub(in crate::vsphere) fn create_filter_operation(
    collector: &Moref,
    spec: &PropertyFilterSpec,
    is_partial: bool,
) -> Operation {
    let operation = Operation::new("CreateFilter", collector);
    write_filter_spec(operation, "spec", spec).boolean("partialUpdates", is_partial)
}
