//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::error;
use crate::{
    bench, bindings, check, clients, demo, functions, man, miri, reader, sanitize, stores,
};

/// What needs more than one cargo command.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Bench(bench::Bench),
    Clients(clients::Clients),
    Bindings(bindings::Bindings),
    Functions(functions::Functions),
    Man(man::Man),
    Reader(reader::Reader),
    Stores(stores::Stores),
    Check(check::Check),
    Sanitize(sanitize::Sanitize),
    Miri(miri::Miri),
}

/// Runs the command line. Failures end with 1, wrong usage with 2.
pub(crate) fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Demo(command) => command.run(),
        Command::Bench(command) => command.run(),
        Command::Clients(command) => command.run(),
        Command::Bindings(command) => command.run(),
        Command::Functions(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Reader(command) => command.run(),
        Command::Stores(command) => command.run(),
        Command::Check(command) => command.run(),
        Command::Sanitize(command) => command.run(),
        Command::Miri(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            error(&format!("{failure:#}"));
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;
    use clap::{CommandFactory as _, Parser as _};

    use super::Arguments;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_check_of_nothing_is_wrong_usage() {
        let error = Arguments::try_parse_from(["xtask", "check"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::MissingRequiredArgument);
        assert!(error.to_string().contains("--long"), "{error}");
        Arguments::try_parse_from(["xtask", "check", "--long"]).unwrap();
    }
}
