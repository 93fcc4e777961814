//! What all benchmarks over an image are told.

use std::path::{Path, PathBuf};

use clap::Args;

use super::contestants::Contestant;
use super::image::Image;
use super::report::{Measures, Report, gib};
use crate::folder::Folder;
use crate::output::line;
use crate::workspace;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// A folder of files for the image
    #[arg(long, default_value = "/usr", value_name = "DIR")]
    content: PathBuf,
    /// Rounds, each of which measures all, one after the other
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..), value_name = "N")]
    pub(super) rounds: u16,
    /// Scratch room: some ten times the image's data
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Leave the other programs out
    #[arg(long)]
    pub(super) alone: bool,
    /// Fail when a goal is missed
    #[arg(long)]
    strict: bool,
    /// One JSON document in place of the tables
    #[arg(long)]
    json: bool,
}

impl Options {
    /// One round without the other programs. Its figures say little.
    pub(super) fn tiny() -> Self {
        Self {
            content: PathBuf::from("/usr"),
            rounds: 1,
            folder: None,
            alone: true,
            strict: false,
            json: false,
        }
    }

    /// The scratch folder: the one that was named, or `name` in the target folder.
    pub(super) fn folder(&self, name: &str) -> anyhow::Result<Folder> {
        match &self.folder {
            Some(folder) => Folder::claim(folder),
            None => Folder::claim(&workspace::target()?.join(name)),
        }
    }

    /// The image, whose size is told.
    pub(super) fn image(&self, folder: &Path, size_gib: u64) -> anyhow::Result<Image> {
        let image = Image::make(folder, size_gib << 30, &self.content)?;
        self.say(&format!(
            "image: {size_gib} GiB, {:.2} GiB of it are not zeros",
            gib(image.data_bytes)
        ));
        Ok(image)
    }

    /// The other programs, as far as they are wanted and there.
    pub(super) fn others(&self) -> anyhow::Result<Vec<Contestant>> {
        if self.alone {
            return Ok(Vec::new());
        }
        Contestant::installed(self.json)
    }

    pub(super) fn say_round(&self, round: u16) {
        self.say(&format!("round {round} of {}", self.rounds));
    }

    fn say(&self, text: &str) {
        if !self.json {
            line(text);
        }
    }

    /// Prints what was measured.
    pub(super) fn print(
        &self,
        report: &Report,
        measures: &Measures,
        image: &Image,
    ) -> anyhow::Result<()> {
        let missed = report.print(measures, image, self.json);
        if self.strict && !missed.is_empty() {
            anyhow::bail!("goals missed: {}", missed.join("; "));
        }
        Ok(())
    }
}
