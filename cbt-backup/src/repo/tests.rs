//! Tests of the repository as a whole.

mod damage;
mod fault_store;
mod faults;
mod healing;
mod keys;
mod model;
mod protocol;
mod site;
mod verify;
