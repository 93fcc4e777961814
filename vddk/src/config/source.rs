//! Where the library's settings come from.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError, file::PrivateFile, text};

/// Where VDDK's settings come from.
///
/// A private file is one that only this user may read, in a folder of its own under the system's
/// folder for temporary files. It is removed when the library has ended; a process that is killed
/// leaves it behind. It holds no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ConfigSource {
    /// The advised settings ([`Config::recommended`]), written to a private file.
    #[default]
    Recommended,
    /// These settings, written to a private file.
    Settings(Config),
    /// A file of the user's. It must be there and be well formed: VDDK itself would go on without
    /// a word (VDDK API reference, section 5).
    File(PathBuf),
    /// No file is named: the library looks by itself at `/etc/vmware/config`,
    /// `/usr/lib/vmware/settings`, `/usr/lib/vmware/config`, `~/.vmware/config` and
    /// `~/.vmware/preferences` (VDDK API reference, section 5).
    Unnamed,
}

impl From<Config> for ConfigSource {
    fn from(config: Config) -> Self {
        Self::Settings(config)
    }
}

impl From<PathBuf> for ConfigSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// What the library is started with. It lives as long as the library does.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The settings, where they are known.
    settings: Option<Config>,
    file: ConfigFile,
}

#[derive(Debug)]
enum ConfigFile {
    Ours(PrivateFile),
    Users(PathBuf),
    Unnamed,
}

impl ConfigSource {
    /// Reads or writes the file for the library whose SONAME has that number.
    pub(crate) fn prepare(&self, major: Option<u32>) -> Result<Prepared, ConfigError> {
        let written = |config: Config| {
            let file = PrivateFile::write(&text::write(&config, major))?;
            Ok(Prepared {
                settings: Some(config),
                file: ConfigFile::Ours(file),
            })
        };
        match self {
            Self::Recommended => written(Config::recommended()),
            Self::Settings(config) => written(config.clone()),
            Self::File(path) => Ok(Prepared {
                settings: Some(Config::read(path)?),
                file: ConfigFile::Users(path.clone()),
            }),
            Self::Unnamed => Ok(Prepared {
                settings: None,
                file: ConfigFile::Unnamed,
            }),
        }
    }
}

impl Prepared {
    pub(crate) fn settings(&self) -> Option<&Config> {
        self.settings.as_ref()
    }

    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.file {
            ConfigFile::Ours(file) => Some(file.path()),
            ConfigFile::Users(path) => Some(path),
            ConfigFile::Unnamed => None,
        }
    }
}
