//! `info`: which VDDK is found.

use std::path::Path;

use clap::Args;
use serde_json::json;
use vddk::{Library, Report};

use super::Context;
use crate::cli::{
    exit_code::{ExitCode, Failure},
    options::VddkOptions,
    output::printable,
};

/// Show which VDDK is found, its interface version, and which functions it has.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  cbt-backup info --vddk /opt/vmware-vix-disklib-distrib")]
pub struct Info {
    /// Where VDDK is.
    #[command(flatten)]
    pub vddk: VddkOptions,
}

impl Info {
    /// Runs the command.
    ///
    /// # Errors
    /// 14 when no usable library is found; every place tried is listed.
    pub fn run(&self, context: &Context) -> Result<ExitCode, Failure> {
        let library = Library::load(self.vddk.library(&context.config))?;
        let report = library.report();
        let modes = library.transport_modes();
        library.close()?;
        if context.output.json {
            context
                .output
                .document(&document(&report, modes.as_deref()));
        } else {
            for line in lines(&report, modes.as_deref()) {
                context.output.line(&line);
            }
        }
        Ok(ExitCode::Done)
    }
}

fn document(report: &Report, modes: Option<&str>) -> serde_json::Value {
    let rows: Vec<_> = report
        .functions
        .iter()
        .map(|(symbol, found)| json!({"name": symbol.name, "since": symbol.since, "required": symbol.required, "found": found}))
        .collect();
    json!({
        "version": 1,
        "library": report.library.display().to_string(),
        "soname": report.soname,
        "interface": report.interface,
        "libdir": report.libdir.display().to_string(),
        "transport_modes": modes,
        "functions": rows,
    })
}

fn lines(report: &Report, modes: Option<&str>) -> Vec<String> {
    let unknown = || "unknown".to_owned();
    let path = |path: &Path| printable(&path.display().to_string());
    let interface = report.interface.map_or_else(unknown, |n| n.to_string());
    let (all, missing) = (report.functions.len(), report.missing().count());
    let mut lines = vec![
        format!("library    {}", path(&report.library)),
        format!(
            "soname     {}",
            report.soname.clone().unwrap_or_else(unknown)
        ),
        format!("interface  {interface}"),
        format!("libdir     {}", path(&report.libdir)),
        format!("transports {}", modes.map_or_else(unknown, printable)),
        format!("functions  {} of {all} found", all - missing),
    ];
    lines.extend(report.missing().map(|symbol| {
        format!(
            "           {} is missing, since {}",
            symbol.name, symbol.since
        )
    }));
    lines
}
