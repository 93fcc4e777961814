//! SOAP 1.1 as vim25 uses it: requests in, answers and faults out.

mod answer;
mod dialect;
mod element;
mod fault;
mod ids;
mod request;
mod writer;

pub(crate) use answer::{Answer, answer_envelope, fault_envelope};
pub(crate) use dialect::Dialect;
pub(crate) use element::{Element, ElementError};
pub(crate) use fault::Fault;
pub(crate) use request::{Request, decode_parameters};
