//! Settings of the server.

use std::net::{Ipv4Addr, SocketAddr};

use crate::Form;

/// How the server runs. Make one with [`Options::default`] and change fields.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Address to listen on; port 0 takes a free one. Default `127.0.0.1:0`.
    pub listen: SocketAddr,
    /// How long a task takes before its work is done, in milliseconds. Default 40.
    pub task_duration_ms: u64,
    /// How long a finished task can still be read, in seconds, by the clock that
    /// [`VCenter::advance_clock`](crate::VCenter::advance_clock) moves; then it is
    /// `ManagedObjectNotFound`. 0 forgets it at once. Of more than 1000 tasks the oldest
    /// finished ones go earlier. Default 600.
    pub task_memory_secs: u64,
    /// Greatest number of objects in one page of `RetrievePropertiesEx`. Default 100.
    pub page_limit: usize,
    /// Greatest number of object updates in one answer of `WaitForUpdatesEx`. Default 100.
    pub update_limit: usize,
    /// Answer as an ESXi host and not as a vCenter, also when the site of the lab is one.
    pub bare_host: bool,
    /// How answers are written.
    pub form: Form,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            task_duration_ms: 40,
            task_memory_secs: 600,
            page_limit: 100,
            update_limit: 100,
            bare_host: false,
            form: Form::default(),
        }
    }
}
