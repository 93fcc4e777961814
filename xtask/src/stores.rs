//! `stores`: the repository on an object store that other people wrote.

mod bucket;
mod google;
mod radosgw;

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

use self::bucket::Bucket;
use self::google::Google;
use self::radosgw::Radosgw;
use crate::demo::Demo;
use crate::folder::Folder;
use crate::output::{line, skipped};
use crate::workspace;

const BUCKET_SCRIPT: &str = "tests/stores/s3_bucket.py";
/// How long the locked bucket keeps what is written to it.
const LOCK_DAYS: &str = "1";
/// What the bucket takes that becomes full.
const QUOTA_BYTES: u64 = 8 << 20;
/// Keys of a server that lives for minutes, on this machine only.
const KEY_ID: &str = "cbt-backup-test";
const SECRET: &str = "no secret: for one run on loopback";

/// Back up, restore, verify and prune on Ceph's radosgw and on fake-gcs-server, with several writers, dying ones, a quota, and Object Lock.
///
/// A fleet of processes is killed at random on each for half a minute; CBT_FLEET_SECONDS says how long else.
///
/// Ceph wants Debian's packages radosgw, ceph-mon, ceph-osd and ceph-common, and python3. The server with Google's protocol is
/// built by Go of a pinned module.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  cargo xtask stores
  cargo xtask stores --only google
  AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… cargo xtask stores --endpoint http://127.0.0.1:9000")]
pub(crate) struct Stores {
    /// Another S3 server, in place of all; the keys come from the environment. Two buckets are made there
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// That server has no Object Lock
    #[arg(long, requires = "endpoint")]
    no_lock: bool,
    /// Run on this one only
    #[arg(long, value_enum, value_name = "NAME", conflicts_with = "endpoint")]
    only: Option<Which>,
    /// Fail when a server cannot be had, in place of skipping it
    #[arg(long)]
    strict: bool,
}

/// The servers that are started here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Ceph,
    Google,
}

impl Stores {
    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When a server cannot be started, or the repository on it is not what it must be.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if let Some(endpoint) = &self.endpoint {
            let variable = |name: &str| std::env::var(name).with_context(|| format!("no {name}"));
            let keys = (
                variable("AWS_ACCESS_KEY_ID")?,
                variable("AWS_SECRET_ACCESS_KEY")?,
            );
            return Server::at(endpoint, keys).trial(!self.no_lock)?.judge();
        }
        let wanted = |which: Which| self.only.is_none_or(|only| only == which);
        let mut missing = Vec::new();
        if wanted(Which::Ceph) {
            missing.extend(on_ceph()?);
        }
        if wanted(Which::Google) {
            missing.extend(on_google()?);
        }
        if self.strict && !missing.is_empty() {
            bail!("{}", missing.join("; "));
        }
        Ok(())
    }
}

/// What this machine lacks for it, if it lacks anything.
fn on_ceph() -> anyhow::Result<Option<String>> {
    if let Some(missing) = Radosgw::missing() {
        skipped(&format!("stores: {missing}"));
        return Ok(Some(missing));
    }
    let folder = Folder::claim(&workspace::target()?.join("radosgw"))?;
    let gateway = Radosgw::start(folder.path(), KEY_ID, SECRET)?;
    line(&format!("radosgw at {}", gateway.endpoint()));
    let server = Server::at(gateway.endpoint(), (KEY_ID.into(), SECRET.into()));
    line("a bucket with a quota");
    let full = Trial {
        open: server.bucket("full", None)?,
        locked: None,
        environment: server.environment(),
    };
    gateway.limit(full.open.name(), QUOTA_BYTES)?;
    full.tests("a_full_bucket", None)?;
    server.trial(true)?.judge()?;
    Ok(None)
}

/// As [`on_ceph`].
fn on_google() -> anyhow::Result<Option<String>> {
    let folder = Folder::claim(&workspace::target()?.join("google"))?;
    let program = match google::build(folder.path())? {
        Ok(program) => program,
        Err(missing) => {
            skipped(&format!("stores: {missing}"));
            return Ok(Some(missing));
        }
    };
    let bucket = "cbt-open";
    let google = Google::start(&program, folder.path(), bucket)?;
    line(&format!("fake-gcs-server at {}", google.endpoint()));
    let trial = Trial {
        open: Bucket::new("gs", bucket, "plain-http=yes"),
        locked: None,
        environment: google.environment(),
    };
    trial.judge()?;
    Ok(None)
}

/// A store, and what opens it.
struct Trial {
    open: Bucket,
    /// One that keeps what is written to it for a time.
    locked: Option<Bucket>,
    environment: Vec<(String, String)>,
}

impl Trial {
    fn judge(&self) -> anyhow::Result<()> {
        self.tests("a_real_store", None)?;
        line("a fleet of processes under kills");
        self.tests("a_fleet_on_a_store_of_its_own", None)?;
        match &self.locked {
            Some(locked) => self.tests("a_locked_store", Some(locked))?,
            None => skipped("a bucket with Object Lock"),
        }
        line("the demo, with its repository there");
        Demo::elsewhere(self.open.at("demo"), self.environment.clone()).run()
    }

    /// Runs the tests of the repository that want a real store.
    fn tests(&self, name: &str, locked: Option<&Bucket>) -> anyhow::Result<()> {
        let mut command = workspace::cargo()?;
        command
            .args(["test", "--quiet", "-p", "cbt-backup", "--lib", name])
            .args(["--", "--ignored", "--nocapture"])
            .envs(self.environment.clone())
            .env("CBT_BACKUP_TEST_STORE", self.open.at("tests"))
            .stdin(Stdio::null());
        if let Some(locked) = locked {
            command.env("CBT_BACKUP_TEST_LOCKED_STORE", locked.at("tests"));
        }
        let status = command.status().context("failed to start cargo")?;
        if !status.success() {
            bail!("the tests on {} ended with {status}", self.open.at("tests"));
        }
        Ok(())
    }
}

/// An S3 server and the keys to it.
struct Server {
    endpoint: String,
    keys: (String, String),
    /// Part of the buckets' names: an earlier run's are left alone.
    run: u32,
}

impl Server {
    fn at(endpoint: &str, keys: (String, String)) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            keys,
            run: std::process::id(),
        }
    }

    fn trial(&self, lock: bool) -> anyhow::Result<Trial> {
        let locked = lock.then(|| self.bucket("locked", Some(LOCK_DAYS)));
        Ok(Trial {
            open: self.bucket("open", None)?,
            locked: locked.transpose()?,
            environment: self.environment(),
        })
    }

    /// Makes a bucket.
    fn bucket(&self, kind: &str, lock_days: Option<&str>) -> anyhow::Result<Bucket> {
        let name = format!("cbt-{kind}-{}", self.run);
        let status = Command::new("python3")
            .arg(workspace::root()?.join(BUCKET_SCRIPT))
            .args([&self.endpoint, &name])
            .args(lock_days)
            .envs(self.environment())
            .stdin(Stdio::null())
            .status()
            .context("failed to start python3")?;
        if !status.success() {
            bail!("bucket {name} was not made");
        }
        let plain = if self.endpoint.starts_with("http:") {
            "&plain-http=yes"
        } else {
            ""
        };
        let parameters = format!("endpoint={}{plain}", self.endpoint);
        Ok(Bucket::new("s3", &name, &parameters))
    }

    fn environment(&self) -> Vec<(String, String)> {
        let (id, secret) = &self.keys;
        [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)]
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .to_vec()
    }
}
