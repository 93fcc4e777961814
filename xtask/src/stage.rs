//! A stage to play on: a lab with a vCenter over it, and the secrets in files.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use lab::{Lab, SiteSpec};
use vcenter_stub::{Options, VCenter};

/// A lab that is being served.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The lab.
    pub(crate) lab: Lab,
    /// The server. It stops when this is dropped.
    pub(crate) vcenter: VCenter,
    /// Who may log in.
    pub(crate) user: String,
    /// The file with that user's password.
    pub(crate) password_file: PathBuf,
}

impl Stage {
    /// Makes a lab in `folder/lab`, fills it, and serves it. `folder` must be absolute.
    ///
    /// # Errors
    ///
    /// When the lab cannot be made or filled, or the server cannot start.
    pub(crate) fn set(
        folder: &Path,
        site: SiteSpec,
        fill: impl FnOnce(&Lab) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let user = site.user.clone();
        let password_file = folder.join("password");
        write_secret(&password_file, &site.password)?;
        let lab = Lab::create(&folder.join("lab"), site).context("failed to make the lab")?;
        fill(&lab)?;
        let vcenter = VCenter::start(lab.clone(), Options::default())
            .context("failed to start the stand-in vCenter")?;
        Ok(Self {
            lab,
            vcenter,
            user,
            password_file,
        })
    }
}

/// Writes a secret to a new file that only its owner can read.
///
/// # Errors
///
/// When the file exists or cannot be written.
pub(crate) fn write_secret(path: &Path, secret: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    file.and_then(|mut file| writeln!(file, "{secret}"))
        .with_context(|| format!("failed to write {}", path.display()))
}
