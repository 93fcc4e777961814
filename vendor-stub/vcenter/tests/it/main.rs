//! The server over real TLS on loopback, with a small client of its own.

#![expect(
    clippy::unwrap_used,
    reason = "what fails in a support function fails the test"
)]
#![forbid(unsafe_code)]

mod bad_input;
mod browser;
mod client;
mod copies;
mod custom_fields;
mod cycle;
mod datastores;
mod device_changes;
mod devices;
mod dialects;
mod faults;
mod files;
mod finding;
mod history;
mod host_parts;
mod inventory;
mod layout;
mod leases;
mod life_cycle;
mod methods;
mod placing;
mod power;
mod privileges;
mod program;
mod registration;
mod rig;
mod roles;
mod scale;
mod sessions;
mod settings;
mod tracking_keys;
mod updates;
