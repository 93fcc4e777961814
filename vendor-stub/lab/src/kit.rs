//! The kit: the stand-in library as a client installs it.

mod elf;

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use elf::Elf;

use crate::{Error, Lab, state};

/// The name without a version.
const LINK: &str = "libvixDiskLib.so";
/// The interface numbers there are ("VDDK API reference", 0.4).
const MAJORS: std::ops::RangeInclusive<u32> = 6..=9;

/// Which release a kit poses as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KitSpec {
    /// Interface number of the SONAME, 6 to 9. The library reads its own SONAME and answers as
    /// that release does.
    pub major: u32,
    /// Functions the release does not have.
    pub hidden: Vec<String>,
}

impl Default for KitSpec {
    /// The eighth interface with all functions.
    fn default() -> Self {
        Self {
            major: 8,
            hidden: Vec::new(),
        }
    }
}

impl KitSpec {
    /// Release 6.5, which lacks what 6.7 brought ("VDDK API reference", 1.2).
    pub fn release_6_5() -> Self {
        let hidden = [
            "VixDiskLib_QueryAllocatedBlocks",
            "VixDiskLib_FreeBlockList",
            "VixDiskLib_AllocateConnectParams",
        ];
        Self {
            major: 6,
            hidden: hidden.map(str::to_owned).into(),
        }
    }

    /// The name of the library's file, which is its SONAME too.
    pub fn file_name(&self) -> String {
        format!("{LINK}.{}", self.major)
    }
}

/// The interface number in the SONAME of a library file; `None` for a file without such a name.
///
/// # Errors
///
/// [`Error::Io`]; [`Error::Library`] for what is no 64-bit ELF file.
pub fn library_major(library: &Path) -> Result<Option<u32>, Error> {
    let soname = Elf::open(library, false)?.soname()?;
    let number = soname.as_deref().and_then(|name| {
        let (name, number) = name.rsplit_once('.')?;
        (name == LINK).then(|| number.parse().ok())?
    });
    Ok(number)
}

impl Lab {
    /// Copies the stand-in library to `LAB/kit/lib64`, writes `standin.toml`, and returns
    /// `LAB/kit`. A library that is loaded from there stays intact: the new file takes its name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn install_kit(&self, library: &Path) -> Result<PathBuf, Error> {
        let kit = self.root().join("kit");
        self.install(library, &KitSpec::default(), &kit, true)?;
        Ok(kit)
    }

    /// As [`Lab::install_kit`], posing as another release. Libraries of other interface numbers
    /// that lie in `LAB/kit` are removed.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::InvalidSpec`] for an interface number outside 6 to 9;
    /// [`Error::Library`] when the file is no library or lacks a function that was to be hidden.
    pub fn install_kit_as(&self, library: &Path, spec: &KitSpec) -> Result<PathBuf, Error> {
        let kit = self.root().join("kit");
        self.install_kit_in(library, spec, &kit)?;
        Ok(kit)
    }

    /// As [`Lab::install_kit_as`], in a folder anywhere. A lab may have any number of kits.
    ///
    /// # Errors
    ///
    /// As [`Lab::install_kit_as`].
    pub fn install_kit_in(&self, library: &Path, spec: &KitSpec, kit: &Path) -> Result<(), Error> {
        if !MAJORS.contains(&spec.major) {
            return Err(Error::InvalidSpec {
                what: "major",
                reason: format!("{} is not between 6 and 9", spec.major),
            });
        }
        self.install(library, spec, kit, false)
    }

    /// `plain`: the library is copied as it is.
    fn install(
        &self,
        library: &Path,
        spec: &KitSpec,
        kit: &Path,
        plain: bool,
    ) -> Result<(), Error> {
        let _lock = self.lock()?;
        let lib64 = kit.join("lib64");
        fs::create_dir_all(&lib64).map_err(Error::io("make folder", &lib64))?;
        let file_name = spec.file_name();
        let target = lib64.join(&file_name);
        let temporary = lib64.join("new-library");
        fs::copy(library, &temporary).map_err(Error::io("copy", library))?;
        if !plain && let Err(error) = disguise(&temporary, spec) {
            // The first error is the one worth telling.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        fs::rename(&temporary, &target).map_err(Error::io("replace", &target))?;
        for major in MAJORS.filter(|major| *major != spec.major) {
            state::remove_if_there(&lib64.join(format!("{LINK}.{major}")))?;
        }
        let link = lib64.join(LINK);
        state::remove_if_there(&link)?;
        match symlink(&file_name, &link) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("link", link)(error));
            }
            _ => {}
        }
        let lab = toml::Value::String(self.root().display().to_string());
        state::replace(
            &kit.join("standin.toml"),
            format!("lab = {lab}\n").as_bytes(),
        )
    }
}

/// Makes a copy of the library pose as another release.
fn disguise(library: &Path, spec: &KitSpec) -> Result<(), Error> {
    let elf = Elf::open(library, true)?;
    elf.set_soname(&spec.file_name())?;
    elf.hide(&spec.hidden)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteSpec;

    const LIBRARY: &str = "libvixDiskLib.so.8";

    #[test]
    fn the_library_file_finds_its_lab() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("built.so");
        fs::write(&library, "one").unwrap();
        let lab = Lab::create(&folder.path().join("a \"lab\""), SiteSpec::default()).unwrap();
        let kit = lab.install_kit(&library).unwrap();
        fs::write(&library, "two").unwrap();
        lab.install_kit(&library).unwrap();

        for file in [
            kit.join("lib64").join(LIBRARY),
            kit.join("lib64").join(LINK),
            kit.join(LIBRARY),
        ] {
            assert_eq!(Lab::find(&file).unwrap().unwrap().root(), lab.root());
        }
        assert_eq!(fs::read(kit.join("lib64").join(LINK)).unwrap(), b"two");
        assert!(Lab::find(&library).unwrap().is_none());
    }

    #[test]
    fn a_bad_settings_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let settings = folder.path().join("standin.toml");
        fs::write(&settings, "lab = 1").unwrap();
        assert!(matches!(
            Lab::find(&folder.path().join("x.so")),
            Err(Error::Toml { .. })
        ));
        fs::write(&settings, "lab = \"/nonexistent/lab\"").unwrap();
        assert!(matches!(
            Lab::find(&folder.path().join("x.so")),
            Err(Error::NotFound { .. })
        ));
        fs::write(&settings, "async = \"inline\"").unwrap();
        assert!(Lab::find(&folder.path().join("x.so")).unwrap().is_none());
    }
}
