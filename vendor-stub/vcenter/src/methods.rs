//! The methods, one file per managed object they belong to.

mod authorization;
mod changed_areas;
mod clone;
mod config_spec;
mod custom_field;
mod datastore_browser;
mod datastore_name;
mod device_change;
mod disk_change;
mod disk_details;
mod dispatch;
mod entity;
mod file_manager;
mod filter;
mod history;
mod hot_plug;
mod inventory;
mod lease;
mod lie;
mod life_cycle;
mod other_device;
mod power;
mod property;
mod question;
mod reconfigure;
mod register;
mod search;
mod service;
mod service_ticket;
mod session;
mod snapshot;
mod update;
mod view;
mod virtual_disk;

pub(crate) use dispatch::{Caller, Outcome, resume, serve};
pub(crate) use power::power_fault;
