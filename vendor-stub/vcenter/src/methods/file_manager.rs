//! Methods of FileManager and DatastoreNamespaceManager ("vSphere API reference", 2.12).

use lab::Lab;

use super::datastore_name::place;
use super::dispatch::Call;
use super::snapshot::start_on;
use crate::soap::{Answer, Fault};
use crate::value::{MoRef, Value};
use crate::world::lab_fault;

const MANAGE: &str = "Datastore.FileManagement";
const NAME: (&str, &str) = ("name", "datacenter");
const SOURCE: (&str, &str) = ("sourceName", "sourceDatacenter");
const TARGET: (&str, &str) = ("destinationName", "destinationDatacenter");

pub(super) fn make_directory(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = place(call, NAME, MANAGE)?;
    let parents = call.args.get_flag("createParentDirectories");
    let lab = &call.world.state.lab;
    lab.make_datastore_folder(path, parents)
        .map_err(|error| lab_fault(&error))?;
    Ok(Answer::Nothing)
}

pub(super) fn delete(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = place(call, NAME, MANAGE)?.to_owned();
    let names = ("DeleteDatastoreFile_Task", "FileManager.deleteFile");
    start_in_datacenter(call, names, move |lab| {
        lab.delete_datastore_file(&path)?;
        Ok(None)
    })
}

pub(super) fn relocate(call: &Call<'_>) -> Result<Answer, Fault> {
    let (from, to, force) = both(call)?;
    let names = ("MoveDatastoreFile_Task", "FileManager.moveFile");
    start_in_datacenter(call, names, move |lab| {
        lab.move_datastore_file(&from, &to, force)?;
        Ok(None)
    })
}

pub(super) fn copy(call: &Call<'_>) -> Result<Answer, Fault> {
    let (from, to, force) = both(call)?;
    let names = ("CopyDatastoreFile_Task", "FileManager.copyFile");
    start_in_datacenter(call, names, move |lab| {
        lab.copy_datastore_file(&from, &to, force)?;
        Ok(None)
    })
}

/// The two places of a call. Where no target datacenter is given it is that of the source.
fn both(call: &Call<'_>) -> Result<(String, String, bool), Fault> {
    let from = place(call, SOURCE, MANAGE)?.to_owned();
    let target = match call.args.get_reference(TARGET.1) {
        Some(_) => TARGET,
        None => (TARGET.0, SOURCE.1),
    };
    let to = place(call, target, MANAGE)?.to_owned();
    Ok((from, to, call.args.get_flag("force")))
}

/// CreateDirectory of DatastoreNamespaceManager: the way to a folder in the root of a vSAN or VVol.
pub(super) fn create_top_directory(call: &Call<'_>) -> Result<Answer, Fault> {
    let datastore = call.args.get_reference("datastore");
    let datastore = datastore.ok_or_else(|| Fault::invalid_argument("datastore"))?;
    let site = call.world.site()?;
    let found = site.datastore_by_moref(&datastore.id);
    let found = found.ok_or_else(|| Fault::not_found(datastore))?;
    call.world.demand(datastore, "Datastore.Config")?;
    if !found.kind.has_no_top_folders() {
        return Err(Fault::invalid_datastore(&found.name));
    }
    let name = call.args.get_text("displayName").unwrap_or_default();
    let lab = &call.world.state.lab;
    lab.make_top_folder(&found.name, name)
        .map_err(|error| lab_fault(&error))?;
    let path = crate::model::volume_path(site, found);
    Ok(Answer::One(Value::string(format!("{path}/{name}"))))
}

/// Starts a task on the datacenter.
pub(super) fn start_in_datacenter(
    call: &Call<'_>,
    names: (&'static str, &'static str),
    work: impl FnOnce(&Lab) -> Result<Option<Value>, lab::Error> + Send + 'static,
) -> Result<Answer, Fault> {
    let found = &call.world.site()?.datacenter;
    let datacenter = MoRef::new("Datacenter", &found.moref);
    start_on(call, datacenter, &found.name, names, work)
}
