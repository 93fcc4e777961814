//! Restores and looks at the repository, on the bench.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Bench, Frozen, Outcome};

impl Bench {
    /// Restores a point to a folder.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn restore(&self, point: &str, to: &Path, options: &[&str]) -> Result<Outcome> {
        let to = to.to_str().context("the folder's name is no text")?;
        let options = [&[point, "--to", to], options].concat();
        self.run(self.repository_arguments("restore", &options))
    }

    /// Lists the points.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn list(&self) -> Result<Outcome> {
        self.run(self.repository_arguments("list", &[]))
    }

    /// Checks the repository, with `full`, `structure` or another level.
    ///
    /// # Errors
    ///
    /// When the program cannot be run.
    pub fn verify(&self, level: &str) -> Result<Outcome> {
        self.run(self.repository_arguments("verify", &["--level", level]))
    }

    /// The disks as they were when the run of a point began.
    ///
    /// # Errors
    ///
    /// When no run of this bench made that point.
    pub fn frozen(&self, point: &str) -> Result<&Frozen> {
        self.points
            .get(point)
            .with_context(|| format!("no run made {point}"))
    }

    /// Restores a point and fails the test unless every byte of every disk is that of the shadow
    /// when the point's run began.
    ///
    /// # Errors
    ///
    /// When the program cannot be run, or at the first byte that differs.
    ///
    /// # Panics
    ///
    /// When the restore fails, or leaves disks out.
    #[track_caller]
    pub fn assert_restores(&self, point: &str) -> Result<()> {
        self.assert_copy_restores(point, point, &[])
    }

    /// As [`Bench::assert_restores`], of a copy of the point in another repository, which `options` name.
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Panics
    ///
    /// As there.
    #[track_caller]
    pub fn assert_copy_restores(&self, point: &str, copy: &str, options: &[&str]) -> Result<()> {
        let frozen = self.frozen(point)?;
        let folder = tempfile::tempdir_in(self.path("restored"))?;
        let restored = self
            .restore(copy, &folder.path().join("to"), options)?
            .expect_code(0);
        let files = restored_files(&restored);
        let keys: Vec<i32> = files.iter().map(|(device_key, _)| *device_key).collect();
        assert_eq!(
            keys,
            frozen.device_keys().collect::<Vec<_>>(),
            "{restored:#?}"
        );
        assert_eq!(
            fs::read_dir(folder.path().join("to"))?.count(),
            files.len(),
            "other files are left"
        );
        for (device_key, path) in files {
            frozen
                .compare(device_key, &path)
                .with_context(|| format!("point {point}"))?;
        }
        Ok(())
    }

    /// Fails the test unless the repository is whole and every point that was made restores bit
    /// for bit.
    ///
    /// # Errors
    ///
    /// As [`Bench::assert_restores`].
    ///
    /// # Panics
    ///
    /// As [`Bench::assert_restores`], and when the verification finds anything.
    #[track_caller]
    pub fn assert_sound(&self) -> Result<()> {
        let verified = self.verify("full")?.expect_code(0);
        assert_eq!(
            verified.result()["findings"],
            Value::Array(Vec::new()),
            "{verified:#?}"
        );
        for point in self.points.keys() {
            self.assert_restores(point)?;
        }
        Ok(())
    }
}

/// The device keys and files that a restore names, by device key.
fn restored_files(outcome: &Outcome) -> Vec<(i32, PathBuf)> {
    let result = outcome.result();
    let disks = result["disks"].as_array().into_iter().flatten();
    let mut files: Vec<_> = disks
        .filter_map(|disk| {
            let device_key = i32::try_from(disk["device_key"].as_i64()?).ok()?;
            Some((device_key, PathBuf::from(disk["path"].as_str()?)))
        })
        .collect();
    files.sort();
    files
}
