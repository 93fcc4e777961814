//! The simulator: built of `tests/go` where Go is, and started for one test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use cbt_backup::secret::Secret;
use cbt_backup::vsphere::{Client, ConnectOptions, ServerAddress, Trust, observe};

pub(super) const USER: &str = "backup@vsphere.local";
pub(super) const PASSWORD: &str = "s3cret & <sound>";

/// A running simulator. It ends when this is dropped.
pub(super) struct Simulator {
    child: Child,
    pub(super) address: String,
    /// The authority of its certificate: the certificate itself.
    pub(super) authority_file: PathBuf,
}

impl Simulator {
    /// Starts one with these options, or says why this test is skipped.
    pub(super) fn start(options: &[&str]) -> Option<Self> {
        static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let program = match BUILT.get_or_init(build) {
            Ok(program) => program,
            Err(why) => {
                // What a test prints is not seen when it passes; this is.
                let _ = writeln!(std::io::stderr(), "skipped: the client on vcsim: {why}");
                return None;
            }
        };
        let mut child = Command::new(program)
            .args(["-user", USER])
            .args(options)
            .env("VCSIM_PASSWORD", PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let place: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| place[name].as_str().unwrap().to_owned();
        Some(Self {
            child,
            address: text("address"),
            authority_file: text("authority_file").into(),
        })
    }

    /// What the client wants to know, with the certificate pinned as it is seen.
    pub(super) async fn options(&self) -> ConnectOptions {
        let server: ServerAddress = self.address.parse().unwrap();
        let seen = observe(&server).await.unwrap();
        ConnectOptions::new(
            server,
            USER.to_owned(),
            Secret::new(PASSWORD.to_owned()),
            Trust::Thumbprint(seen.sha256),
        )
    }

    pub(super) async fn connect(&self) -> Client {
        Client::connect(self.options().await).await.unwrap()
    }

    /// Runs the program against it.
    pub(super) async fn program(&self, arguments: &[&str]) -> Output {
        let server: ServerAddress = self.address.parse().unwrap();
        let seen = observe(&server).await.unwrap();
        Command::new(env!("CARGO_BIN_EXE_cbt-backup"))
            .args(arguments)
            .args(["--server", &self.address, "--user", USER])
            .args(["--thumbprint", &seen.sha256.to_string()])
            .env_clear()
            .env("CBT_BACKUP_PASSWORD", PASSWORD)
            .output()
            .unwrap()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Its input ends, and it with it.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// Builds the simulator. An error tells what this machine lacks; what is wrong with our own
/// files is a panic.
fn build() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/go");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("vcsim");
    let go = |arguments: &[&str]| {
        Command::new("go")
            .args(arguments)
            .current_dir(&folder)
            .stdin(Stdio::null())
            .output()
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    go(&["version"]).map_err(|error| format!("no Go ({error})"))?;
    let fetched = go(&["mod", "download"]).unwrap();
    if !fetched.status.success() {
        return Err(format!("its module can't be had: {}", said(&fetched)));
    }
    let built = go(&[
        "build",
        "-mod=readonly",
        "-o",
        program.to_str().unwrap(),
        "./vcsim",
    ])
    .unwrap();
    assert!(built.status.success(), "{}", said(&built));
    Ok(program)
}
