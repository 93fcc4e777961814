//! Datastore paths in requests: what they name, and whether the caller may use it.

use super::dispatch::Call;
use crate::soap::Fault;
use crate::value::{MoRef, Value};
use crate::world::World;

/// The datastore that a datastore path names.
pub(super) fn datastore_of(world: &World<'_>, path: &str) -> Result<MoRef, Fault> {
    let rest = path.strip_prefix('[');
    let Some((name, _)) = rest.and_then(|rest| rest.split_once(']')) else {
        let text = format!("Invalid datastore path '{path}'.");
        let fault = Fault::new("InvalidDatastorePath", text);
        return Err(fault.with("datastorePath", Value::string(path)));
    };
    match world.site()?.datastore(name) {
        Some(found) => Ok(MoRef::new("Datastore", &found.moref)),
        None => Err(Fault::invalid_datastore(name)),
    }
}

/// The datastore path in a parameter. The caller needs a privilege on its datastore, and a vCenter
/// wants the datacenter too ("vSphere API reference", 2.12).
pub(super) fn place<'a>(
    call: &'a Call<'_>,
    (path, datacenter): (&'static str, &'static str),
    privilege: &str,
) -> Result<&'a str, Fault> {
    match call.args.get_reference(datacenter) {
        Some(given) => {
            call.world.existing(given)?;
        }
        None if call.world.dialect.bare_host => {}
        None => return Err(Fault::invalid_argument(datacenter)),
    }
    let path = call.text(path);
    call.world
        .demand(&datastore_of(call.world, path)?, privilege)?;
    Ok(path)
}
