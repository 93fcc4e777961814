//! `info`: which VDDK is found.

use clap::Args;
use serde_json::json;
use vddk::Library;

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
        let path = library.path().display().to_string();
        let major = library.major();
        let functions = library.functions();
        let modes = library.transport_modes();
        library.close()?;
        if context.output.json {
            let rows: Vec<_> = functions
                .iter()
                .map(|(symbol, found)| json!({"name": symbol.name, "since": symbol.since, "required": symbol.required, "found": found}))
                .collect();
            context.output.document(
                &json!({"version": 1, "library": path, "interface": major, "transport_modes": modes, "functions": rows}),
            );
            return Ok(ExitCode::Done);
        }
        context.output.line(&format!("library    {path}"));
        context.output.line(&format!(
            "interface  {}",
            major.map_or("unknown".to_owned(), |major| major.to_string())
        ));
        context.output.line(&format!(
            "transports {}",
            modes.as_deref().map_or("unknown".to_owned(), printable)
        ));
        let missing: Vec<_> = functions
            .iter()
            .filter(|(_, found)| !found)
            .map(|(symbol, _)| symbol.name)
            .collect();
        let found = functions.len() - missing.len();
        context
            .output
            .line(&format!("functions  {found} of {} found", functions.len()));
        for name in missing {
            context
                .output
                .line(&format!("           {name} is missing"));
        }
        Ok(ExitCode::Done)
    }
}
