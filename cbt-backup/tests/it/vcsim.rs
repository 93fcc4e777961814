//! The client against VMware's own simulator of a vCenter, which nobody here wrote.
//!
//! Where there is no Go these tests say "skipped" and pass.

mod inventory;
mod lacking;
mod life;
mod program;
mod session;
mod simulator;
mod tasks;
mod waits;
