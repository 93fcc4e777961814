//! `bench repo`: the repository against zstd alone, restic, borg and rustic, on one image.

use std::path::Path;

use clap::Args;

use super::contestants::Contestant;
use super::image::Image;
use super::options::Options;
use super::process::Measured;
use super::repo_bench::RepoBench;
use super::report::{Goal, Measures, Reached, Report, gib, of};

#[derive(Debug, Args)]
pub(super) struct Repo {
    /// Size of the image in GiB. It is a file system with what --content has
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=512), value_name = "N")]
    gib: u64,
    #[command(flatten)]
    options: Options,
}

const REPORT: Report = Report {
    steps: &[
        "zstd alone",
        "null store",
        "full",
        "unchanged, all read",
        "1 % changed, by tracking",
        "1 % changed, all read",
        "restore to nowhere",
        "restore to a file",
        "random 4 KiB",
    ],
    goals: &[
        Goal {
            name: "null store, of zstd alone",
            slow: ("zstd alone", "ours"),
            fast: ("null store", "ours"),
            ratio: Some(0.85),
        },
        Goal {
            name: "full with fsync, of zstd alone",
            slow: ("zstd alone", "ours"),
            fast: ("full", "ours"),
            ratio: Some(0.55),
        },
        Goal {
            name: "full with fsync, times rustic",
            slow: ("full", "rustic"),
            fast: ("full", "ours"),
            ratio: Some(2.2),
        },
        Goal {
            name: "full with fsync, times restic",
            slow: ("full", "restic"),
            fast: ("full", "ours"),
            ratio: Some(5.0),
        },
        Goal {
            name: "full with fsync, times borg",
            slow: ("full", "borg"),
            fast: ("full", "ours"),
            ratio: Some(2.5),
        },
    ],
    more: restored,
};

/// Restore with verification, GiB of data a second, on a machine as the goal was set on.
const RESTORE_GIB: f64 = 2.5;

fn restored(measures: &Measures) -> Vec<Reached> {
    let speed = |measured: &Measured| gib(measured.bytes) / measured.seconds;
    vec![Reached {
        name: "restore with verification, GiB/s".to_owned(),
        ratio: Some(RESTORE_GIB),
        wall: of(measures, ("restore to nowhere", "ours"), speed),
        cpu: None,
    }]
}

impl Repo {
    /// One round over 1 GiB, without the other programs.
    pub(super) fn tiny() -> Self {
        Self {
            gib: 1,
            options: Options::tiny(),
        }
    }

    pub(super) fn run(&self) -> anyhow::Result<()> {
        let options = &self.options;
        let folder = options.folder("bench-repo/scratch")?;
        let ours = RepoBench::of(&super::build()?)?;
        let image = options.image(folder.path(), self.gib)?;
        let others = options.others()?;
        let mut measures = Measures::new();
        for round in 1..=options.rounds {
            options.say_round(round);
            let mut turn = Turn {
                folder: folder.path(),
                image: &image,
                measures: &mut measures,
            };
            turn.ours(&ours)?;
            for other in &others {
                turn.other(other)?;
            }
            image.put_back()?;
        }
        options.print(&REPORT, &measures, &image)
    }
}

/// One round.
struct Turn<'a> {
    folder: &'a Path,
    image: &'a Image,
    measures: &'a mut Measures,
}

impl Turn<'_> {
    fn note(&mut self, step: &str, who: &str, measured: Measured) {
        let key = (step.to_owned(), who.to_owned());
        self.measures.entry(key).or_default().push(measured);
    }

    /// The yardstick stands between the steps that are compared with it.
    fn ours(&mut self, ours: &RepoBench) -> anyhow::Result<()> {
        let repository = self.folder.join("ours");
        let path = |path: &Path| path.display().to_string();
        let (at, image) = (path(&repository), path(&self.image.path));
        let mut step = |name: &str, arguments: &[&str]| -> anyhow::Result<()> {
            let measured = ours.step(arguments)?;
            self.measures
                .entry((name.to_owned(), "ours".to_owned()))
                .or_default()
                .push(measured);
            Ok(())
        };
        step("null store", &["null", &image])?;
        step("zstd alone", &["zstd", &image])?;
        step("init", &["init", &at])?;
        step("full", &["full", &at, &image])?;
        step("zstd alone", &["zstd", &image])?;
        step("unchanged, all read", &["again", &at, &image])?;
        self.image.change()?;
        let list = path(&self.image.change_list());
        step(
            "1 % changed, by tracking",
            &["increment", &at, &image, &list],
        )?;
        step("1 % changed, all read", &["again", &at, &image])?;
        step("restore to nowhere", &["restore", &at])?;
        let output = path(&self.folder.join("restored"));
        step("restore to a file", &["restore", &at, &output])?;
        step("random 4 KiB", &["random", &at, &image, "2000"])?;
        self.image.refuse_other(Path::new(&output))?;
        self.image.put_back()?;
        std::fs::remove_file(&output)?;
        std::fs::remove_dir_all(&repository)?;
        Ok(())
    }

    fn other(&mut self, other: &Contestant) -> anyhow::Result<()> {
        let name = other.name();
        let scratch = self.folder.join(name);
        std::fs::create_dir(&scratch)?;
        other.init(&scratch)?;
        // What opening the repository takes is no part of the others' steps either.
        let opening = other.open(&scratch)?;
        let steps: [(&str, bool); 3] = [
            ("full", false),
            ("unchanged, all read", false),
            ("1 % changed, all read", true),
        ];
        for (step, changed) in steps {
            if changed {
                self.image.change()?;
            } else {
                self.image.put_back()?;
            }
            self.image.touch()?;
            let measured = other.back_up(&scratch, &self.image.path, step)?;
            self.note(step, name, measured.without(&opening));
        }
        let restored = other.restore(&scratch, &self.image.path)?;
        self.note("restore to nowhere", name, restored.without(&opening));
        self.image.put_back()?;
        std::fs::remove_dir_all(&scratch)?;
        Ok(())
    }
}
