//! `bench backup`: the program as a whole on the stand-ins, against zstd alone, restic and borg.

mod bed;
mod largest;
mod raw_copy;

use std::path::Path;

use clap::Args;

use self::bed::{Bed, EIGHT, SINGLE, TWICE};
use super::contestants::Contestant;
use super::image::Image;
use super::options::Options;
use super::process::Measured;
use super::repo_bench::RepoBench;
use super::report::{Goal, Measures, Reached, Report, gib, of};
use crate::workspace::Build;

/// Increments of each size in a round: they are short, and their ratio shall say something.
const INCREMENTS: u8 = 4;
/// What a read waits for where the way is long.
const LATENCY_MS: u64 = 5;
/// The least room in memory, as a multiple of the image's data, for a repository there.
const ROOM: u64 = 2;

const REPORT: Report = Report {
    steps: &[
        "zstd alone",
        "full",
        "full, into memory",
        "full, 5 ms a read",
        "full, eight disks at once",
        "1 % changed",
        "1 % changed, twice the disk",
        "1 % changed, all read",
        largest::FULL,
        largest::INCREMENT,
    ],
    goals: &[
        Goal {
            name: "full into memory, of zstd alone",
            slow: ("zstd alone", "ours"),
            fast: ("full, into memory", "ours"),
            ratio: Some(0.75),
        },
        Goal {
            name: "full with fsync, of zstd alone",
            slow: ("zstd alone", "ours"),
            fast: ("full", "ours"),
            ratio: Some(0.5),
        },
        Goal {
            name: "full with fsync, times restic",
            slow: ("full", "restic"),
            fast: ("full", "ours"),
            ratio: Some(4.5),
        },
        Goal {
            name: "full with fsync, times borg",
            slow: ("full", "borg"),
            fast: ("full", "ours"),
            ratio: Some(2.3),
        },
        Goal {
            name: "full with fsync, times nbdkit and nbdcopy to a raw file",
            slow: ("full", "nbdcopy"),
            fast: ("full", "ours"),
            ratio: None,
        },
        // No more than 1.05 times as long.
        Goal {
            name: "increment of a disk, times one of twice the size",
            slow: ("1 % changed", "ours"),
            fast: ("1 % changed, twice the disk", "ours"),
            ratio: Some(1.0 / 1.05),
        },
        Goal {
            name: "full, times one with 5 ms a read",
            slow: ("full", "ours"),
            fast: ("full, 5 ms a read", "ours"),
            ratio: None,
        },
    ],
    more: memory,
};

/// What a run may take of memory.
const MEMORY_BYTES: u64 = 512 << 20;

fn memory(measures: &Measures) -> Vec<Reached> {
    let peak = |measured: &Measured| gib(MEMORY_BYTES) / gib(measured.peak_bytes.max(1));
    let goal = |name: &str, step: &str| Reached {
        name: name.to_owned(),
        ratio: Some(1.0),
        wall: of(measures, (step, "ours"), peak),
        cpu: None,
    };
    vec![
        goal("512 MiB, times the memory of a full", "full"),
        goal(
            "512 MiB, times that of eight disks at once",
            "full, eight disks at once",
        ),
        goal("512 MiB, times that of a full of 62 TiB", largest::FULL),
        goal(
            "512 MiB, times that of an increment of it",
            largest::INCREMENT,
        ),
    ]
}

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// Size of the disk in GiB. It is a file system with what --content has
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=512), value_name = "N")]
    gib: u64,
    /// Leave the disk of 62 TiB out, which takes minutes
    #[arg(long)]
    without_largest: bool,
    #[command(flatten)]
    options: Options,
}

impl Backup {
    /// One round over 1 GiB, without the other programs and the largest disk.
    pub(super) fn tiny() -> Self {
        Self {
            gib: 1,
            without_largest: true,
            options: Options::tiny(),
        }
    }

    pub(super) fn run(&self) -> anyhow::Result<()> {
        let options = &self.options;
        let folder = options.folder("bench-backup")?;
        let build = super::build()?;
        let zstd = RepoBench::of(&build)?;
        let image = options.image(folder.path(), self.gib)?;
        let others = options.others()?;
        let mut measures = Measures::new();
        for round in 1..=options.rounds {
            options.say_round(round);
            let mut turn = Turn {
                image: &image,
                measures: &mut measures,
            };
            let bed = Bed::make(&folder.subfolder("bed")?, &build, &image)?;
            turn.ours(&bed, &zstd)?;
            if !options.alone {
                turn.raw_copy(&bed)?;
            }
            drop(bed);
            if !self.without_largest {
                turn.largest(&build)?;
            }
            std::fs::remove_dir_all(folder.path().join("bed"))?;
            for other in &others {
                turn.other(other, folder.path())?;
            }
        }
        options.print(&REPORT, &measures, &image)
    }
}

/// One round.
struct Turn<'a> {
    image: &'a Image,
    measures: &'a mut Measures,
}

impl Turn<'_> {
    fn note(&mut self, step: &str, who: &str, measured: Measured) {
        let key = (step.to_owned(), who.to_owned());
        self.measures.entry(key).or_default().push(measured);
    }

    /// The yardstick stands on both sides of what is compared with it.
    fn ours(&mut self, bed: &Bed, zstd: &RepoBench) -> anyhow::Result<()> {
        let image = self.image.path.display().to_string();
        let yardstick = || zstd.step(&["zstd", &image]);
        self.note("zstd alone", "ours", yardstick()?);
        let disk = bed.repository("disk")?;
        self.note("full", "ours", bed.back_up(&disk, SINGLE)?);
        self.note("zstd alone", "ours", yardstick()?);
        if let Some(memory) = bed.repository_in_memory(self.image.data_bytes * ROOM)? {
            self.note("full, into memory", "ours", bed.back_up(&memory, SINGLE)?);
        }
        let far = bed.repository("far")?;
        bed.delay_reads(Some(LATENCY_MS))?;
        self.note("full, 5 ms a read", "ours", bed.back_up(&far, SINGLE)?);
        bed.delay_reads(None)?;
        let eight = bed.repository("eight")?;
        let measured = bed.back_up_with(&eight, EIGHT, &["--disks-at-once", "8"])?;
        self.note("full, eight disks at once", "ours", measured);
        let twice = bed.repository("twice")?;
        bed.back_up(&twice, TWICE)?;
        for turn in 1..=INCREMENTS {
            bed.write(self.image, turn)?;
            self.note("1 % changed", "ours", bed.back_up(&disk, SINGLE)?);
            let measured = bed.back_up(&twice, TWICE)?;
            self.note("1 % changed, twice the disk", "ours", measured);
        }
        bed.refuse_other(&disk, SINGLE, self.image.changes(INCREMENTS))
    }

    /// What reading alone takes with the same library, when somebody else does it.
    fn raw_copy(&mut self, bed: &Bed) -> anyhow::Result<()> {
        if let Some(measured) = bed.copy_raw()? {
            self.note("full", "nbdcopy", measured);
        }
        Ok(())
    }

    /// The largest disk there is.
    fn largest(&mut self, build: &Build) -> anyhow::Result<()> {
        if let Some([full, increment]) = largest::back_up(build)? {
            self.note(largest::FULL, "ours", full);
            self.note(largest::INCREMENT, "ours", increment);
        }
        Ok(())
    }

    fn other(&mut self, other: &Contestant, folder: &Path) -> anyhow::Result<()> {
        let name = other.name();
        let scratch = folder.join(name);
        std::fs::create_dir(&scratch)?;
        other.init(&scratch)?;
        // What opening the repository takes is no part of anybody's steps.
        let opening = other.open(&scratch)?;
        for (step, changed) in [("full", false), ("1 % changed, all read", true)] {
            if changed {
                self.image.change()?;
            }
            self.image.touch()?;
            let measured = other.back_up(&scratch, &self.image.path, step)?;
            self.note(step, name, measured.without(&opening));
        }
        self.image.put_back()?;
        std::fs::remove_dir_all(&scratch)?;
        Ok(())
    }
}
