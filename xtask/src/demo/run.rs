//! The steps of the demo, in order.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use lab::{DiskSpec, SiteSpec, Vm, VmSpec};
use serde_json::Value;

use super::Store;
use super::compare::{Verdict, compare};
use super::guest;
use super::image::{Image, Plan};
use super::program::Program;
use super::scale::MIB;
use super::shadow::Shadow;
use crate::folder::Folder;
use crate::output::{bytes, line, table};
use crate::stage::{Stage, write_secret};
use crate::workspace::Build;

const VM: &str = "app01";
/// Small, so that the map of changes comes in several pages.
const PAGE_EXTENTS: usize = 100;
/// Image, lab, shadow, repository, restored files.
const COPIES: u64 = 5;

/// What is left on the stage when the play is over.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) folder: Folder,
    pub(super) stage: Stage,
    pub(super) program: Program,
    /// The program `vcenter-stub`, when it was asked for.
    pub(super) stand_in: Option<PathBuf>,
    pub(super) vm: String,
    pub(super) last_point: String,
}

/// A disk of the VM and what it must hold.
#[derive(Debug)]
struct Part {
    device_key: i32,
    label: String,
    capacity_bytes: u64,
    /// What it must hold at each point.
    expected: Vec<PathBuf>,
    /// What the guest touched between the points, in whole grains.
    touched_bytes: u64,
}

/// Plays the whole demo.
///
/// # Errors
///
/// When a step fails, and when a restored byte differs.
pub(super) fn play(
    folder: &Path,
    given: &[PathBuf],
    keep: bool,
    store: Option<&Store>,
) -> anyhow::Result<Played> {
    line("1. build the program and the stand-in library");
    let (program, library, stand_in) = build(keep)?;

    let folder = Folder::claim(folder)?;
    line(&format!(
        "2. make the disk images in {}",
        folder.path().display()
    ));
    let plans = Plan::all(given)?;
    let needed_bytes = plans.iter().map(Plan::content_bytes).sum::<u64>();
    folder.check_space(needed_bytes * COPIES + 256 * MIB)?;
    let images = make_images(&folder, &plans)?;

    line("3. start the stand-in vCenter with one VM");
    let stage = set_stage(&folder, &images)?;
    let vm = only_vm(&stage)?;
    let kit = stage
        .lab
        .install_kit(&library)
        .context("failed to install the stand-in library")?;
    let program = Program::new(program, folder.path(), &kit, &stage, store);
    line(&format!(
        "  {} with {} disks at {}",
        vm.name,
        vm.disks.len(),
        stage.vcenter.url()
    ));

    line("4. back up in full");
    write_secret(
        &folder.path().join("passphrase"),
        "the passphrase of the demo",
    )?;
    let _ = program.show(&["init"])?;
    let full = program.backup(VM)?;

    line("5. the guest writes");
    let mut parts = parts(&vm, &images);
    for part in &mut parts {
        write_as_guest(&folder, &stage, &vm.moref, part)?;
    }

    line("6. back up what changed");
    let incremental = program.backup(VM)?;
    line(&counted(&parts, &full, &incremental));
    line("7. list and verify");
    let _ = program.show(&["list"])?;
    let _ = program.show(&["verify", "--level", "full"])?;

    line("8. restore both points and compare every byte");
    let verdicts = compare_points(&folder, &program, &parts, &[&full, &incremental])?;
    line(&compared(&parts, &verdicts));
    judge(&stage, &full, &incremental, &verdicts)?;
    let last_point = text(&incremental, "point").to_owned();
    Ok(Played {
        folder,
        stage,
        program,
        stand_in,
        vm: VM.to_owned(),
        last_point,
    })
}

fn build(keep: bool) -> anyhow::Result<(PathBuf, PathBuf, Option<PathBuf>)> {
    let mut packages = vec!["cbt-backup", "vixdisklib"];
    if keep {
        packages.push("vcenter-stub");
    }
    let build = Build::packages(&packages)?;
    let stand_in = keep.then(|| build.program("vcenter-stub")).transpose()?;
    Ok((
        build.program("cbt-backup")?,
        build.shared_library("vixDiskLib")?,
        stand_in,
    ))
}

fn make_images(folder: &Folder, plans: &[Plan]) -> anyhow::Result<Vec<Image>> {
    let place = folder.subfolder("images")?;
    let make = |(number, plan): (usize, &Plan)| {
        let image = plan.make(&place, number)?;
        line(&format!(
            "  disk {number}: {}, {}",
            bytes(plan.capacity_bytes()),
            image.about
        ));
        Ok(image)
    };
    (1..).zip(plans).map(make).collect()
}

fn set_stage(folder: &Folder, images: &[Image]) -> anyhow::Result<Stage> {
    let site = SiteSpec {
        page_extents: PAGE_EXTENTS,
        ..SiteSpec::default()
    };
    let disk = |image: &Image| DiskSpec {
        image: Some(image.origin.clone()),
        ..DiskSpec::default()
    };
    let spec = VmSpec {
        name: VM.to_owned(),
        disks: images.iter().map(disk).collect(),
        ..VmSpec::default()
    };
    Stage::set(folder.path(), site, |lab| {
        lab.add_vm(spec).context("failed to add the VM")?;
        Ok(())
    })
}

fn only_vm(stage: &Stage) -> anyhow::Result<Vm> {
    stage
        .lab
        .vms()?
        .into_iter()
        .next()
        .context("the lab lost its VM")
}

fn parts(vm: &Vm, images: &[Image]) -> Vec<Part> {
    let part = |(disk, image): (&lab::Disk, &Image)| Part {
        device_key: disk.device_key,
        label: disk.label.clone(),
        capacity_bytes: disk.capacity_bytes,
        expected: vec![image.raw.clone()],
        touched_bytes: 0,
    };
    vm.disks.iter().zip(images).map(part).collect()
}

fn write_as_guest(folder: &Folder, stage: &Stage, vm: &str, part: &mut Part) -> anyhow::Result<()> {
    let place = folder.subfolder("shadow")?;
    let path = place.join(format!("disk-{}-after-writes.raw", part.device_key));
    let shadow = Shadow::copy(&part.expected[0], &path, part.capacity_bytes)
        .with_context(|| format!("failed to copy to {}", path.display()))?;
    let writes = guest::plan(part.capacity_bytes);
    guest::play(&writes, &stage.lab, vm, part.device_key, &shadow)?;
    part.touched_bytes = guest::touched_bytes(&writes, part.capacity_bytes);
    part.expected.push(path);
    let (count, touched) = (writes.len(), bytes(part.touched_bytes));
    line(&format!(
        "  {}: {count} writes, {touched} in grains of 64 KiB",
        part.label
    ));
    Ok(())
}

/// Restores each point, compares its files, and removes them again.
fn compare_points(
    folder: &Folder,
    program: &Program,
    parts: &[Part],
    results: &[&Value],
) -> anyhow::Result<Vec<Vec<Verdict>>> {
    let mut verdicts = Vec::new();
    for (number, result) in results.iter().enumerate() {
        let place = folder.path().join(format!("restored-{}", number + 1));
        program.restore(text(result, "point"), &place)?;
        let judge = |part: &Part| {
            let name = format!("{VM}-disk-{}.raw", part.device_key);
            compare(&part.expected[number], &place.join(name))
        };
        let found = parts
            .iter()
            .map(judge)
            .collect::<anyhow::Result<Vec<_>>>()?;
        if found.iter().all(|verdict| verdict.is_identical()) {
            fs::remove_dir_all(&place)?;
        }
        verdicts.push(found);
    }
    Ok(verdicts)
}

/// What the two backups did, disk by disk.
fn counted(parts: &[Part], full: &Value, incremental: &Value) -> String {
    let head = [
        "", "kind", "size", "written", "changed", "read", "new", "stored",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (backup, is_first) in [(full, true), (incremental, false)] {
        for part in parts {
            let disk = disk_of(backup, part.device_key);
            let number = |field: &str| disk[field].as_u64().map_or_else(|| "-".to_owned(), bytes);
            rows.push(vec![
                part.label.clone(),
                text(disk, "action").to_owned(),
                bytes(part.capacity_bytes),
                if is_first {
                    "-".to_owned()
                } else {
                    bytes(part.touched_bytes)
                },
                number("changed_bytes"),
                number("read_bytes"),
                number("new_bytes"),
                number("stored_bytes"),
            ]);
        }
    }
    table(&rows)
}

fn compared(parts: &[Part], verdicts: &[Vec<Verdict>]) -> String {
    let mut rows = vec![["", "point 1", "point 2"].map(str::to_owned).to_vec()];
    for (number, part) in parts.iter().enumerate() {
        let mut row = vec![part.label.clone()];
        row.extend(verdicts.iter().map(|point| point[number].to_string()));
        rows.push(row);
    }
    table(&rows)
}

/// Everything must be as it should.
fn judge(
    stage: &Stage,
    full: &Value,
    incremental: &Value,
    verdicts: &[Vec<Verdict>],
) -> anyhow::Result<()> {
    if !verdicts
        .iter()
        .flatten()
        .all(|verdict| verdict.is_identical())
    {
        bail!("a restored disk is not what it must be");
    }
    for (backup, kind) in [(full, "full"), (incremental, "incremental")] {
        if text(backup, "kind") != kind || backup["incomplete"] != false {
            bail!("the backup that should be {kind} and complete says {backup}");
        }
    }
    let vm = only_vm(stage)?;
    if !vm.snapshots.is_empty() || !vm.disabled_methods.is_empty() || vm.consolidation_needed {
        bail!("the backups left something behind in vSphere");
    }
    Ok(())
}

fn disk_of(backup: &Value, device_key: i32) -> &Value {
    let disks = backup["disks"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    disks
        .iter()
        .find(|disk| disk["device_key"] == device_key)
        .unwrap_or(&Value::Null)
}

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}
