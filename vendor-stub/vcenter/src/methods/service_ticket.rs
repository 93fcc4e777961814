//! AcquireGenericServiceTicket: one HTTP request without a session ("vSphere API reference", 2.11).

use super::dispatch::Call;
use crate::soap::{Answer, Fault};
use crate::ticket::Ticket;
use crate::value::{DataObject, Value};

pub(super) fn acquire(call: &Call<'_>) -> Result<Answer, Fault> {
    let login = call.session(|session| session.login().to_owned())?;
    let spec = call.args.get("spec").and_then(Value::object);
    let spec = spec.ok_or_else(|| Fault::invalid_argument("spec"))?;
    let ticket = Ticket::of(spec, login)?;
    let state = call.world.state;
    let id = state.service_tickets.keep(ticket)?;
    let failed = |error: &lab::Error| crate::world::lab_fault(error);
    let sha1 = state
        .lab
        .thumbprint_sha1()
        .map_err(|error| failed(&error))?;
    let sha256 = state
        .lab
        .thumbprint_sha256()
        .map_err(|error| failed(&error))?;
    let print = DataObject::new("VirtualMachineCertThumbprint")
        .text("thumbprint", sha256)
        .text("hashAlgorithm", "sha256");
    let ticket = DataObject::new("SessionManagerGenericServiceTicket")
        .text("id", id)
        .text("hostName", &call.world.site()?.host.name)
        .text("sslThumbprint", sha1)
        .with(
            "certThumbprintList",
            Value::objects("VirtualMachineCertThumbprint", [print]),
        )
        .text("ticketType", "HttpNfcServiceTicket");
    Ok(Answer::One(Value::Object(ticket)))
}
