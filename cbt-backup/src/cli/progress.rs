//! Progress: bars on a terminal, lines elsewhere, JSON lines when asked.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::output::{Output, bytes, note, on_terminal, printable};
use crate::engine::{Event, Monitor, Severity};

/// How often a line tells of progress where no bar can be drawn.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How often a JSON line does.
const JSON_EVERY: Duration = Duration::from_secs(1);

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Bars,
    Lines,
    Json,
    /// Events only.
    Quiet,
}

/// Shows a run's progress.
#[derive(Debug)]
pub struct Progress {
    style: Style,
    output: Output,
    disk: Mutex<Option<Disk>>,
}

#[derive(Debug)]
struct Disk {
    label: String,
    total_bytes: u64,
    done_bytes: u64,
    begun: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Chooses the style. `hidden` leaves the events only.
    pub fn new(output: Output, hidden: bool) -> Self {
        let style = match () {
            () if output.json => Style::Json,
            () if hidden => Style::Quiet,
            () if on_terminal() => Style::Bars,
            () => Style::Lines,
        };
        Self {
            style,
            output,
            disk: Mutex::new(None),
        }
    }

    fn say(&self, text: &str) {
        let disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        match disk.as_ref().and_then(|disk| disk.bar.as_ref()) {
            Some(bar) => bar.suspend(|| note(text)),
            None => note(text),
        }
    }
}

impl Disk {
    fn line(&self) -> String {
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "shown with three digits"
        )]
        let rate = (self.done_bytes as f64 / seconds) as u64;
        format!(
            "{}: {} of {}, {}/s",
            self.label,
            bytes(self.done_bytes),
            bytes(self.total_bytes),
            bytes(rate)
        )
    }
}

impl Monitor for Progress {
    fn step(&self, name: &str) {
        match self.style {
            Style::Json => self
                .output
                .json_line(&json!({"version": 1, "type": "step", "step": name})),
            Style::Quiet => {}
            Style::Bars | Style::Lines => self.say(&format!("{name} …")),
        }
    }

    fn disk_begins(&self, label: &str, total_bytes: u64) {
        let label = printable(label);
        let bar = (self.style == Style::Bars).then(|| {
            let style = ProgressStyle::with_template(
                "  {msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} eta {eta}",
            );
            let bar = ProgressBar::new(total_bytes).with_message(label.clone());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let now = Instant::now();
        *self.disk.lock().unwrap_or_else(PoisonError::into_inner) = Some(Disk {
            label,
            total_bytes,
            done_bytes: 0,
            begun: now,
            told: now,
            bar,
        });
    }

    fn advance(&self, more_bytes: u64) {
        let mut guard = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(disk) = guard.as_mut() else { return };
        disk.done_bytes += more_bytes;
        if let Some(bar) = &disk.bar {
            bar.inc(more_bytes);
            return;
        }
        let every = if self.style == Style::Json {
            JSON_EVERY
        } else {
            LINE_EVERY
        };
        if disk.told.elapsed() < every {
            return;
        }
        disk.told = Instant::now();
        match self.style {
            Style::Json => self.output.json_line(&json!({
                "version": 1, "type": "progress", "disk": disk.label,
                "done_bytes": disk.done_bytes, "total_bytes": disk.total_bytes,
            })),
            Style::Lines => note(&format!("  {}", disk.line())),
            Style::Bars | Style::Quiet => {}
        }
    }

    fn disk_ends(&self) {
        let Some(disk) = self
            .disk
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return;
        };
        if let Some(bar) = &disk.bar {
            bar.finish_and_clear();
        }
        match self.style {
            Style::Json => self.output.json_line(&json!({
                "version": 1, "type": "progress", "disk": disk.label,
                "done_bytes": disk.done_bytes, "total_bytes": disk.total_bytes,
            })),
            Style::Bars | Style::Lines => note(&format!("  {}", disk.line())),
            Style::Quiet => {}
        }
    }

    fn event(&self, event: &Event) {
        if self.style == Style::Json {
            let mut line = event.details.clone();
            line.insert("version".to_owned(), json!(1));
            line.insert("type".to_owned(), json!("event"));
            line.insert("severity".to_owned(), json!(event.severity));
            line.insert("kind".to_owned(), json!(event.kind));
            line.insert("message".to_owned(), json!(event.message));
            self.output.json_line(&line.into());
            return;
        }
        let message = printable(&event.message);
        match event.severity {
            Severity::Warning => self.say(&format!("warning: {message}")),
            Severity::Info if self.style != Style::Quiet => self.say(&format!("note: {message}")),
            Severity::Info => {}
        }
    }
}
