//! Tests of the repository as a whole.

mod damage;
mod fault_store;
mod faults;
mod healing;
mod model;
mod protocol;
mod site;
mod verify;
