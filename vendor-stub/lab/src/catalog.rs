//! What a server keeps of a lab in memory, fresh at every look.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::state::number_of;
use crate::{Error, Kind, Lab, Site, Vm};

/// A file that changed less than this before it was read may change again without its time
/// showing it: file times are that coarse.
const COARSE: Duration = Duration::from_millis(50);

/// Site and VMs of a lab, read once and again when their files changed. Changes of other processes
/// are seen at the next look. A look at a lab that did not change costs two calls of `stat`.
#[derive(Debug)]
pub struct Catalog {
    lab: Lab,
    known: Mutex<Known>,
}

/// All VMs of a lab at one moment, ordered by the number in their moref.
#[derive(Clone, Debug, Default)]
pub struct Vms {
    list: Vec<Arc<Vm>>,
    by_moref: HashMap<String, usize>,
    by_snapshot: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Known {
    generation: u64,
    site_mark: Option<Mark>,
    site: Option<Arc<Site>>,
    folder_mark: Option<Mark>,
    files: HashMap<u32, (Mark, Arc<Vm>)>,
    vms: Arc<Vms>,
}

/// What tells one version of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    modified: SystemTime,
    inode: u64,
    length: u64,
    /// False when the file was so young that its next version may look the same.
    settled: bool,
}

impl Mark {
    fn of(path: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(path).map_err(Error::io("look at", path))?;
        Self::from(&metadata).map_err(Error::io("look at", path))
    }

    fn from(metadata: &Metadata) -> std::io::Result<Self> {
        let modified = metadata.modified()?;
        let age = SystemTime::now().duration_since(modified);
        Ok(Self {
            modified,
            inode: metadata.ino(),
            length: metadata.len(),
            settled: age.is_ok_and(|age| age > COARSE),
        })
    }

    /// Whether what was read under this mark is what is there now.
    fn holds(&self, now: &Self) -> bool {
        let same = |mark: &Self| (mark.modified, mark.inode, mark.length);
        self.settled && same(self) == same(now)
    }
}

impl Lab {
    /// A catalog of this lab, empty until the first look.
    pub fn catalog(&self) -> Catalog {
        Catalog {
            lab: self.clone(),
            known: Mutex::default(),
        }
    }
}

impl Catalog {
    /// The site.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Json`].
    pub fn site(&self) -> Result<Arc<Site>, Error> {
        self.look(Known::site)
    }

    /// All VMs.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Json`].
    pub fn vms(&self) -> Result<Arc<Vms>, Error> {
        self.look(Known::vms)
    }

    /// A number that grows when site or VMs changed since the last look.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Json`].
    pub fn generation(&self) -> Result<u64, Error> {
        self.look(|known, lab| {
            known.site(lab)?;
            known.vms(lab)?;
            Ok(known.generation)
        })
    }

    fn look<R>(&self, look: impl FnOnce(&mut Known, &Lab) -> R) -> R {
        // What a thread that panicked left is replaced when its mark does not hold.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut known, &self.lab)
    }
}

impl Known {
    fn site(&mut self, lab: &Lab) -> Result<Arc<Site>, Error> {
        let now = Mark::of(&lab.root().join("site.json"))?;
        let holds = self.site_mark.as_ref().is_some_and(|mark| mark.holds(&now));
        if let Some(site) = self.site.as_ref().filter(|_| holds) {
            return Ok(Arc::clone(site));
        }
        let site = Arc::new(lab.site()?);
        self.generation += 1;
        self.site_mark = Some(now);
        self.site = Some(Arc::clone(&site));
        Ok(site)
    }

    fn vms(&mut self, lab: &Lab) -> Result<Arc<Vms>, Error> {
        let folder = lab.root().join("vm");
        let now = Mark::of(&folder)?;
        let holds = |mark: &Mark| mark.holds(&now);
        if !self.folder_mark.as_ref().is_some_and(holds) && self.list(lab, &folder)? {
            self.generation += 1;
            self.vms = Arc::new(Vms::of(&self.files));
        }
        // Taken before the files were, so a change meanwhile shows.
        self.folder_mark = Some(now);
        Ok(Arc::clone(&self.vms))
    }

    /// Reads what changed. `false` = nothing did.
    fn list(&mut self, lab: &Lab, folder: &Path) -> Result<bool, Error> {
        let mut changed = false;
        let mut files = HashMap::with_capacity(self.files.len());
        for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let entry = entry.map_err(Error::io("list", folder))?;
            let name = entry.file_name();
            let stem = name.to_str().and_then(|name| name.strip_suffix(".json"));
            let Some((moref, number)) = stem.and_then(|stem| Some((stem, number_of(stem)?))) else {
                continue;
            };
            let Ok(now) = Mark::of(&entry.path()) else {
                continue; // Removed meanwhile; the folder's mark will show it.
            };
            if let Some((mark, vm)) = self.files.remove(&number)
                && mark.holds(&now)
            {
                files.insert(number, (mark, vm));
                continue;
            }
            changed = true;
            match lab.vm(moref) {
                Ok(vm) => files.insert(number, (now, Arc::new(vm))),
                Err(Error::NotFound { kind: Kind::Vm, .. }) => continue,
                Err(error) => return Err(error),
            };
        }
        changed |= !self.files.is_empty();
        self.files = files;
        Ok(changed)
    }
}

impl Vms {
    fn of(files: &HashMap<u32, (Mark, Arc<Vm>)>) -> Self {
        let mut numbers: Vec<u32> = files.keys().copied().collect();
        numbers.sort_unstable();
        let list = numbers.iter().filter_map(|number| files.get(number));
        let list: Vec<Arc<Vm>> = list.map(|(_, vm)| Arc::clone(vm)).collect();
        let numbered = || list.iter().enumerate();
        let by_moref = numbered().map(|(index, vm)| (vm.moref.clone(), index));
        let by_snapshot = numbered().flat_map(|(index, vm)| {
            let snapshots = vm.snapshots.iter();
            snapshots.map(move |snapshot| (snapshot.moref.clone(), index))
        });
        Self {
            by_moref: by_moref.collect(),
            by_snapshot: by_snapshot.collect(),
            list,
        }
    }

    /// The VMs in order.
    pub fn iter(&self) -> impl Iterator<Item = &Vm> {
        self.list.iter().map(Arc::as_ref)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The VM of that moref, if there is one.
    pub fn get(&self, moref: &str) -> Option<&Arc<Vm>> {
        self.by_moref
            .get(moref)
            .and_then(|index| self.list.get(*index))
    }

    /// The VM that has that snapshot, if there is one.
    pub fn by_snapshot(&self, snapshot: &str) -> Option<&Arc<Vm>> {
        let index = self.by_snapshot.get(snapshot)?;
        self.list.get(*index)
    }
}
