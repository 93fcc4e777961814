//! `bench`: how fast things are, as ratios of what is measured side by side in one run.

mod backup;
mod contestants;
mod image;
mod options;
mod process;
mod repo;
mod repo_bench;
mod report;

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use crate::output::{bytes, line, table};
use crate::workspace::Build;

/// Measure, and print ratios.
///
/// Numbers of a busy machine are worth little: look at the load before you believe them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench vddk
  cargo xtask bench vddk --json --rounds 9
  cargo xtask bench repo --gib 4
  cargo xtask bench backup --alone")]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Reads through vddk from the stand-in library, against a plain pread loop on the same file
    ///
    /// Program and library are built with optimisation, whatever this program is built with. Both
    /// sides read from a warm page cache and are measured in turns; ratios are medians.
    Vddk(Vddk),
    /// The repository against zstd alone, restic, borg and rustic, on one image of a file system
    ///
    /// Full, unchanged and changed backups, restores, random reads and memory. Each round measures all
    /// of them one after the other; ratios are of medians. A program that is not installed is told.
    Repo(repo::Repo),
    /// Whole backups on the stand-ins against zstd alone, restic and borg, on one image of a file system
    ///
    /// Full with and without latency of the reads, increments of a disk and of one twice as large, and
    /// memory. Times are those of the program from its start to its end, without opening the repository.
    Backup(backup::Backup),
}

#[derive(Debug, Args)]
struct Vddk {
    /// Rounds, each of which measures both sides
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(5..))]
    rounds: u16,
    /// One JSON document in place of the table
    #[arg(long)]
    json: bool,
    /// Fail when a goal is missed
    #[arg(long)]
    strict: bool,
}

impl Bench {
    /// The reads through vddk, in as few rounds as give a median. A goal that is missed is told.
    pub(crate) fn vddk() -> Self {
        Self {
            what: What::Vddk(Vddk {
                rounds: 5,
                json: false,
                strict: false,
            }),
        }
    }

    /// The benchmark of the repository, as small as it gets: it shows that all steps work.
    pub(crate) fn tiny_repo() -> Self {
        Self {
            what: What::Repo(repo::Repo::tiny()),
        }
    }

    /// The benchmark of whole backups, as small as it gets.
    pub(crate) fn tiny_backup() -> Self {
        Self {
            what: What::Backup(backup::Backup::tiny()),
        }
    }

    /// Runs the command.
    ///
    /// # Errors
    ///
    /// When the build or a measurement fails, and with `--strict` when a goal is missed.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let options = match self.what {
            What::Vddk(options) => options,
            What::Repo(options) => return options.run(),
            What::Backup(options) => return options.run(),
        };
        let build = build()?;
        let output = Command::new(build.program("read_bench")?)
            .arg(build.shared_library("vixDiskLib")?)
            .arg(options.rounds.to_string())
            .stderr(Stdio::inherit())
            .output()
            .context("failed to start the benchmark")?;
        if !output.status.success() {
            bail!("the benchmark ended with {}", output.status);
        }
        let cases = cases(&output.stdout)?;
        if options.json {
            let document = serde_json::json!({ "version": 1, "cases": cases });
            line(&document.to_string());
        } else {
            line(&printed(&cases));
        }
        let missed: Vec<&str> = cases.iter().filter_map(missed).collect();
        if !missed.is_empty() {
            let missed = format!("goals missed: {}", missed.join("; "));
            if options.strict {
                bail!(missed);
            }
            if !options.json {
                line(&missed);
            }
        }
        Ok(())
    }
}

/// All that is measured, built with optimisation, whatever this program is built with. It is one build because
/// each choice of packages would build their dependencies anew.
fn build() -> anyhow::Result<Build> {
    Build::run(&[
        "--release",
        "-p",
        "cbt-backup",
        "-p",
        "vddk",
        "-p",
        "vixdisklib",
        "--lib",
        "--bin",
        "cbt-backup",
        "--example",
        "read_bench",
        "--example",
        "repo_bench",
    ])
}

/// The lines of the program, each a JSON object.
fn cases(lines: &[u8]) -> anyhow::Result<Vec<Value>> {
    let values = serde_json::Deserializer::from_slice(lines).into_iter();
    let cases: Vec<Value> = values
        .collect::<Result<_, _>>()
        .context("the benchmark wrote no JSON")?;
    if cases.is_empty() {
        bail!("the benchmark measured nothing");
    }
    Ok(cases)
}

/// The name of a case whose goal is missed.
fn missed(case: &Value) -> Option<&str> {
    let goal = case["goal"].as_f64()?;
    (case["ratio"].as_f64()? < goal).then(|| case["case"].as_str().unwrap_or("?"))
}

/// Bytes a second, which are never negative.
#[expect(clippy::cast_sign_loss, reason = "a negative number becomes 0")]
fn rate(value: &Value) -> String {
    bytes(value.as_f64().unwrap_or(0.0) as u64)
}

fn printed(cases: &[Value]) -> String {
    let heads = [
        "case",
        "a second",
        "against",
        "a second",
        "ratio",
        "goal",
        "what binds",
    ];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for case in cases {
        let goal = match (case["goal"].as_f64(), missed(case)) {
            (None, _) => "-".to_owned(),
            (Some(goal), None) => format!("{goal:.2}"),
            (Some(goal), Some(_)) => format!("{goal:.2} MISSED"),
        };
        rows.push(vec![
            text(&case["case"]),
            rate(&case["bytes_per_s"]),
            text(&case["against"]),
            rate(&case["against_bytes_per_s"]),
            format!("{:.2}", case["ratio"].as_f64().unwrap_or(0.0)),
            goal,
            text(&case["binds"]),
        ]);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_is_told() {
        let lines = b"{\"case\":\"a\",\"goal\":0.9,\"ratio\":0.89,\"bytes_per_s\":1048576.0}\n\
            {\"case\":\"b\",\"goal\":0.9,\"ratio\":0.9}\n{\"case\":\"c\",\"goal\":null,\"ratio\":0.1}\n";
        let cases = cases(lines).unwrap();
        let missed: Vec<_> = cases.iter().filter_map(missed).collect();
        assert_eq!(missed, ["a"]);
        let table = printed(&cases);
        assert!(
            table.contains("0.90 MISSED") && table.contains("1.0 MiB"),
            "{table}"
        );
        assert!(super::cases(b"").is_err() && super::cases(b"{").is_err());
    }
}
