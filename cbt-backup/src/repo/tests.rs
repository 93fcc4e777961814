//! Tests of the repository as a whole.

mod bin;
mod compaction;
mod crash_points;
mod damage;
mod fault_store;
mod faults;
mod golden;
mod healing;
mod histories;
mod keys;
mod killed;
mod life;
mod matrix;
mod model;
mod operation_store;
mod partial;
mod probe;
mod protocol;
mod real_store;
mod schedules;
mod site;
mod space;
mod sweep;
mod turn_store;
mod verify;
