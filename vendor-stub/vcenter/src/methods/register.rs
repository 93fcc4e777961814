//! RegisterVM_Task ("vSphere API reference", 2.9).

use super::datastore_name::datastore_of;
use super::dispatch::Call;
use super::inventory;
use super::life_cycle::vm_folder;
use super::snapshot::start_on;
use crate::soap::{Answer, Fault};
use crate::value::Value;

pub(super) fn register(call: &Call<'_>) -> Result<Answer, Fault> {
    let path = call.text("path").to_owned();
    datastore_of(call.world, &path)?;
    let as_template = call.args.get_flag("asTemplate");
    let pool = inventory::wanted_pool(call, Some(call.args))?;
    // Only a template needs none.
    if pool.is_none() && !as_template {
        return Err(Fault::invalid_argument("pool"));
    }
    if let Some(host) = call.args.get_reference("host") {
        call.world.existing(host)?;
    }
    let site = call.world.site()?;
    let folder = vm_folder(site, call.this)?;
    let moref = folder.moref.clone();
    let name = call.args.get_text("name").map(str::to_owned);
    let name = name.filter(|name| !name.is_empty());
    let names = ("RegisterVM_Task", "Folder.registerVm");
    start_on(call, call.this.clone(), &folder.name, names, move |lab| {
        let vm = lab.register_vm(&path, name.as_deref(), &moref)?.moref;
        inventory::into_pool(lab, &vm, pool.as_ref())?;
        if as_template {
            lab.update_vm(&vm, |vm| {
                vm.is_template = true;
                Ok(())
            })?;
        }
        Ok(Some(Value::reference("VirtualMachine", vm)))
    })
}
