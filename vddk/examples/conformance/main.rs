//! Scores a libvixDiskLib against what is documented: VMware's, another, or our stand-in.
//!
//! ```text
//! cargo run -p vddk --example conformance -- --libdir DIR
//! cargo run -p vddk --example conformance -- --libdir DIR --json report.json --only data
//! ```
//!
//! Every check runs in a process of its own, so a crash is a result like any other. Most checks
//! make and read small local disks in a temporary folder. Those of a server are skipped unless one
//! is named; the password comes from `CONFORMANCE_PASSWORD`, never from the command line.
//!
//! The exit code is 0 when nothing deviates, 1 when something does, 2 when nothing could be run.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports"
)]

mod checks;
mod options;
mod parent;
mod raw;
mod report;

use std::process::ExitCode;

use options::Options;

fn main() -> ExitCode {
    let options = match Options::from_arguments(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(what) => {
            eprintln!("conformance: {what}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    match &options.check {
        Some(name) => checks::run_here(name, &options),
        None => parent::run(&options),
    }
}
