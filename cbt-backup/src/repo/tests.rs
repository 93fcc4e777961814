//! Tests of the repository as a whole.

mod damage;
mod faults;
mod model;
mod protocol;
mod site;
