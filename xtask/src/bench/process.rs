//! One process, measured.

use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// How often is looked at a process's memory.
const LOOK: Duration = Duration::from_millis(10);
/// Ticks a second of the numbers in `/proc/self/stat`: a constant of Linux on x86-64.
const TICKS: f64 = 100.0;

/// What a step took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    /// Of all processors.
    pub(crate) cpu_seconds: f64,
    /// The most memory it had.
    pub(crate) peak_bytes: u64,
    /// What our own steps say besides.
    pub(crate) bytes: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
}

impl Measured {
    /// Without what another step took.
    pub(crate) fn without(self, other: &Self) -> Self {
        Self {
            seconds: (self.seconds - other.seconds).max(0.001),
            cpu_seconds: (self.cpu_seconds - other.cpu_seconds).max(0.001),
            ..self
        }
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it cannot be started, or fails.
pub(crate) fn measure(mut command: Command, output: Stdio) -> anyhow::Result<Measured> {
    let name = format!("{command:?}");
    let before = cpu_seconds_of_children()?;
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {name}"))?;
    let status = format!("/proc/{}/status", child.id());
    let errors = child.stderr.take().context("standard error is piped")?;
    let errors = thread::spawn(move || std::io::read_to_string(errors).unwrap_or_default());
    let mut peak_bytes = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        // It is gone when the process ends between the two.
        let text = fs::read_to_string(&status).unwrap_or_default();
        peak_bytes = peak_bytes.max(peak_of(&text));
        thread::sleep(LOOK);
    };
    let seconds = begin.elapsed().as_secs_f64();
    let said = errors.join().unwrap_or_default();
    if !ended.success() {
        bail!("{name} ended with {ended}: {said}");
    }
    Ok(Measured {
        seconds,
        cpu_seconds: cpu_seconds_of_children()? - before,
        peak_bytes,
        ..Measured::default()
    })
}

fn peak_of(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Processor time of the children that were waited for.
fn cpu_seconds_of_children() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in brackets, which may have blanks in it.
    let (_, rest) = stat.rsplit_once(')').context("no name in stat")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| -> anyhow::Result<f64> {
        let field = fields.get(index).context("too few fields in stat")?;
        Ok(field.parse()?)
    };
    // cutime and cstime are the 16th and 17th field of all.
    Ok((ticks(13)? + ticks(14)?) / TICKS)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::{Measured, measure, peak_of};

    #[test]
    fn processor_time_and_failures_are_told() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
        let measured = measure(busy, Stdio::null()).unwrap();
        assert!(measured.cpu_seconds > 0.0 && measured.seconds > 0.0);
        let mut broken = Command::new("sh");
        broken.args(["-c", "echo why >&2; exit 3"]);
        let error = measure(broken, Stdio::null()).unwrap_err().to_string();
        assert!(error.contains("why"), "{error}");
        assert_eq!(peak_of("VmPeak:\t 1 kB\nVmHWM:\t  12 kB\n"), 12 << 10);
    }

    #[test]
    fn nothing_takes_no_time_at_all() {
        let one = Measured {
            seconds: 1.0,
            ..Measured::default()
        };
        assert!(one.without(&one).seconds > 0.0);
    }
}
