//! Whole runs of the real program against the stand-ins.

#![forbid(unsafe_code)]

mod access;
mod allocation;
mod audit;
mod bare_host;
mod c_clients;
mod cbt;
mod changed_areas;
mod copy;
mod crash_points;
mod cycle;
mod disk_faults;
mod disks;
mod fault_matrix;
mod filled;
mod grown;
mod hooks;
mod hot_add;
mod interrupted;
mod janitor;
mod keys;
mod ledger_writes;
mod lies;
mod output;
mod privileges;
mod quiesce;
mod refused;
mod repository_faults;
mod resumed;
mod retention;
mod revert_history;
mod reverted;
mod run;
mod saved;
mod secrets;
mod selection;
mod server_faults;
mod session;
mod several_disks;
mod several_vms;
mod store_crash_points;
mod tracking;
mod tracking_events;
mod transports;
mod why;
