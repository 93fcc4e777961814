//! The tables, and the goals.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::image::Image;
use super::process::Measured;
use crate::output::{bytes, line, table};

/// All that was measured: by step and contestant, a number a round.
pub(crate) type Measures = BTreeMap<(String, String), Vec<Measured>>;

/// In this order they stand in the tables.
const CONTESTANTS: [&str; 5] = ["ours", "restic", "borg", "rustic", "nbdcopy"];

/// What a benchmark measures and what is wanted of it.
pub(crate) struct Report {
    /// The steps in order. Speed is that of the image's data, but where our program tells the bytes itself.
    pub(crate) steps: &'static [&'static str],
    pub(crate) goals: &'static [Goal],
    /// What else is wanted: its name, how much at least, and what was reached.
    pub(crate) more: fn(&Measures) -> Vec<Reached>,
}

/// A goal: what is divided by what, and how much that should be.
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    /// Twice a step and a contestant: time of the first over time of the second.
    pub(crate) slow: (&'static str, &'static str),
    pub(crate) fast: (&'static str, &'static str),
    /// None where it is only told.
    pub(crate) ratio: Option<f64>,
}

/// A goal, the least ratio, and what was reached, also by processor time.
pub(crate) struct Reached {
    pub(crate) name: String,
    pub(crate) ratio: Option<f64>,
    pub(crate) wall: Option<f64>,
    pub(crate) cpu: Option<f64>,
}

impl Reached {
    fn is_missed(&self) -> bool {
        let pair = self.ratio.zip(self.wall);
        pair.is_some_and(|(ratio, wall)| wall < ratio)
    }
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

#[expect(clippy::cast_precision_loss, reason = "no read takes a century")]
fn micros(count: u64) -> f64 {
    count as f64
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

pub(crate) fn of(
    measures: &Measures,
    (step, who): (&str, &str),
    what: impl Fn(&Measured) -> f64,
) -> Option<f64> {
    let found = measures.get(&(step.to_owned(), who.to_owned()))?;
    median(found.iter().map(what).collect())
}

/// The ratio of two medians: by the clock, and by processor time, which a busy machine spoils less.
fn ratios(measures: &Measures, goal: &Goal) -> Option<(f64, f64)> {
    let wall = |side| of(measures, side, |measured| measured.seconds);
    let cpu = |side| of(measures, side, |measured| measured.cpu_seconds);
    Some((
        wall(goal.slow)? / wall(goal.fast)?,
        cpu(goal.slow)? / cpu(goal.fast)?,
    ))
}

impl Report {
    /// Prints all, and gives the goals that were missed.
    pub(crate) fn print(&self, measures: &Measures, image: &Image, as_json: bool) -> Vec<String> {
        let goals = self.goals(measures);
        if as_json {
            let document = json!({
                "version": 1, "data_bytes": image.data_bytes, "changed_blocks": image.changed_blocks(),
                "measures": measures.iter().map(json_of).collect::<Vec<_>>(),
                "goals": goals.iter().map(|goal| json!({
                    "goal": goal.name, "ratio": goal.ratio, "reached": goal.wall, "reached_by_cpu": goal.cpu,
                })).collect::<Vec<_>>(),
            });
            line(&document.to_string());
        } else {
            line(&self.rows(measures, image));
            line("");
            line(&goal_rows(&goals));
            line(
                "(by cpu: the same ratio of processor time, which other work on the machine spoils less)",
            );
        }
        goals
            .into_iter()
            .filter(Reached::is_missed)
            .map(|goal| goal.name)
            .collect()
    }

    fn goals(&self, measures: &Measures) -> Vec<Reached> {
        let mut goals: Vec<Reached> = self
            .goals
            .iter()
            .map(|goal| {
                let (wall, cpu) = ratios(measures, goal).unzip();
                Reached {
                    name: goal.name.to_owned(),
                    ratio: goal.ratio,
                    wall,
                    cpu,
                }
            })
            .collect();
        goals.extend((self.more)(measures));
        goals
    }

    fn rows(&self, measures: &Measures, image: &Image) -> String {
        let head = ["step", "who", "seconds", "cpu s", "data GiB/s", "peak", ""];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        for step in self.steps.iter().copied() {
            for who in CONTESTANTS {
                let Some(seconds) = of(measures, (step, who), |measured| measured.seconds) else {
                    continue;
                };
                let key = (step, who);
                let cpu = of(measures, key, |measured| measured.cpu_seconds).unwrap_or(0.0);
                let peak = measures[&(step.to_owned(), who.to_owned())].iter();
                let peak = peak.map(|measured| measured.peak_bytes).max().unwrap_or(0);
                let number = |what: fn(&Measured) -> f64| of(measures, key, what).unwrap_or(0.0);
                let (speed, more) = if step == "random 4 KiB" {
                    let p50 = number(|measured| micros(measured.p50_us));
                    let p99 = number(|measured| micros(measured.p99_us));
                    (String::new(), format!("p50 {p50:.0} us, p99 {p99:.0} us"))
                } else {
                    let speed = gib(image.data_bytes) / seconds;
                    (format!("{speed:.2}"), String::new())
                };
                rows.push(vec![
                    step.to_owned(),
                    who.to_owned(),
                    format!("{seconds:.2}"),
                    format!("{cpu:.2}"),
                    speed,
                    bytes(peak),
                    more,
                ]);
            }
        }
        table(&rows)
    }
}

fn json_of(((step, who), found): (&(String, String), &Vec<Measured>)) -> Value {
    let rounds: Vec<Value> = found
        .iter()
        .map(|measured| {
            json!({
                "seconds": measured.seconds, "cpu_seconds": measured.cpu_seconds,
                "peak_bytes": measured.peak_bytes, "bytes": measured.bytes,
                "p50_us": measured.p50_us, "p99_us": measured.p99_us,
            })
        })
        .collect();
    json!({"step": step, "who": who, "rounds": rounds})
}

fn goal_rows(goals: &[Reached]) -> String {
    let head = ["goal", "at least", "reached", "by cpu", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let shown = |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    for goal in goals {
        let judged = match (goal.ratio, goal.wall) {
            (_, None) => "not measured",
            (None, _) => "",
            _ if goal.is_missed() => "MISSED",
            _ => "met",
        };
        rows.push(vec![
            goal.name.clone(),
            shown(&goal.ratio),
            shown(&goal.wall),
            shown(&goal.cpu),
            judged.to_owned(),
        ]);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::{Goal, Measured, Measures, Report};

    #[test]
    fn ratios_are_of_medians_and_absent_ones_are_not_judged() {
        let mut measures = Measures::new();
        let mut note = |step: &str, who: &str, seconds: &[f64]| {
            let found = seconds.iter().map(|seconds| Measured {
                seconds: *seconds,
                cpu_seconds: *seconds,
                ..Measured::default()
            });
            measures.insert((step.to_owned(), who.to_owned()), found.collect());
        };
        note("alone", "ours", &[4.0, 5.0, 90.0]);
        note("full", "ours", &[5.0, 1.0, 70.0]);
        let goal = |slow, ratio| Goal {
            name: "a goal",
            slow,
            fast: ("full", "ours"),
            ratio,
        };
        let report = Report {
            steps: &["alone", "full"],
            goals: Box::leak(Box::new([
                goal(("alone", "ours"), Some(1.0)),
                goal(("alone", "ours"), Some(1.1)),
                goal(("alone", "ours"), None),
                goal(("alone", "restic"), Some(5.0)),
            ])),
            more: |_| Vec::new(),
        };
        let goals = report.goals(&measures);
        let reached: Vec<_> = goals.iter().map(|goal| goal.wall).collect();
        assert_eq!(reached, [Some(1.0), Some(1.0), Some(1.0), None]);
        let missed: Vec<_> = goals.iter().map(super::Reached::is_missed).collect();
        assert_eq!(missed, [false, true, false, false]);
    }
}
