//! Disks of a point, back into raw files.

mod disk;

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::Duration,
};

use tokio::runtime::Handle;

use self::disk::{DiskRestore, Wanted};
use super::{error::Error, host::host_name, monitor::Monitor};
use crate::repo::{DiskRecord, DiskState, Point, Repository};

/// How often a restore says that it is alive.
const HEARTBEAT: Duration = Duration::from_mins(1);

/// What is restored, and how.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The folder the files go to; made where it is missing.
    pub folder: PathBuf,
    /// Labels or device keys of the disks wanted; empty: all that the point holds.
    pub disks: Vec<String>,
    /// Replace files that are there.
    pub replace: bool,
    /// Restore disks whose data are an older state.
    pub allow_carried: bool,
    /// Restore disks part of which cannot be read, with zeros in its place, and tell each part.
    pub allow_unreadable: bool,
}

/// A disk that was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredDisk {
    /// vSphere's label.
    pub label: String,
    /// vSphere's device key.
    pub device_key: i32,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub capacity_bytes: u64,
    /// Bytes that were written; the rest is holes.
    pub written_bytes: u64,
    /// The data are those of an earlier point, because the run could not read the disk.
    pub carried: bool,
    /// Bytes that could not be read; the file has zeros there.
    pub lost_bytes: u64,
    /// In so many ranges. Each was told as an event, `bytes-lost`.
    pub lost_ranges: u64,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// The disks that are there now.
    pub restored: Vec<RestoredDisk>,
    /// Disks whose data the point does not hold: label and reason.
    pub absent: Vec<(String, String)>,
}

impl RestoreReport {
    /// True when nothing of what was restored is lost.
    pub fn is_whole(&self) -> bool {
        self.restored.iter().all(|disk| disk.lost_bytes == 0)
    }
}

/// Restores disks of a point. All checks are made before the first byte is written. What cannot be read
/// is an error, or with `allow_unreadable` an event `bytes-lost` for each range.
///
/// # Errors
/// [`Error::NotFound`] for an unknown disk, [`Error::Carried`], [`Error::TargetExists`],
/// [`Error::Target`], [`Error::Repository`] for damage, [`Error::Interrupted`]. Files that are
/// complete stay; of the one that failed nothing does.
pub fn restore(
    repository: &Repository,
    runtime: &Handle,
    point: &Point,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
    cancel: &AtomicBool,
) -> Result<RestoreReport, Error> {
    let chosen = choose(&point.root.disks, options)?;
    let target = |path: &Path| {
        let path = path.to_path_buf();
        move |source: io::Error| Error::Target { path, source }
    };
    std::fs::create_dir_all(&options.folder).map_err(target(&options.folder))?;
    let mut plan = Vec::new();
    for index in chosen {
        let record = &point.root.disks[index];
        let path = options
            .folder
            .join(file_name(&point.root.vm.name, record.identity.device_key));
        if !options.replace && path.try_exists().map_err(target(&path))? {
            return Err(Error::TargetExists { path });
        }
        plan.push(Wanted {
            index,
            record,
            path,
        });
    }
    let pin = runtime.block_on(repository.pin(&[point.id()], &host_name(), HEARTBEAT, runtime))?;
    let work = DiskRestore {
        repository,
        runtime,
        point,
        options,
        monitor,
        cancel,
    };
    let done: Result<Vec<_>, Error> = plan.into_iter().map(|disk| work.restore(disk)).collect();
    if let Some(Err(error)) = pin.map(|pin| runtime.block_on(pin.close())) {
        tracing::warn!(%error, "the announcement of this restore stays until the next prune");
    }
    let restored = done?;
    let absent = point
        .root
        .disks
        .iter()
        .filter(|_| options.disks.is_empty())
        .filter_map(|disk| match &disk.state {
            DiskState::Absent { reason } => Some((disk.identity.label.clone(), reason.clone())),
            _ => None,
        });
    Ok(RestoreReport {
        absent: absent.collect(),
        restored,
    })
}

/// The disks wanted, by their place in the point.
fn choose(disks: &[DiskRecord], options: &RestoreOptions) -> Result<Vec<usize>, Error> {
    let mut chosen = Vec::new();
    for wanted in &options.disks {
        let found = disks.iter().position(|disk| {
            disk.identity.label == *wanted || disk.identity.device_key.to_string() == *wanted
        });
        let index = found.ok_or_else(|| Error::NotFound {
            what: no_such_disk(wanted, disks),
        })?;
        if !chosen.contains(&index) {
            chosen.push(index);
        }
    }
    if options.disks.is_empty() {
        chosen.extend(0..disks.len());
    }
    for index in &chosen {
        let disk = &disks[*index];
        match &disk.state {
            DiskState::Carried { reason, .. } if !options.allow_carried => {
                return Err(Error::Carried {
                    disk: disk.identity.label.clone(),
                    reason: reason.clone(),
                });
            }
            DiskState::Absent { reason } if !options.disks.is_empty() => {
                return Err(Error::NotFound {
                    what: format!("{} is not in this point: {reason}", disk.identity.label),
                });
            }
            _ => {}
        }
    }
    chosen.retain(|index| disks[*index].has_data());
    if chosen.is_empty() {
        return Err(Error::NotFound {
            what: "this point holds no disk's data".to_owned(),
        });
    }
    Ok(chosen)
}

fn no_such_disk(wanted: &str, disks: &[DiskRecord]) -> String {
    let names: Vec<_> = disks
        .iter()
        .map(|disk| format!("{} ({})", disk.identity.label, disk.identity.device_key))
        .collect();
    format!(
        "no disk {wanted:?} in this point; it has {}",
        names.join(", ")
    )
}

/// `<vm>-disk-<key>.raw`. The name comes from outside: what is no letter, digit, dot, dash or
/// underscore becomes an underscore, so that it can neither leave the folder nor hide.
fn file_name(vm: &str, device_key: i32) -> String {
    let safe: String = vm
        .chars()
        .take(64)
        .map(|c| {
            if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') {
                c
            } else {
                '_'
            }
        })
        .collect();
    let safe = safe.trim_start_matches('.');
    format!(
        "{}-disk-{device_key}.raw",
        if safe.is_empty() { "vm" } else { safe }
    )
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn a_hostile_name_stays_in_the_folder() {
        for name in [
            "../../etc/passwd",
            "/etc/passwd",
            "..",
            ".",
            "",
            "a/b\\c",
            "x\0y",
            "\u{1b}[2J",
        ] {
            let file = file_name(name, 2000);
            let path = std::path::Path::new(&file);
            assert_eq!(path.components().count(), 1, "{file}");
            assert!(
                !file.starts_with('.') && !file.chars().any(char::is_control),
                "{file}"
            );
        }
        assert_eq!(file_name("app 01", 2001), "app_01-disk-2001.raw");
        assert_eq!(file_name("Bücher", 2000), "Bücher-disk-2000.raw");
    }
}
