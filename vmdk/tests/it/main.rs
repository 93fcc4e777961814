//! Disks in a scratch folder: histories against a model, damage, chains, and qemu-img's opinion.

#![expect(
    clippy::unwrap_used,
    reason = "functions beside the tests may unwrap as the tests do"
)]

mod chain;
mod check;
mod damage;
mod files;
mod history;
mod kinds;
mod maintain;
mod qemu;
mod scratch;
mod stream;
mod write;
