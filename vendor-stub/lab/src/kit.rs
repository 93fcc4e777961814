//! The kit: the stand-in library as a client installs it.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::{Error, Lab, state};

/// The file name of the library, with the major version of its interface.
const LIBRARY: &str = "libvixDiskLib.so.8";
/// The name without a version.
const LINK: &str = "libvixDiskLib.so";

impl Lab {
    /// Copies the stand-in library to `LAB/kit/lib64`, writes `standin.toml`, and returns
    /// `LAB/kit`. A library that is loaded from there stays intact: the new file takes its name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn install_kit(&self, library: &Path) -> Result<PathBuf, Error> {
        let _lock = self.lock()?;
        self.make_folder(Path::new("kit/lib64"))?;
        let kit = self.root().join("kit");
        let target = kit.join("lib64").join(LIBRARY);
        let temporary = target.with_extension("new");
        fs::copy(library, &temporary).map_err(Error::io("copy", library))?;
        fs::rename(&temporary, &target).map_err(Error::io("replace", &target))?;

        let link = kit.join("lib64").join(LINK);
        match symlink(LIBRARY, &link) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Error::io("link", link)(error));
            }
            _ => {}
        }
        let lab = toml::Value::String(self.root().display().to_string());
        state::replace(
            &kit.join("standin.toml"),
            format!("lab = {lab}\n").as_bytes(),
        )?;
        Ok(kit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SiteSpec;

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
