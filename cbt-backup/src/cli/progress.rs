//! Progress: bars on a terminal, lines elsewhere, JSON lines when asked.

mod board;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};

use self::board::{Bar, Board};
use super::output::{Output, bytes, note, on_terminal, printable};
use crate::{
    engine::{Event, Monitor, Severity, Stage},
    vsphere::VmSummary,
};

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
    /// The VM, where there are several.
    vm: Option<Vm>,
    /// What is shown of all VMs.
    board: Arc<Board>,
    /// Those in work, by their keys.
    disks: Mutex<BTreeMap<i32, Disk>>,
    /// The stage that the others wait for.
    stage: Mutex<Option<Stage>>,
}

#[derive(Debug)]
struct Vm {
    name: String,
    path: String,
}

#[derive(Debug)]
struct Disk {
    label: String,
    total_bytes: u64,
    done_bytes: u64,
    begun: Instant,
    told: Instant,
    bar: Option<Bar>,
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
            vm: None,
            board: Arc::default(),
            disks: Mutex::default(),
            stage: Mutex::default(),
        }
    }

    /// The progress of one of several VMs: each line names it.
    #[must_use]
    pub fn of_vm(&self, vm: &VmSummary) -> Self {
        Self {
            style: self.style,
            output: self.output,
            vm: Some(Vm {
                name: vm.name.clone(),
                path: vm.path.clone(),
            }),
            board: Arc::clone(&self.board),
            disks: Mutex::default(),
            stage: Mutex::default(),
        }
    }

    fn stage(&self) -> Option<Stage> {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far a disk is, and what it waits for.
    fn line(&self, disk: &Disk) -> String {
        let stage = self.stage().map(|stage| format!(", waits for: {stage}"));
        format!("  {}{}", disk.line(), stage.unwrap_or_default())
    }

    fn disks(&self) -> MutexGuard<'_, BTreeMap<i32, Disk>> {
        self.disks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A text for people, which begins with the VM where there are several.
    fn named(&self, text: &str) -> String {
        match &self.vm {
            Some(vm) => format!("{}: {text}", printable(&vm.path)),
            None => text.to_owned(),
        }
    }

    /// Writes something where no bar is in the way.
    pub fn beside(&self, write: impl FnOnce()) {
        self.board.beside(write);
    }

    fn say(&self, text: &str) {
        self.beside(|| note(text));
    }

    fn json(&self, mut line: Map<String, Value>, kind: &str) {
        line.insert("version".to_owned(), json!(1));
        line.insert("type".to_owned(), json!(kind));
        if let Some(vm) = &self.vm {
            line.insert("vm".to_owned(), json!(vm.name));
            line.insert("vm_path".to_owned(), json!(vm.path));
        }
        self.output.json_line(&line.into());
    }

    fn json_progress(&self, key: i32, disk: &Disk) {
        let mut line = Map::new();
        line.insert("disk".to_owned(), json!(disk.label));
        if key != 0 {
            line.insert("device_key".to_owned(), json!(key));
        }
        line.insert("done_bytes".to_owned(), json!(disk.done_bytes));
        line.insert("total_bytes".to_owned(), json!(disk.total_bytes));
        if let Some(stage) = self.stage() {
            line.insert("stage".to_owned(), json!(stage));
        }
        self.json(line, "progress");
    }
}

impl Disk {
    fn line(&self) -> String {
        let rate = rate(self.done_bytes, self.begun.elapsed());
        format!(
            "{}: {} of {}, {}/s",
            self.label,
            bytes(self.done_bytes),
            bytes(self.total_bytes),
            bytes(rate)
        )
    }
}

/// Bytes a second.
fn rate(done_bytes: u64, time: Duration) -> u64 {
    let seconds = time.as_secs_f64().max(0.001);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "shown with three digits"
    )]
    let rate = (done_bytes as f64 / seconds) as u64;
    rate
}

impl Monitor for Progress {
    fn step(&self, name: &str) {
        match self.style {
            Style::Json => {
                let step = ("step".to_owned(), json!(name));
                self.json(Map::from_iter([step]), "step");
            }
            Style::Quiet => {}
            Style::Bars | Style::Lines => self.say(&self.named(&format!("{name} …"))),
        }
    }

    fn disk_begins(&self, key: i32, label: &str, total_bytes: u64) {
        // In JSON the VM has a field of its own.
        let label = match self.style {
            Style::Json => printable(label),
            _ => self.named(&printable(label)),
        };
        let now = Instant::now();
        let disk = Disk {
            bar: (self.style == Style::Bars).then(|| self.board.begin(&label, total_bytes)),
            label,
            total_bytes,
            done_bytes: 0,
            begun: now,
            told: now,
        };
        self.disks().insert(key, disk);
    }

    fn advance(&self, key: i32, more_bytes: u64) {
        let mut disks = self.disks();
        let Some(disk) = disks.get_mut(&key) else {
            return;
        };
        disk.done_bytes += more_bytes;
        if let Some(bar) = &disk.bar {
            self.board.advance(bar, more_bytes);
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
            Style::Json => self.json_progress(key, disk),
            Style::Lines => note(&self.line(disk)),
            Style::Bars | Style::Quiet => {}
        }
    }

    fn disk_ends(&self, key: i32) {
        let Some(mut disk) = self.disks().remove(&key) else {
            return;
        };
        if let Some(bar) = disk.bar.take() {
            self.board.end(bar);
        }
        match self.style {
            Style::Json => self.json_progress(key, &disk),
            Style::Bars | Style::Lines => self.say(&format!("  {}", disk.line())),
            Style::Quiet => {}
        }
    }

    fn bound_by(&self, stage: Stage) {
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = Some(stage);
        for bar in self.disks().values().filter_map(|disk| disk.bar.as_ref()) {
            bar.say(&format!("waits for: {stage}"));
        }
    }

    fn event(&self, event: &Event) {
        if self.style == Style::Json {
            let mut line = event.details.clone();
            line.insert("severity".to_owned(), json!(event.severity));
            line.insert("kind".to_owned(), json!(event.kind));
            line.insert("message".to_owned(), json!(event.message));
            self.json(line, "event");
            return;
        }
        let message = self.named(&printable(&event.message));
        match event.severity {
            Severity::Warning => self.say(&format!("warning: {message}")),
            Severity::Info if self.style != Style::Quiet => self.say(&format!("note: {message}")),
            Severity::Info => {}
        }
    }
}
