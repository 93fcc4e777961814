//! The program's surface: what the documents say is what it takes, and its words on standard output
//! and error.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod documents;
mod secret_sources;
mod vcsim;
mod words;
