//! Ceph's S3 gateway with one monitor and one storage daemon in memory, on loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

const PROGRAMS: [&str; 6] = [
    "ceph",
    "ceph-authtool",
    "ceph-mon",
    "ceph-osd",
    "monmaptool",
    "radosgw",
];
const FSID: &str = "3d2f7a52-3a5c-4b1f-9d6e-0f5f6c1b7a10";
const OSD_UUID: &str = "8a5d2d0e-6f0b-4f0e-8f1c-5b2f3a9c4e21";
const MEMORY_BYTES: u64 = 4 << 30;
/// From nothing to the first answer it takes about 15 s on an idle machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// A running gateway; dropping it ends its three daemons.
#[derive(Debug)]
pub(super) struct Radosgw {
    folder: PathBuf,
    endpoint: String,
    daemons: Vec<Child>,
}

impl Drop for Radosgw {
    fn drop(&mut self) {
        for daemon in self.daemons.iter_mut().rev() {
            drop(daemon.kill());
            drop(daemon.wait());
        }
    }
}

impl Radosgw {
    /// What this machine lacks; nothing when all is there.
    pub(super) fn missing() -> Option<String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let there = |name: &&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
        let missing = PROGRAMS.iter().find(|name| !there(name))?;
        Some(format!(
            "no {missing} (Debian packages radosgw ceph-mon ceph-osd ceph-common)"
        ))
    }

    /// Where it answers.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Starts it in an empty folder, with one user who has these keys.
    ///
    /// # Errors
    ///
    /// When a program fails or the gateway does not answer in time.
    pub(super) fn start(folder: &Path, key_id: &str, secret: &str) -> anyhow::Result<Self> {
        for name in ["mon", "osd", "rgw", "run", "log"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let (monitor, gateway) = (free_port()?, free_port()?);
        fs::write(folder.join("ceph.conf"), settings(folder, monitor, gateway))?;
        let mut ceph = Self {
            folder: folder.to_owned(),
            endpoint: format!("http://127.0.0.1:{gateway}"),
            daemons: Vec::new(),
        };
        ceph.start_monitor(monitor)?;
        ceph.start_storage()?;
        ceph.start_gateway(gateway, key_id, secret)?;
        Ok(ceph)
    }

    fn start_monitor(&mut self, port: u16) -> anyhow::Result<()> {
        let all = ["--cap", "mon", "allow *", "--cap", "osd", "allow *"];
        self.key("mon.keyring", "mon.", &all[..3])?;
        self.key("client.admin.keyring", "client.admin", &all)?;
        let import = ["mon.keyring", "--import-keyring", "client.admin.keyring"];
        self.must("ceph-authtool", &import)?;
        let address = format!("[v2:127.0.0.1:{port}]");
        let map = [
            "--create", "--addv", "a", &address, "--fsid", FSID, "monmap",
        ];
        self.must("monmaptool", &map)?;
        let make = [
            "--mkfs",
            "-i",
            "a",
            "--monmap",
            "monmap",
            "--keyring",
            "mon.keyring",
        ];
        self.must("ceph-mon", &make)?;
        self.daemon("ceph-mon", &["-i", "a"])?;
        self.wait("the monitor", port)
    }

    fn start_storage(&mut self) -> anyhow::Result<()> {
        let rights = [
            "--cap",
            "mon",
            "allow profile osd",
            "--cap",
            "osd",
            "allow *",
        ];
        self.key("osd.0.keyring", "osd.0", &rights)?;
        self.must("ceph", &["-n", "client.admin", "osd", "new", OSD_UUID])?;
        self.must(
            "ceph",
            &[
                "-n",
                "client.admin",
                "auth",
                "import",
                "-i",
                "osd.0.keyring",
            ],
        )?;
        self.must("ceph-osd", &["-i", "0", "--mkfs", "--osd-uuid", OSD_UUID])?;
        self.daemon("ceph-osd", &["-i", "0"])
    }

    fn start_gateway(&mut self, port: u16, key_id: &str, secret: &str) -> anyhow::Result<()> {
        let rights = ["--cap", "mon", "allow rw", "--cap", "osd", "allow rwx"];
        self.key("client.rgw.keyring", "client.rgw", &rights)?;
        let import = [
            "-n",
            "client.admin",
            "auth",
            "import",
            "-i",
            "client.rgw.keyring",
        ];
        self.must("ceph", &import)?;
        self.daemon("radosgw", &["-n", "client.rgw"])?;
        self.wait("the gateway", port)?;
        let (key_id, secret) = (
            format!("--access-key={key_id}"),
            format!("--secret-key={secret}"),
        );
        let user = ["-n", "client.admin", "user", "create", "--uid=test"];
        let user = [&user[..], &["--display-name=test", &key_id, &secret]].concat();
        self.must("radosgw-admin", &user)
    }

    /// Gives a bucket a quota.
    ///
    /// # Errors
    ///
    /// When the program fails.
    pub(super) fn limit(&self, bucket: &str, bytes: u64) -> anyhow::Result<()> {
        let (bucket, most) = (format!("--bucket={bucket}"), format!("--max-size={bytes}"));
        let quota = ["-n", "client.admin", "quota"];
        let of_bucket = ["--quota-scope=bucket", "--uid=test", &bucket];
        self.must(
            "radosgw-admin",
            &[&quota[..], &["set", &most], &of_bucket].concat(),
        )?;
        self.must(
            "radosgw-admin",
            &[&quota[..], &["enable"], &of_bucket].concat(),
        )
    }

    fn key(&self, file: &str, name: &str, rights: &[&str]) -> anyhow::Result<()> {
        let make = ["-C", file, "--gen-key", "-n", name];
        self.must("ceph-authtool", &[&make[..], rights].concat())
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env("CEPH_CONF", self.folder.join("ceph.conf"))
            .env("LC_ALL", "C")
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::null());
        command
    }

    fn must(&self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let output = self.command(program, arguments).output();
        let output = output.with_context(|| format!("failed to start {program}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            bail!("{program} ended with {} and said:\n{said}", output.status);
        }
        Ok(())
    }

    /// Starts a daemon in the foreground, so that it is our child.
    fn daemon(&mut self, program: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let log = fs::File::create(self.folder.join("log").join(program))?;
        let mut command = self.command(program, arguments);
        command.arg("-f").stdout(log.try_clone()?).stderr(log);
        let child = command.spawn();
        self.daemons
            .push(child.with_context(|| format!("failed to start {program}"))?);
        Ok(())
    }

    fn wait(&mut self, what: &str, port: u16) -> anyhow::Result<()> {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            for daemon in &mut self.daemons {
                if let Some(status) = daemon.try_wait()? {
                    bail!(
                        "{what}: a daemon ended with {status}; see {}",
                        self.folder.display()
                    );
                }
            }
            if started.elapsed() > PATIENCE {
                bail!("{what} does not answer; see {}", self.folder.display());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }
}

/// A port that was free a moment ago: Ceph does not tell which one it took.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn settings(folder: &Path, monitor: u16, gateway: u16) -> String {
    let at = folder.display();
    format!(
        "\
[global]
fsid = {FSID}
mon host = v2:127.0.0.1:{monitor}
mon initial members = a
public addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = {MEMORY_BYTES}
mon allow pool size one = true
mon data avail crit = 1
mon warn on pool no redundancy = false
run dir = {at}/run
log file = {at}/log/$name.log
pid file = {at}/run/$name.pid
admin socket = {at}/run/$name.asok
keyring = {at}/$name.keyring
mon data = {at}/mon
osd data = {at}/osd
[mon]
keyring = {at}/mon.keyring
[client.rgw]
rgw data = {at}/rgw
rgw frontends = beast endpoint=127.0.0.1:{gateway}
"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::settings;

    #[test]
    fn nothing_leaves_the_folder_or_loopback() {
        let text = settings(Path::new("/scratch"), 1, 2);
        let path = |line: &&str| line.contains('/');
        for line in text.lines().filter(path) {
            assert!(line.contains(" = /scratch/"), "{line}");
        }
        assert!(!text.contains("0.0.0.0"));
    }
}
