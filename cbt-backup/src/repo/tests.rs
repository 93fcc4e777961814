//! Tests of the repository as a whole.

mod bin;
mod compaction;
mod crash_points;
mod damage;
mod fault_store;
mod faults;
mod healing;
mod keys;
mod model;
mod operation_store;
mod protocol;
mod site;
mod sweep;
mod verify;
