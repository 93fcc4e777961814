//! The tour: a reset of change tracking, an audit that finds a lie, and a killed run that is cleaned up.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use lab::{DiskSpec, Fault, Lie, SiteSpec, VmSpec};
use serde_json::Value;

use super::compare::compare;
use super::content::{Content, write_image};
use super::program::Program;
use super::run::text;
use super::scale::MIB;
use super::shadow::Shadow;
use crate::folder::Folder;
use crate::output::line;
use crate::stage::{Stage, write_secret};
use crate::workspace::Build;

const VM: &str = "app01";
const DISK: i32 = 2000;
const CAPACITY_BYTES: u64 = 96 * MIB;
/// How long anything here may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A VM with one disk, what the disk must hold, and the program.
struct Tour {
    folder: Folder,
    stage: Stage,
    program: Program,
    vm: String,
    shadow: Shadow,
    writes: u64,
}

/// Goes through all stations.
///
/// # Errors
///
/// When a step does not end as it must.
pub(super) fn go(folder: &Path) -> anyhow::Result<()> {
    line("1. build the program and the stand-in library, and start a vCenter with one VM");
    let mut tour = Tour::begin(folder)?;
    line("2. back up in full, and what changed");
    let _ = tour.program.show(&["init"])?;
    let _ = tour.backup("full")?;
    tour.write(8)?;
    let _ = tour.backup("incremental")?;
    tour.reset()?;
    tour.lie()?;
    tour.kill()?;
    line("7. verify all points");
    let _ = tour.program.show(&["list"])?;
    let _ = tour.program.show(&["verify", "--level", "full"])?;
    Ok(())
}

impl Tour {
    fn begin(folder: &Path) -> anyhow::Result<Self> {
        let build = Build::packages(&["cbt-backup", "vixdisklib"])?;
        let folder = Folder::claim(folder)?;
        folder.check_space(CAPACITY_BYTES * 6)?;
        let images = folder.subfolder("images")?;
        let image = images.join("disk.raw");
        write_image(&image, CAPACITY_BYTES)?;
        let spec = VmSpec {
            name: VM.to_owned(),
            disks: vec![DiskSpec {
                image: Some(image.clone()),
                ..DiskSpec::default()
            }],
            ..VmSpec::default()
        };
        let stage = Stage::set(folder.path(), SiteSpec::default(), |lab| {
            lab.add_vm(spec).context("failed to add the VM")?;
            Ok(())
        })?;
        let vm = stage.lab.vms()?.into_iter().next();
        let vm = vm.context("the lab lost its VM")?.moref;
        let kit = stage
            .lab
            .install_kit(&build.shared_library("vixDiskLib")?)
            .context("failed to install the stand-in library")?;
        let secret = folder.path().join("passphrase");
        write_secret(&secret, "the passphrase of the tour")?;
        let program = build.program("cbt-backup")?;
        let program = Program::new(program, folder.path(), &kit, &stage, None);
        let shadow = Shadow::copy(&image, &images.join("shadow.raw"), CAPACITY_BYTES)?;
        Ok(Self {
            folder,
            stage,
            program,
            vm,
            shadow,
            writes: 0,
        })
    }

    /// Tracking is begun anew, as somebody else's reset does it.
    fn reset(&mut self) -> anyhow::Result<()> {
        line("3. somebody resets change tracking; the next backup reads everything and says why");
        let _ = self.program.show_vm(&["cbt", "reset", VM], false, 0)?;
        self.write(4)?;
        let point = self.backup("full")?;
        let shown = self.program.show(&["show", &point])?;
        ensure!(shown.contains("begins anew"), "the reason is not told");
        self.restore(&point)?;
        self.write(4)?;
        let _ = self.backup("incremental")?;
        Ok(())
    }

    /// A change is hidden; an audit finds it.
    fn lie(&mut self) -> anyhow::Result<()> {
        line(
            "4. vSphere hides a change from the map: the point that is made then is wrong, and nobody can see it",
        );
        self.write(16)?;
        self.order(Fault {
            call: "QueryChangedDiskAreas".to_owned(),
            lie: Some(Lie::Omit),
            ..Fault::default()
        })?;
        let blind = self.backup("incremental")?;
        self.stage.lab.set_faults(&[])?;
        line("5. an audit reads a sample of what is called unchanged");
        let audit = ["audit", VM, "--confidence", "99.99", "--fraction", "5"];
        let found = self.program.show_vm(&audit, true, 6)?;
        ensure!(found.contains("WRONG"), "the audit tells nothing");
        let shown = self.program.show(&["show", &blind])?;
        ensure!(shown.contains("found-wrong"), "the point is not marked");
        let healed = self.backup("full")?;
        self.restore(&healed)?;
        let _ = self.program.show_vm(&["audit", VM, "--full"], true, 0)?;
        self.assert_clean()
    }

    /// A run dies in the middle; the janitor cleans up.
    fn kill(&mut self) -> anyhow::Result<()> {
        line("6. a backup is killed while it reads; the janitor finds what it left and undoes it");
        self.write(8)?;
        let slow = Fault {
            call: "VixDiskLib_ReadAsync".to_owned(),
            delay_ms: Some(10_000),
            once: Some(true),
            ..Fault::default()
        };
        self.order(slow)?;
        let markers = self.stage.lab.root().join("fault-markers");
        let mut run = self.program.start(&["backup", VM])?;
        let begun = Instant::now();
        while !fs::read_dir(&markers).is_ok_and(|mut marker| marker.next().is_some()) {
            if run.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                let _ = run.kill();
                bail!("the backup did not come to its first read");
            }
            thread::sleep(Duration::from_millis(5));
        }
        run.kill()?;
        let status = run.wait()?;
        line(&format!("  killed: {status}"));
        self.stage.lab.set_faults(&[])?;
        let left = self.stage.lab.vm(&self.vm)?.snapshots.len();
        ensure!(left == 1, "{left} snapshots are left, not one");
        let janitor = [
            "janitor",
            VM,
            "--look-seconds",
            "1",
            "--assume-beat-seconds",
            "0",
        ];
        let report = [&janitor[..], &["--report"]].concat();
        let _ = self.program.show_vm(&report, true, 5)?;
        let _ = self.program.show_vm(&janitor, true, 0)?;
        self.assert_clean()?;
        let point = self.backup("incremental")?;
        self.restore(&point)
    }

    fn order(&self, fault: Fault) -> anyhow::Result<()> {
        Ok(self.stage.lab.set_faults(&[fault])?)
    }

    /// The guest writes so many MiB, always in other places.
    fn write(&mut self, mib: u64) -> anyhow::Result<()> {
        self.writes += 1;
        let offset_bytes = self.writes * 10 * MIB;
        let data = Content::new(100 + self.writes).noise(mib * MIB);
        self.stage
            .lab
            .guest_write(&self.vm, DISK, offset_bytes, &data)?;
        self.shadow.write(offset_bytes, &data)?;
        line(&format!("  the guest writes {mib} MiB"));
        Ok(())
    }

    /// Makes a point, which must be of that kind.
    fn backup(&self, kind: &str) -> anyhow::Result<String> {
        let made: Value = self.program.backup(VM)?;
        let disk = &made["disks"][0];
        line(&format!(
            "  {} point {}: {}",
            text(&made, "kind"),
            text(&made, "point"),
            match disk["reason"].as_str() {
                Some(reason) => reason.to_owned(),
                None => format!("{} bytes changed", disk["changed_bytes"]),
            }
        ));
        ensure!(made["kind"] == kind, "it should be {kind}: {made}");
        self.assert_clean()?;
        Ok(text(&made, "point").to_owned())
    }

    /// Restores a point, which must be as the disk is now.
    fn restore(&self, point: &str) -> anyhow::Result<()> {
        let place = self.folder.path().join("restored");
        self.program.restore(point, &place)?;
        let found = place.join(format!("{VM}-disk-{DISK}.raw"));
        let expected = self.folder.path().join("images/shadow.raw");
        let verdict = compare(&expected, &found)?;
        line(&format!("  {verdict}"));
        ensure!(verdict.is_identical(), "the restored disk is another");
        Ok(fs::remove_dir_all(&place)?)
    }

    fn assert_clean(&self) -> anyhow::Result<()> {
        let vm = self.stage.lab.vm(&self.vm)?;
        let is_clean =
            vm.snapshots.is_empty() && vm.disabled_methods.is_empty() && !vm.consolidation_needed;
        ensure!(is_clean, "something is left in vSphere");
        Ok(())
    }
}
