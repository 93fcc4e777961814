//! The running server: state, listener, HTTP.

mod cookie;
mod folder;
mod http;
mod listener;
mod mob;
mod nfc;
mod state;
mod vcenter;

pub(crate) use state::State;
pub use vcenter::VCenter;
