//! fake-gcs-server, which speaks the protocol of Google Cloud Storage, in memory, on loopback.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::json;

use crate::clients::process::{foreign, must, need};
use crate::workspace;

const FOLDER: &str = "tests/stores/google";

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(super) struct Google {
    server: Child,
    endpoint: String,
    account: PathBuf,
}

impl Drop for Google {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

/// Builds it of its pinned module; or what this machine lacks for that.
///
/// # Errors
///
/// When it is there and does not compile.
pub(super) fn build(folder: &Path) -> anyhow::Result<Result<PathBuf, String>> {
    if let Err(missing) = fetched() {
        return Ok(Err(format!("{missing:#}")));
    }
    let program = folder.join("google");
    let mut build = go()?;
    build.args(["build", "-mod=readonly", "-o"]);
    must(build.arg(&program).arg("."))?;
    Ok(Ok(program))
}

/// An error tells what this machine lacks.
fn fetched() -> anyhow::Result<()> {
    need("go", "golang-go")?;
    // Not all of what the module names: only what is compiled.
    let mut list = go()?;
    list.args(["list", "-mod=readonly", "-deps", "."]);
    must(&mut list).context("fake-gcs-server cannot be had")?;
    Ok(())
}

fn go() -> anyhow::Result<Command> {
    let mut go = foreign("go");
    go.current_dir(workspace::root()?.join(FOLDER));
    Ok(go)
}

impl Google {
    /// Starts it with an empty bucket.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub(super) fn start(program: &Path, folder: &Path, bucket: &str) -> anyhow::Result<Self> {
        let mut server = foreign(program)
            .arg(bucket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start the server")?;
        let mut place = String::new();
        if let Some(said) = server.stdout.take() {
            BufReader::new(said).read_line(&mut place)?;
        }
        let google = Self {
            server,
            endpoint: format!("http://{}", place.trim()),
            account: folder.join("account.json"),
        };
        if place.trim().is_empty() {
            bail!("the server ended at once");
        }
        let account = json!({
            "gcs_base_url": google.endpoint, "disable_oauth": true,
            "client_email": "", "private_key": "", "private_key_id": "",
        });
        fs::write(&google.account, account.to_string())?;
        Ok(google)
    }

    /// Where it answers.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What leads a client there, without a login.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let account = self.account.display().to_string();
        vec![("GOOGLE_SERVICE_ACCOUNT".to_owned(), account)]
    }
}
