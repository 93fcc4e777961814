//! The checks: what the VDDK API reference says, and how to see it.

mod change;
mod data;
mod disk;
mod remote;
mod start;

use std::process::ExitCode;

use crate::{
    options::Options,
    raw::{Api, No, Seen},
    report::Verdict,
};

/// One documented fact.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    /// Section of the VDDK API reference.
    pub(crate) source: &'static str,
    pub(crate) expected: &'static str,
    run: fn(&Api, &Options) -> Seen,
}

/// All checks, in the order in which a program meets the facts.
pub(crate) fn all() -> impl Iterator<Item = &'static Check> {
    [
        start::CHECKS,
        disk::CHECKS,
        data::CHECKS,
        change::CHECKS,
        remote::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// Runs one check in this process and says the outcome in the last line.
pub(crate) fn run_here(name: &str, options: &Options) -> ExitCode {
    let Some(check) = all().find(|check| check.name == name) else {
        eprintln!("conformance: no check is called {name}");
        return ExitCode::from(2);
    };
    let seen = Api::load(&options.libdir).and_then(|api| {
        let seen = (check.run)(&api, options);
        // Its temporary folder goes; the library stays mapped until the process ends.
        drop(api);
        seen
    });
    let line = match seen {
        Ok(seen) => Verdict::Conforms.line(&seen),
        Err(No::Deviates(seen)) => Verdict::Deviates.line(&seen),
        Err(No::Skip(why)) => Verdict::Skipped.line(&why),
    };
    println!("\n{line}");
    ExitCode::SUCCESS
}
