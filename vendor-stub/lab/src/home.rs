//! Where a new VM has its files.

use std::fs;

use crate::datastore_path::{DatastorePath, check_name};
use crate::made::Made;
use crate::{Error, Kind, Lab, Site, VmSpec};

/// How many folders of one name there may be.
const MAX_NUMBER: u32 = 10_000;

/// The datastore VMs go to.
pub(crate) fn home_datastore(site: &Site) -> Result<String, Error> {
    let first = site
        .datastores
        .first()
        .map(|datastore| datastore.name.clone());
    first.ok_or_else(|| Error::not_found(Kind::Datastore, ""))
}

impl Lab {
    /// The path of the .vmx file of a new VM. Its folder is made.
    pub(crate) fn make_home(
        &self,
        site: &Site,
        spec: &VmSpec,
        made: &mut Made,
    ) -> Result<DatastorePath, Error> {
        let wanted = spec.home.as_deref().unwrap_or_default();
        let (datastore, place) = match wanted.strip_prefix('[') {
            Some(rest) => rest
                .split_once(']')
                .map(|(name, place)| (name.to_owned(), place.trim()))
                .ok_or_else(|| Error::not_found(Kind::File, wanted))?,
            None if wanted.is_empty() => (home_datastore(site)?, ""),
            None => return Err(Error::not_found(Kind::File, wanted)),
        };
        if site.datastore(&datastore).is_none() {
            return Err(Error::not_found(Kind::Datastore, datastore));
        }
        let vmx = match place.strip_suffix(".vmx") {
            Some(_) => place.to_owned(),
            None if place.is_empty() => {
                let folder = self.free_folder(&datastore, &spec.name)?;
                format!("{folder}/{folder}.vmx")
            }
            None => format!("{}/{}.vmx", place.trim_end_matches('/'), spec.name),
        };
        let vmx = DatastorePath::parse(&format!("[{datastore}] {vmx}"))?;
        if vmx.folder.is_empty() {
            return Err(Error::not_found(Kind::File, wanted));
        }
        let path = vmx.under(self.root());
        if path.exists() {
            return Err(Error::AlreadyExists {
                kind: Kind::File,
                id: vmx.to_string(),
            });
        }
        self.make_folder_of(&vmx, made)?;
        Ok(vmx)
    }

    /// Makes the folder of a file, unless it is there.
    pub(crate) fn make_folder_of(
        &self,
        file: &DatastorePath,
        made: &mut Made,
    ) -> Result<(), Error> {
        let path = file.under(self.root());
        let folder = path.parent().unwrap_or(self.root());
        if !folder.is_dir() {
            made.add(folder);
            fs::create_dir_all(folder).map_err(Error::io("make folder", folder))?;
        }
        Ok(())
    }

    /// A folder of that name that is not there: with a number behind it if need be.
    fn free_folder(&self, datastore: &str, name: &str) -> Result<String, Error> {
        check_name(name)?;
        let root = self.root().join("datastores").join(datastore);
        let mut names = (0..MAX_NUMBER).map(|number| match number {
            0 => name.to_owned(),
            number => format!("{name}_{number}"),
        });
        let free = names.find(|name| !root.join(name).exists());
        free.ok_or_else(|| Error::AlreadyExists {
            kind: Kind::File,
            id: format!("[{datastore}] {name}"),
        })
    }
}
