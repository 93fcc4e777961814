//! A store in which one chosen operation goes wrong, in a chosen way.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error as StoreError, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};

/// How an operation goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// Nothing is done, and an error is told.
    Before,
    /// It is done, and an error is told.
    After,
    /// An error is told, and it is done later: just before the next operation but two.
    Late,
    /// Nothing is done, and nothing that follows. Deletions of data packs, which no folder makes durable, are undone.
    PowerCut,
}

impl Fault {
    pub(super) const ALL: [Self; 4] = [Self::Before, Self::After, Self::Late, Self::PowerCut];
}

/// A change that the store has still to make.
#[derive(Debug)]
enum Change {
    Put(Path, PutPayload),
    Delete(Path),
}

/// What is to go wrong; shared with the test.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    state: Arc<Mutex<State>>,
    /// Objects whose deletion a power cut undoes, by their names.
    comes_back: fn(&str) -> bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self::undoing(|name| name.starts_with("pack/") && name.contains("/d"))
    }
}

#[derive(Debug, Default)]
struct State {
    done: usize,
    fault: Option<(usize, Fault)>,
    late: Option<(usize, Change)>,
    /// What was deleted and would come back after a power cut.
    deleted: Vec<(Path, Bytes)>,
    off: bool,
    met: bool,
}

/// What becomes of an operation.
enum Fate {
    Works,
    Fails,
    /// And these come back.
    Off(Vec<(Path, Bytes)>),
    WorksAndFails,
    Later,
}

impl Plan {
    /// A power cut brings back what was deleted under the names that `comes_back` knows.
    pub(super) fn undoing(comes_back: fn(&str) -> bool) -> Self {
        Self {
            state: Arc::default(),
            comes_back,
        }
    }

    /// Counts anew; operation `number` goes wrong.
    pub(super) fn arm(&self, fault: Option<(usize, Fault)>) {
        *self.state.lock().unwrap() = State {
            fault,
            ..State::default()
        };
    }

    /// Operations since the last [`Plan::arm`], and whether the fault came.
    pub(super) fn done(&self) -> (usize, bool) {
        let state = self.state.lock().unwrap();
        (state.done, state.met)
    }

    fn fate(&self) -> Fate {
        let mut state = self.state.lock().unwrap();
        let number = state.done;
        state.done += 1;
        if state.off {
            return Fate::Fails;
        }
        match state.fault {
            Some((at, fault)) if at == number => {
                state.met = true;
                match fault {
                    Fault::Before => Fate::Fails,
                    Fault::After => Fate::WorksAndFails,
                    Fault::Late => Fate::Later,
                    Fault::PowerCut => {
                        state.off = true;
                        Fate::Off(std::mem::take(&mut state.deleted))
                    }
                }
            }
            _ => Fate::Works,
        }
    }

    fn put_off(&self, change: Change) {
        let mut state = self.state.lock().unwrap();
        state.late = Some((state.done + 2, change));
    }

    fn note_deletion(&self, path: &Path, bytes: Bytes) {
        if (self.comes_back)(path.as_ref()) {
            let mut state = self.state.lock().unwrap();
            state.deleted.push((path.clone(), bytes));
        }
    }

    fn due(&self) -> Option<Change> {
        let mut state = self.state.lock().unwrap();
        let due = state.late.as_ref().is_some_and(|(at, _)| *at <= state.done);
        if due {
            state.late.take().map(|(_, change)| change)
        } else {
            None
        }
    }

    /// What was put off and has not come yet, comes now.
    pub(super) fn take_late(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        if let Some((at, _)) = &mut state.late {
            *at = 0;
        }
        state.late.is_some()
    }
}

#[derive(Debug)]
pub(super) struct OperationStore {
    inner: Arc<InMemory>,
    plan: Plan,
}

impl fmt::Display for OperationStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OperationStore")
    }
}

fn wrong() -> StoreError {
    StoreError::Generic {
        store: "OperationStore",
        source: "the operation was chosen to fail".into(),
    }
}

impl OperationStore {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            inner: Arc::default(),
            plan: plan.clone(),
        }
    }

    async fn make_due(inner: &InMemory, plan: &Plan) -> Result<()> {
        match plan.due() {
            None => Ok(()),
            Some(Change::Put(path, payload)) => inner.put(&path, payload).await.map(drop),
            Some(Change::Delete(path)) => inner.delete(&path).await,
        }
    }

    /// What becomes of the operation that comes now.
    async fn fate(inner: &InMemory, plan: &Plan) -> Result<Fate> {
        Self::make_due(inner, plan).await?;
        match plan.fate() {
            Fate::Off(back) => {
                for (path, bytes) in back {
                    inner.put(&path, bytes.into()).await?;
                }
                Ok(Fate::Fails)
            }
            fate => Ok(fate),
        }
    }

    async fn delete_one(inner: Arc<InMemory>, plan: Plan, path: Path) -> Result<Path> {
        match Self::fate(&inner, &plan).await? {
            Fate::Works => {}
            Fate::Fails | Fate::Off(_) => return Err(wrong()),
            Fate::WorksAndFails => {
                inner.delete(&path).await?;
                return Err(wrong());
            }
            Fate::Later => {
                plan.put_off(Change::Delete(path));
                return Err(wrong());
            }
        }
        if let Ok(there) = inner.get(&path).await {
            plan.note_deletion(&path, there.bytes().await?);
        }
        inner.delete(&path).await?;
        Ok(path)
    }
}

#[async_trait]
impl ObjectStore for OperationStore {
    async fn put_opts(
        &self,
        to: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        match Self::fate(&self.inner, &self.plan).await? {
            Fate::Works => self.inner.put_opts(to, payload, options).await,
            Fate::Fails | Fate::Off(_) => Err(wrong()),
            Fate::WorksAndFails => {
                self.inner.put_opts(to, payload, options).await?;
                Err(wrong())
            }
            Fate::Later => {
                self.plan.put_off(Change::Put(to.clone(), payload));
                Err(wrong())
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        match Self::fate(&self.inner, &self.plan).await? {
            Fate::Works => self.inner.get_opts(from, options).await,
            _ => Err(wrong()),
        }
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match Self::fate(&self.inner, &self.plan).await? {
            Fate::Works => self.inner.get_ranges(from, ranges).await,
            _ => Err(wrong()),
        }
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (inner, plan) = (Arc::clone(&self.inner), self.plan.clone());
        paths
            .then(move |path| {
                let (inner, plan) = (Arc::clone(&inner), plan.clone());
                async move { Self::delete_one(inner, plan, path?).await }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, plan, prefix) = (Arc::clone(&self.inner), self.plan.clone(), prefix.cloned());
        let listed = async move {
            match Self::fate(&inner, &plan).await {
                Ok(Fate::Works) => inner.list(prefix.as_ref()),
                Ok(_) => stream::iter([Err(wrong())]).boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            }
        };
        listed.flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
