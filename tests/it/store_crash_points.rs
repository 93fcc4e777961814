//! The program is killed (SIGKILL) before and after each request to the store of a full run, an increment,
//! `forget --apply` and `prune --compact`. Then: the points before are whole, the site is cleaned, and the same
//! again succeeds.
//!
//! The repository is in a bucket of a stand-in S3 server, which stops at the request and answers nobody. So the
//! program needs no hook for it, and what is stored at the kill is known exactly.
//!
//! `cargo test` walks a spread of the requests, `CBT_CRASH_POINTS=all` walks all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use anyhow::{Result, ensure};
use cbt_tests::{Bench, BenchOptions, Bucket, Outcome};

use crate::crash_points::write_something;

/// Of the requests without an effect one in so many is walked.
const SPREAD: usize = 48;
const RULES: [&str; 4] = ["--keep-last", "2", "--min-age", "0s"];

/// What is killed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Full,
    Increment,
    Forget,
    Prune,
}

const STEPS: [Step; 4] = [Step::Full, Step::Increment, Step::Forget, Step::Prune];

/// One moment of a step.
#[derive(Clone, Debug)]
struct Point {
    step: Step,
    request: String,
    /// Which of these requests of the step, from 1.
    nth: usize,
    after: bool,
}

impl Point {
    /// The first of each kind of request that changes something; a full run makes the same as an increment.
    fn is_effect(&self) -> bool {
        let changes = self.request.starts_with("PUT") || self.request.starts_with("DELETE");
        changes && self.nth == 1 && self.step != Step::Full
    }
}

struct Walk {
    bench: Bench,
    bucket: Bucket,
    url: String,
    round: usize,
}

impl Walk {
    fn new() -> Result<Self> {
        let bench = Bench::with(&BenchOptions {
            capacities_bytes: vec![7 << 20, (5 << 20) + 3 * 512],
            ..BenchOptions::default()
        })?;
        fs::create_dir(bench.path("home/.aws"))?;
        let keys = "[default]\naws_access_key_id = any\naws_secret_access_key = any\n";
        fs::write(bench.path("home/.aws/credentials"), keys)?;
        let bucket = Bucket::start()?;
        let url = bucket.url();
        let mut walk = Self {
            bench,
            bucket,
            url,
            round: 0,
        };
        let _ = walk.run("init", &[])?.expect_code(0);
        let _ = walk.backup(&[])?.expect_code(0);
        Ok(walk)
    }

    fn with<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        [options, &["--repo", &self.url]].concat()
    }

    fn run(&self, command: &str, options: &[&str]) -> Result<Outcome> {
        let options = self.with(options);
        self.bench
            .run(self.bench.repository_arguments(command, &options))
    }

    fn backup(&mut self, options: &[&str]) -> Result<Outcome> {
        let url = self.url.clone();
        self.bench.backup(&[options, &["--repo", &url]].concat())
    }

    fn points(&self) -> Result<Vec<String>> {
        let list = self.run("list", &[])?.expect_code(0).result();
        let rows = list["points"].as_array().cloned().unwrap_or_default();
        let ids = rows.iter().filter_map(|row| row["point"].as_str());
        Ok(ids.map(str::to_owned).collect())
    }

    /// Whatever the step needs to have something to do.
    fn prepare(&mut self, step: Step) -> Result<()> {
        self.round += 1;
        write_something(&mut self.bench, self.round)?;
        if matches!(step, Step::Full | Step::Increment) {
            return Ok(());
        }
        let _ = self.backup(&[])?.expect_code(0);
        if step == Step::Prune {
            let _ = self.run("forget", &arguments(Step::Forget))?.expect_code(0);
        }
        Ok(())
    }

    /// The step, undisturbed.
    fn perform(&mut self, step: Step) -> Result<Outcome> {
        match step {
            Step::Full | Step::Increment => self.backup(&arguments(step)),
            Step::Forget => self.run("forget", &arguments(step)),
            Step::Prune => self.run("prune", &arguments(step)),
        }
    }

    /// The step until the moment comes; false if it never came.
    fn die_at(&mut self, point: &Point) -> Result<bool> {
        let before = self.points()?;
        self.bucket.stop_at(&point.request, point.nth, point.after);
        let stopped = || self.bucket.has_stopped();
        let arguments = arguments(point.step);
        let arguments = self.with(&arguments);
        let died = match point.step {
            Step::Full | Step::Increment => {
                let arguments: Vec<String> = arguments.into_iter().map(str::to_owned).collect();
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let mut backup = self.bench.start_backup(&arguments)?;
                if backup.run.wait_until("the moment", stopped).is_err() {
                    self.bench.finish(backup)?;
                    false
                } else {
                    let frozen = backup.frozen().clone();
                    let _ = self.bench.kill(backup)?;
                    self.bucket.go_on();
                    // It may have made its point, and could tell nobody.
                    for point in self.points()?.iter().filter(|one| !before.contains(one)) {
                        self.bench.has_made(point, frozen.clone());
                    }
                    true
                }
            }
            Step::Forget | Step::Prune => {
                let command = if point.step == Step::Forget {
                    "forget"
                } else {
                    "prune"
                };
                let arguments = self.bench.repository_arguments(command, &arguments);
                let mut run = self.bench.start(arguments)?;
                let stopped = run.wait_until("the moment", stopped).is_ok();
                if stopped {
                    let _ = run.kill()?;
                } else {
                    let _ = run.wait()?;
                }
                stopped
            }
        };
        self.bucket.go_on();
        Ok(died)
    }

    /// After a kill all is as it should be, and the step can be made again.
    fn recover(&mut self, point: &Point, told: &[String]) -> Result<()> {
        let cleaned = self.bench.janitor(&self.with(&[]))?;
        assert_eq!(cleaned.code, Some(0), "after {point:?}: {cleaned:#?}");
        self.bench.assert_vm_clean()?;
        self.bench.calls()?.assert_closed(self.bench.killed());
        let sound = self.run("verify", &["--level", "structure"])?;
        assert_eq!(sound.code, Some(0), "after {point:?}: {sound:#?}");
        let there = self.points()?;
        let newest = told.last().expect("there are points");
        let kept = if point.step == Step::Forget {
            std::slice::from_ref(newest)
        } else {
            told
        };
        for one in kept {
            assert!(there.contains(one), "after {point:?}: {one} of {there:?}");
        }
        self.assert_restores(newest)?;
        let again = self.perform(point.step)?;
        assert_eq!(again.code, Some(0), "after {point:?}: {again:#?}");
        self.bench.assert_vm_clean()?;
        let newest = self.points()?.pop().expect("there are points");
        self.assert_restores(&newest)
    }

    #[track_caller]
    fn assert_restores(&self, point: &str) -> Result<()> {
        self.bench
            .assert_copy_restores(point, point, &self.with(&[]))
    }
}

fn arguments(step: Step) -> Vec<&'static str> {
    match step {
        Step::Full => vec!["--full"],
        Step::Increment => vec![],
        Step::Forget => [&RULES[..], &["--apply"]].concat(),
        Step::Prune => vec!["--bin-days", "0", "--compact", "--look-seconds", "1"],
    }
}

/// The moments of a step, from what it asked.
fn points(step: Step, requests: &[String]) -> Vec<Point> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut points = Vec::new();
    for request in requests {
        let nth = counts.entry(request).or_default();
        *nth += 1;
        points.extend([false, true].map(|after| Point {
            step,
            request: request.clone(),
            nth: *nth,
            after,
        }));
    }
    points
}

#[test]
fn a_kill_at_any_request_to_the_store_loses_no_point() -> Result<()> {
    let mut walk = Walk::new()?;
    let mut all = Vec::new();
    for step in STEPS {
        walk.prepare(step)?;
        let before = walk.bucket.requests().len();
        let _ = walk.perform(step)?.expect_code(0);
        all.extend(points(step, &walk.bucket.requests()[before..]));
    }
    let walks_all = std::env::var_os("CBT_CRASH_POINTS").is_some_and(|word| word == "all");
    let chosen: Vec<Point> = (0..)
        .zip(&all)
        .filter(|(index, point)| walks_all || point.is_effect() || index % SPREAD == 0)
        .map(|(_, point)| point.clone())
        .collect();

    let mut missed = Vec::new();
    for point in &chosen {
        walk.prepare(point.step)?;
        let told = walk.points()?;
        if walk.die_at(point)? {
            walk.recover(point, &told)?;
        } else {
            missed.push(point);
        }
    }
    let kinds: BTreeSet<&str> = all.iter().map(|point| point.request.as_str()).collect();
    println!(
        "killed at {} of {} moments of the requests to a store; {} did not come again: {missed:?}; requests: {kinds:?}",
        chosen.len() - missed.len(),
        all.len(),
        missed.len()
    );
    ensure!(
        missed.len() * 5 <= chosen.len(),
        "too many did not come again: {missed:?}"
    );
    for kind in [
        "PUT open",
        "PUT pack",
        "PUT point",
        "PUT dead",
        "PUT sweep",
        "DELETE pack",
    ] {
        assert!(kinds.contains(kind), "no {kind}: {kinds:?}");
    }
    // Two prunes: the first ends what died, the second takes what that has left. Who died just before the root of its point was
    // written is held, and told, until somebody says that nothing of it is wanted.
    for _ in 0..2 {
        let _ = walk.perform(Step::Prune)?.expect_code(0);
    }
    let verified = walk.run("verify", &["--level", "full"])?.expect_code(0);
    let findings = verified.result()["findings"].as_array().cloned();
    for finding in findings.unwrap_or_default() {
        let what = finding["what"].as_str().unwrap_or_default();
        assert!(
            what.contains("a prune holds them for a time"),
            "{finding:#}"
        );
    }
    let nothing_is_held = [&arguments(Step::Prune)[..], &["--lost-days", "0"]].concat();
    for _ in 0..2 {
        let _ = walk.run("prune", &nothing_is_held)?.expect_code(0);
    }
    let verified = walk.run("verify", &["--level", "full"])?.expect_code(0);
    assert_eq!(verified.result()["findings"], serde_json::json!([]));
    for point in walk.points()? {
        walk.assert_restores(&point)?;
    }
    let left = walk.bucket.names();
    let left = left
        .iter()
        .filter(|name| name.starts_with("open/") || name.starts_with("sweep/"));
    assert_eq!(left.count(), 0, "announcements or lists are left");
    Ok(())
}
