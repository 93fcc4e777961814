//! Options, and which of them stand on the command line.

use std::{collections::BTreeSet, ops::Deref};

use clap::{ArgMatches, Args, Command, FromArgMatches, Id, parser::ValueSource};

/// Where an option's value is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It was typed.
    CommandLine,
    /// The environment has it.
    Environment,
}

/// Options together with the names of those that were typed; the others that have a value have it
/// from the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed<T> {
    options: T,
    typed: BTreeSet<String>,
}

impl<T> Placed<T> {
    /// The value of an option, if it is from this place.
    pub(super) fn at<'a, V>(
        &self,
        place: Place,
        name: &str,
        value: Option<&'a V>,
    ) -> Option<&'a V> {
        let is_typed = self.typed.contains(name);
        value.filter(|_| is_typed == (place == Place::CommandLine))
    }

    fn note(&mut self, matches: &ArgMatches) {
        let typed = matches.ids().map(Id::as_str);
        let typed =
            typed.filter(|name| matches.value_source(name) == Some(ValueSource::CommandLine));
        self.typed = typed.map(str::to_owned).collect();
    }
}

impl<T> Deref for Placed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.options
    }
}

impl<T: Args> Args for Placed<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Placed<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut placed = Self {
            options: T::from_arg_matches(matches)?,
            typed: BTreeSet::new(),
        };
        placed.note(matches);
        Ok(placed)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.options.update_from_arg_matches(matches)?;
        self.note(matches);
        Ok(())
    }
}
