//! The tables, and the goals.

use serde_json::{Value, json};

use super::Measures;
use super::image::Image;
use super::process::Measured;
use crate::output::{bytes, line, table};

/// The steps in order. Speed is that of the image's data, but where our program tells the bytes itself.
const STEPS: [&str; 9] = [
    "zstd alone",
    "null store",
    "full",
    "unchanged, all read",
    "1 % changed, by tracking",
    "1 % changed, all read",
    "restore to nowhere",
    "restore to a file",
    "random 4 KiB",
];
const CONTESTANTS: [&str; 4] = ["ours", "restic", "borg", "rustic"];

/// A goal: what is divided by what, and how much that should be.
struct Goal {
    name: &'static str,
    /// Twice a step and a contestant: time of the first over time of the second.
    slow: (&'static str, &'static str),
    fast: (&'static str, &'static str),
    ratio: f64,
}

const GOALS: [Goal; 5] = [
    Goal {
        name: "null store, of zstd alone",
        slow: ("zstd alone", "ours"),
        fast: ("null store", "ours"),
        ratio: 0.85,
    },
    Goal {
        name: "full with fsync, of zstd alone",
        slow: ("zstd alone", "ours"),
        fast: ("full", "ours"),
        ratio: 0.55,
    },
    Goal {
        name: "full with fsync, times rustic",
        slow: ("full", "rustic"),
        fast: ("full", "ours"),
        ratio: 2.2,
    },
    Goal {
        name: "full with fsync, times restic",
        slow: ("full", "restic"),
        fast: ("full", "ours"),
        ratio: 5.0,
    },
    Goal {
        name: "full with fsync, times borg",
        slow: ("full", "borg"),
        fast: ("full", "ours"),
        ratio: 2.5,
    },
];

/// Restore with verification, GiB of data a second, on a machine as the goal was set on.
const RESTORE_GIB: f64 = 2.5;

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn gib(bytes: u64) -> f64 {
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

fn of(
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

/// Prints all, and gives the goals that were missed.
pub(super) fn print(measures: &Measures, image: &Image, as_json: bool) -> Vec<String> {
    let goals = goals(measures);
    if as_json {
        let document = json!({
            "version": 1, "data_bytes": image.data_bytes, "changed_blocks": image.changed_blocks(),
            "measures": measures.iter().map(json_of).collect::<Vec<_>>(),
            "goals": goals.iter().map(|(name, goal, reached, cpu)| json!({
                "goal": name, "ratio": goal, "reached": reached, "reached_by_cpu": cpu,
            })).collect::<Vec<_>>(),
        });
        line(&document.to_string());
    } else {
        line(&rows(measures, image));
        line("");
        line(&goal_rows(&goals));
        line(
            "(by cpu: the same ratio of processor time, which other work on the machine spoils less)",
        );
    }
    goals
        .into_iter()
        .filter(|(_, goal, reached, _)| reached.is_some_and(|reached| reached < *goal))
        .map(|(name, ..)| name)
        .collect()
}

type Reached = (String, f64, Option<f64>, Option<f64>);

fn goals(measures: &Measures) -> Vec<Reached> {
    let mut goals: Vec<Reached> = GOALS
        .iter()
        .map(|goal| {
            let (wall, cpu) = ratios(measures, goal).unzip();
            (goal.name.to_owned(), goal.ratio, wall, cpu)
        })
        .collect();
    let speed = of(measures, ("restore to nowhere", "ours"), |measured| {
        gib(measured.bytes) / measured.seconds
    });
    goals.push((
        "restore with verification, GiB/s".to_owned(),
        RESTORE_GIB,
        speed,
        None,
    ));
    goals
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

fn rows(measures: &Measures, image: &Image) -> String {
    let head = ["step", "who", "seconds", "cpu s", "data GiB/s", "peak", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for step in STEPS {
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

fn goal_rows(goals: &[Reached]) -> String {
    let head = ["goal", "at least", "reached", "by cpu", ""];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    let shown = |value: &Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
    for (name, goal, reached, cpu) in goals {
        let judged = match reached {
            None => "not measured",
            Some(reached) if reached < goal => "MISSED",
            Some(_) => "met",
        };
        rows.push(vec![
            name.clone(),
            format!("{goal:.2}"),
            shown(reached),
            shown(cpu),
            judged.to_owned(),
        ]);
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::super::Measures;
    use super::super::process::Measured;
    use super::goals;

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
        note("zstd alone", "ours", &[4.0, 5.0, 90.0]);
        note("null store", "ours", &[5.0, 1.0, 70.0]);
        let goals = goals(&measures);
        assert_eq!(goals[0].2, Some(1.0));
        assert!(goals[1..].iter().all(|goal| goal.2.is_none()));
    }
}
