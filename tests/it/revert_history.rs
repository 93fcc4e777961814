//! The proof that a VM was not taken back to a snapshot, by the server's history of tasks.

use std::time::Duration;

use anyhow::{Context as _, Result};
use cbt_backup::secret::Secret;
use cbt_backup::vsphere::{
    Client, ConnectOptions, Moref, RevertDoubt, RevertHistory, TaskRef, Trust,
};
use jiff::Timestamp;
use lab::{DiskSpec, Lab, SiteSpec, VmSpec};
use tempfile::TempDir;
use vcenter_stub::{Options, VCenter};

/// A stand-in vCenter with one VM, and a client of it.
struct Rig {
    client: Client,
    vm: Moref,
    vcenter: VCenter,
    _folder: TempDir,
}

impl Rig {
    async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let site = SiteSpec::default();
        let (user, password) = (site.user.clone(), Secret::new(site.password.clone()));
        let lab = Lab::create(&folder.path().join("lab"), site)?;
        let vm = lab.add_vm(VmSpec {
            name: "app01".to_owned(),
            disks: vec![DiskSpec {
                capacity_bytes: 1 << 20,
                ..DiskSpec::default()
            }],
            ..VmSpec::default()
        })?;
        let mut options = Options::default();
        options.task_duration_ms = 5;
        let vcenter = VCenter::start(lab, options)?;
        let trust = Trust::Thumbprint(vcenter.thumbprint_sha256().parse()?);
        let server = vcenter.address().to_string().parse()?;
        let client = Client::connect(ConnectOptions::new(server, user, password, trust)).await?;
        Ok(Self {
            client,
            vm: Moref::vm(vm.moref),
            vcenter,
            _folder: folder,
        })
    }

    async fn finish(&self, task: TaskRef) -> Result<Option<Moref>> {
        let limit = Duration::from_mins(1);
        let ended = self
            .client
            .wait_task(&task, limit, &mut |_| {}, &|| false)
            .await?;
        Ok(ended.result)
    }

    async fn snapshot(&self) -> Result<Moref> {
        let task = self
            .client
            .create_snapshot(&self.vm, "s", "", false, false)
            .await?;
        self.finish(task).await?.context("no snapshot")
    }

    async fn revert(&self, snapshot: &Moref) -> Result<()> {
        let task = self.client.revert_to_snapshot(snapshot, true).await?;
        self.finish(task).await.map(|_| ())
    }

    async fn since(&self, since: Timestamp) -> Result<RevertHistory> {
        Ok(self.client.reverts_since(&self.vm, since).await?)
    }
}

#[tokio::test]
async fn the_history_tells_reverts_from_other_tasks() -> Result<()> {
    let rig = Rig::new().await?;
    let stands = rig.snapshot().await?;
    rig.revert(&stands).await?;
    let base = rig.client.current_time().await?;
    assert!(matches!(
        rig.since(base).await?,
        RevertHistory::Unknown {
            why: RevertDoubt::Silent { .. }
        }
    ));
    // What a backup does, while the snapshot of somebody stands: the revert before is not in it.
    rig.snapshot().await?;
    assert_eq!(rig.since(base).await?, RevertHistory::NoRevert);

    rig.revert(&stands).await?;
    rig.snapshot().await?;
    let found = rig.since(base).await?;
    let RevertHistory::Reverted { when } = found else {
        panic!("{found:?}");
    };
    let now = rig.client.current_time().await?;
    assert!(base <= when && when <= now, "{base} {when} {now}");
    // From then on there was none.
    assert_eq!(
        rig.since(now).await?,
        RevertDoubt::Silent { since: now }.into()
    );
    rig.snapshot().await?;
    assert_eq!(rig.since(now).await?, RevertHistory::NoRevert);

    // A history that was cleared away, but for the new snapshot.
    rig.vcenter.advance_clock(Duration::from_hours(1));
    rig.snapshot().await?;
    assert_eq!(
        rig.since(base).await?,
        RevertDoubt::TooShort { since: base }.into()
    );
    rig.client.logout().await?;
    Ok(())
}
