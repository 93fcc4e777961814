//! The same disk, read by nbdkit's plugin and copied by nbdcopy into a raw file.

use std::fs;
use std::process::Stdio;

use anyhow::Context as _;
use lab::SnapshotSpec;

use super::bed::{Bed, SINGLE};
use crate::bench::process::{Measured, measure};
use crate::clients;
use crate::output::skipped;

impl Bed {
    /// A full copy, up to what `fsync` ends with; `None`, said aloud, where nbdkit is not built.
    pub(super) fn copy_raw(&self) -> anyhow::Result<Option<Measured>> {
        let tools = clients::tools()?;
        let Some(mut command) = clients::nbdkit::as_built(&tools, &self.kit) else {
            skipped("nbdkit and nbdcopy are NOT THERE: cargo xtask clients --only nbdkit");
            return Ok(None);
        };
        let lab = &self.stage.lab;
        let vms = lab.vms()?;
        let vm = vms.iter().find(|vm| vm.name == SINGLE);
        let vm = vm.context("no VM of that name")?;
        let snapshot = lab.create_snapshot(&vm.moref, &SnapshotSpec::named("for nbdkit"))?;
        let file = clients::ground::file(&snapshot.disks)?;
        let address = self.stage.vcenter.address();
        command.args([
            "-r".to_owned(),
            format!("server={}", address.ip()),
            format!("port={}", address.port()),
            format!("user={}", self.stage.user),
            format!("password=+{}", self.stage.password_file.display()),
            format!("thumbprint={}", lab.thumbprint_sha1()?),
            format!("vm=moref={}", vm.moref),
            format!("snapshot={}", snapshot.moref),
            "transports=nbdssl".to_owned(),
            format!("file={file}"),
        ]);
        let raw = self.folder.join("raw.img");
        let to = clients::nbdkit::quoted(&raw);
        command.args(["--run", &format!("nbdcopy --flush \"$uri\" {to}")]);
        let measured = measure(command, Stdio::null());
        lab.remove_snapshot(&snapshot.moref, false)?;
        let measured = measured?;
        fs::remove_file(&raw)?;
        Ok(Some(measured))
    }
}
