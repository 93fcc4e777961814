//! An example program of the library that works on the repository alone, built with optimisation.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::process::Measured;
use crate::workspace::Build;

pub(super) struct RepoBench {
    program: PathBuf,
}

impl RepoBench {
    pub(super) fn of(build: &Build) -> anyhow::Result<Self> {
        let program = build.program("repo_bench")?;
        Ok(Self { program })
    }

    /// Runs one step. Time and memory are as the program tells them, without opening the repository.
    pub(super) fn step(&self, arguments: &[&str]) -> anyhow::Result<Measured> {
        let mut command = Command::new(&self.program);
        command.args(arguments);
        let lines = tempfile::NamedTempFile::new()?;
        let output = Stdio::from(lines.reopen()?);
        let measured = super::process::measure(command, output)?;
        let text = std::fs::read_to_string(lines.path())?;
        let Ok(Value::Object(told)) = serde_json::from_str(&text) else {
            bail!("repo_bench {} told nothing", arguments.join(" "));
        };
        let number = |name: &str| told.get(name).and_then(Value::as_u64).unwrap_or(0);
        let seconds = told.get("seconds").and_then(Value::as_f64);
        Ok(Measured {
            seconds: seconds.context("it told no time")?,
            cpu_seconds: measured.cpu_seconds,
            peak_bytes: number("peak_bytes"),
            bytes: number("bytes"),
            p50_us: number("p50_us"),
            p99_us: number("p99_us"),
        })
    }
}
