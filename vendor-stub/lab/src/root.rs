//! The handle on a lab folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::datastore_path::DatastorePath;
use crate::time::timestamp;
use crate::{Error, Kind, Site, SiteSpec, Vm, certificate};

/// What `standin.toml` says about the lab; its other keys are the library's.
#[derive(Deserialize)]
struct Standin {
    lab: Option<PathBuf>,
}

/// A cheap handle on a lab folder. Clones and handles in other processes see the same lab.
#[derive(Clone, Debug)]
pub struct Lab {
    root: Arc<Path>,
}

impl Lab {
    /// Makes a lab in a folder, which is made when missing, with a certificate of its own.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] when the folder holds a lab, [`Error::InvalidName`] and
    /// [`Error::InvalidSpec`] for what the specification asks, [`Error::Io`].
    pub fn create(root: &Path, spec: SiteSpec) -> Result<Self, Error> {
        let site = Site::new(spec)?;
        fs::create_dir_all(root).map_err(Error::io("make folder", root))?;
        let lab = Self::at(root)?;
        let lock = lab.lock()?;
        if lab.root.join("site.json").exists() {
            return Err(Error::AlreadyExists {
                kind: Kind::Lab,
                id: root.display().to_string(),
            });
        }
        for folder in ["vm", "holds", "fault-markers", "tls"] {
            lab.make_folder(Path::new(folder))?;
        }
        for datastore in &site.datastores {
            lab.make_folder(&Path::new("datastores").join(&datastore.name))?;
        }
        certificate::make(&lab.root.join("tls"))?;
        lab.store_site(&lock, &site)?;
        Ok(lab)
    }

    /// Opens the lab in a folder.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] when there is none.
    pub fn open(root: &Path) -> Result<Self, Error> {
        let not_found = || Error::not_found(Kind::Lab, root.display().to_string());
        if !root.join("site.json").is_file() {
            return Err(not_found());
        }
        Self::at(root)
    }

    /// Finds the lab a library file belongs to: by `standin.toml` beside the file or one level
    /// up. Links in the path are not resolved.
    ///
    /// # Errors
    ///
    /// [`Error::Toml`] when the file does not parse, [`Error::NotFound`] when it names a folder
    /// without a lab.
    pub fn find(library_file: &Path) -> Result<Option<Self>, Error> {
        let Some(settings) = Self::standin_toml(library_file) else {
            return Ok(None);
        };
        let text = fs::read_to_string(&settings).map_err(Error::io("read", &settings))?;
        let standin: Standin = toml::from_str(&text).map_err(|source| Error::Toml {
            path: settings,
            source,
        })?;
        standin.lab.map(|lab| Self::open(&lab)).transpose()
    }

    /// The settings file of the kit a library file belongs to: `standin.toml` beside the file or
    /// one level up.
    pub fn standin_toml(library_file: &Path) -> Option<PathBuf> {
        let beside = library_file.parent()?;
        [Some(beside), beside.parent()]
            .into_iter()
            .flatten()
            .map(|folder| folder.join("standin.toml"))
            .find(|file| file.is_file())
    }

    /// The folder, as an absolute path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The site.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Json`].
    pub fn site(&self) -> Result<Site, Error> {
        self.load_site()
    }

    /// The VM of that moref, or where the site is an ESXi host of that number.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, [`Error::Io`], [`Error::Json`].
    pub fn vm(&self, moref: &str) -> Result<Vm, Error> {
        self.load_vm(moref)
    }

    /// All VMs, ordered by moref.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::Json`].
    pub fn vms(&self) -> Result<Vec<Vm>, Error> {
        self.load_vms()
    }

    /// The VM a snapshot belongs to.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a snapshot, [`Error::Io`], [`Error::Json`].
    pub fn vm_by_snapshot(&self, snapshot: &str) -> Result<Vm, Error> {
        self.load_vms()?
            .into_iter()
            .find(|vm| vm.snapshot(snapshot).is_some())
            .ok_or_else(|| Error::not_found(Kind::Snapshot, snapshot))
    }

    /// Changes a VM under the lock of the lab and gives it a new `change_version`. Nothing is
    /// stored when `change` fails. `change` must not call methods of the lab that change it:
    /// they would wait for the lock for ever.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] without such a VM, whatever `change` returns, [`Error::Io`].
    pub fn update_vm<R>(
        &self,
        moref: &str,
        change: impl FnOnce(&mut Vm) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let lock = self.lock()?;
        let mut vm = self.load_vm(moref)?;
        let result = change(&mut vm)?;
        vm.change_version = timestamp();
        self.store_vm(&lock, &vm)?;
        Ok(result)
    }

    /// The file behind a datastore path, if the VM refers to it: in its running state, or in one
    /// of its snapshots.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for an unknown VM, an unknown snapshot, and any other path.
    pub fn resolve_disk(
        &self,
        vm: &str,
        snapshot: Option<&str>,
        datastore_path: &str,
    ) -> Result<PathBuf, Error> {
        let vm = self.load_vm(vm)?;
        let referred = vm
            .disks_of(snapshot)?
            .iter()
            .flat_map(|disk| &disk.chain)
            .any(|link| link.file == datastore_path);
        if referred {
            self.path_of(datastore_path)
        } else {
            Err(Error::not_found(Kind::File, datastore_path))
        }
    }

    fn at(root: &Path) -> Result<Self, Error> {
        let root = fs::canonicalize(root).map_err(Error::io("find", root))?;
        Ok(Self { root: root.into() })
    }

    /// Makes a folder under the root.
    pub(crate) fn make_folder(&self, relative: &Path) -> Result<(), Error> {
        let path = self.root.join(relative);
        fs::create_dir_all(&path).map_err(Error::io("make folder", path))
    }

    /// The file behind a datastore path.
    pub(crate) fn path_of(&self, datastore_path: &str) -> Result<PathBuf, Error> {
        Ok(DatastorePath::parse(datastore_path)?.under(&self.root))
    }
}
