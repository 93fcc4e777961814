//! `stores`: the repository on an object store that other people wrote.

mod radosgw;

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::Args;

use self::radosgw::Radosgw;
use crate::demo::Demo;
use crate::folder::Folder;
use crate::output::{line, skipped};
use crate::workspace;

const BUCKET_SCRIPT: &str = "tests/stores/s3_bucket.py";
/// How long the locked bucket keeps what is written to it.
const LOCK_DAYS: &str = "1";
/// Keys of a server that lives for minutes, on this machine only.
const KEY_ID: &str = "cbt-backup-test";
const SECRET: &str = "no secret: for one run on loopback";

/// Back up, restore, verify and prune on Ceph's radosgw, with several writers, dying ones, and Object Lock.
///
/// A fleet of processes is killed at random there for half a minute; CBT_FLEET_SECONDS says how long else.
///
/// It wants Debian's packages radosgw, ceph-mon, ceph-osd and ceph-common, and python3.
#[derive(Debug, Default, Args)]
#[command(after_help = "Examples:
  cargo xtask stores
  AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… cargo xtask stores --endpoint http://127.0.0.1:9000")]
pub(crate) struct Stores {
    /// Another S3 server, in place of radosgw; the keys come from the environment. Two buckets are made there
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// That server has no Object Lock
    #[arg(long, requires = "endpoint")]
    no_lock: bool,
    /// Fail when there is no radosgw, in place of skipping
    #[arg(long)]
    strict: bool,
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
            return Server::at(endpoint, keys).judge(!self.no_lock);
        }
        if let Some(missing) = Radosgw::missing() {
            if self.strict {
                bail!("{missing}");
            }
            skipped(&format!("stores: {missing}"));
            return Ok(());
        }
        let folder = Folder::claim(&workspace::target()?.join("radosgw"))?;
        let gateway = Radosgw::start(folder.path(), KEY_ID, SECRET)?;
        line(&format!("radosgw at {}", gateway.endpoint()));
        Server::at(gateway.endpoint(), (KEY_ID.into(), SECRET.into())).judge(true)
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

    fn judge(&self, lock: bool) -> anyhow::Result<()> {
        let open = self.bucket("open", None)?;
        self.tests("a_real_store", &open, None)?;
        line("a fleet of processes under kills");
        self.tests("a_fleet_on_a_store_of_its_own", &open, None)?;
        if lock {
            let locked = self.bucket("locked", Some(LOCK_DAYS))?;
            self.tests("a_locked_store", &open, Some(&locked))?;
        } else {
            skipped("a bucket with Object Lock");
        }
        line("the demo, with its repository there");
        let demo = Demo::elsewhere(self.address(&open, "demo"), self.environment());
        demo.run()
    }

    /// Makes a bucket and returns its name.
    fn bucket(&self, kind: &str, lock_days: Option<&str>) -> anyhow::Result<String> {
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
        Ok(name)
    }

    fn address(&self, bucket: &str, prefix: &str) -> String {
        let plain = if self.endpoint.starts_with("http:") {
            "&plain-http=yes"
        } else {
            ""
        };
        format!("s3://{bucket}/{prefix}?endpoint={}{plain}", self.endpoint)
    }

    fn environment(&self) -> Vec<(String, String)> {
        let (id, secret) = &self.keys;
        [("AWS_ACCESS_KEY_ID", id), ("AWS_SECRET_ACCESS_KEY", secret)]
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .to_vec()
    }

    /// Runs the tests of the repository that want a real store.
    fn tests(&self, name: &str, open: &str, locked: Option<&str>) -> anyhow::Result<()> {
        let mut command = workspace::cargo()?;
        command
            .args(["test", "--quiet", "-p", "cbt-backup", "--lib", name])
            .args(["--", "--ignored", "--nocapture"])
            .envs(self.environment())
            .env("CBT_BACKUP_TEST_STORE", self.address(open, "tests"))
            .stdin(Stdio::null());
        if let Some(locked) = locked {
            command.env(
                "CBT_BACKUP_TEST_LOCKED_STORE",
                self.address(locked, "tests"),
            );
        }
        let status = command.status().context("failed to start cargo")?;
        if !status.success() {
            bail!("the tests on {} ended with {status}", self.endpoint);
        }
        Ok(())
    }
}
