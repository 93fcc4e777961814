//! From a request body to an answer: decode, check, call, journal.

use std::borrow::Cow;

use lab::{Fault as Ordered, PowerState};
use serde_json::{Value as Json, json};

use super::{
    authorization, changed_areas, clone, custom_field, datastore_browser, entity, file_manager,
    filter, history, inventory, lease, life_cycle, power, property, question, reconfigure,
    register, role, search, service, service_ticket, session, snapshot, update, view, virtual_disk,
};
use crate::collector::Wait;
use crate::journal::arguments;
use crate::model::ALARM;
use crate::schema::{Method, schema};
use crate::server::State;
use crate::session::{Client, Session};
use crate::soap::{
    Answer, Dialect, Fault, Request, answer_envelope, decode_parameters, fault_envelope,
};
use crate::value::{DataObject, MoRef, Value};
use crate::world::World;

const VIM25: &str = "urn:vim25";
const ANONYMOUS: &str = "System.Anonymous";
const INTERNAL: &str = "urn:internalvim25";
/// Methods of the internal namespace.
const INTERNAL_METHODS: [&str; 2] = ["DisableMethods", "EnableMethods"];

/// Who calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// The value of the session cookie, without quotes.
    pub(crate) cookie: Option<String>,
    /// The header `SOAPAction`.
    pub(crate) action: Option<String>,
    /// Address and program.
    pub(crate) client: Client,
}

/// What goes back to the client.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// HTTP status.
    pub(crate) status: u16,
    /// The manner of answering.
    dialect: Dialect,
    /// The envelope.
    pub(crate) body: String,
    /// The value of a new session cookie.
    pub(crate) new_cookie: Option<String>,
    /// What a test ordered beyond the fault itself: delay, status, truncation.
    pub(crate) ordered: Option<Ordered>,
    /// The call waits: there is no answer yet, and [`resume`] will have it.
    pub(crate) waiting: Option<Waiting>,
}

/// A call that waits for something to happen.
#[derive(Debug)]
pub(crate) struct Waiting {
    method: &'static str,
    args: Json,
    wait: Wait,
}

impl Waiting {
    /// Waits until it is worth to call [`resume`].
    pub(crate) async fn pause(&self, state: &State) {
        self.wait.pause(state).await;
    }
}

/// One call with everything its method needs.
pub(super) struct Call<'a> {
    /// What the request sees.
    pub(super) world: &'a World<'a>,
    /// The receiver.
    pub(super) this: &'a MoRef,
    /// The parameters by name.
    pub(super) args: &'a DataObject,
    /// The client.
    pub(super) client: &'a Client,
    /// The fault a test ordered for this call, if it has no effect before the method.
    pub(super) ordered: Option<&'a Ordered>,
    /// A cookie to hand out with the answer.
    pub(super) new_cookie: Option<String>,
    /// Set by a method that has no answer yet.
    pub(super) wait: Option<Wait>,
}

/// Serves one request body.
pub(crate) fn serve(state: &State, caller: &Caller, body: &str) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.dialect = match state.dialect(caller.action.as_deref()) {
        Ok(dialect) => dialect,
        Err(fault) => return finish(outcome, "", Err(fault)),
    };
    let request = match Request::parse(body, &outcome.dialect) {
        Ok(request) => request,
        Err(fault) => {
            state.record("unreadable", json!({}), Err(&fault));
            return finish(outcome, "", Err(fault));
        }
    };
    let name = request.call.name.as_str();
    let (args, answer) = match decoded(&request, &outcome.dialect) {
        Err(fault) => (json!({}), Err(fault)),
        Ok((method, this, args)) => {
            let arguments = arguments(&this, &args);
            match state.ordered_fault(method.name) {
                Err(fault) => (arguments, Err(fault)),
                Ok(ordered) => {
                    outcome.ordered = ordered;
                    let answer = checked(state, caller, method, &this, &args, &mut outcome);
                    (arguments, answer)
                }
            }
        }
    };
    if let Some(waiting) = &mut outcome.waiting {
        waiting.args = args;
        return outcome;
    }
    state.record(name, args, answer.as_ref().map(|_| ()));
    finish(outcome, name, answer)
}

/// Goes on with a call that waits. It may wait again.
pub(crate) fn resume(state: &State, caller: &Caller, mut outcome: Outcome) -> Outcome {
    let Some(mut waiting) = outcome.waiting.take() else {
        return outcome;
    };
    let world = World::new(state, caller.cookie.as_deref(), outcome.dialect.clone());
    let answer = match waiting.wait.look(&world) {
        Ok(None) => {
            outcome.waiting = Some(waiting);
            return outcome;
        }
        Ok(Some(answer)) => Ok(answer),
        Err(fault) => Err(fault),
    };
    state.record(waiting.method, waiting.args, answer.as_ref().map(|_| ()));
    finish(outcome, waiting.method, answer)
}

fn finish(mut outcome: Outcome, name: &str, answer: Result<Answer, Fault>) -> Outcome {
    (outcome.status, outcome.body) = match answer {
        Ok(answer) => (200, answer_envelope(name, &answer, &outcome.dialect)),
        Err(fault) => (500, fault_envelope(&fault, &outcome.dialect)),
    };
    outcome
}

fn decoded(
    request: &Request,
    dialect: &Dialect,
) -> Result<(&'static Method, MoRef, DataObject), Fault> {
    let call = &request.call;
    let this = request.receiver()?;
    let method = schema()
        .method(&call.name)
        .filter(|method| call.namespace == namespace_of(method.name))
        .filter(|method| method.since <= dialect.version)
        .ok_or_else(|| Fault::method_not_found(&this, &call.name))?;
    let args = decode_parameters(call, method, dialect)?;
    Ok((method, this, args))
}

fn namespace_of(method: &str) -> &'static str {
    if INTERNAL_METHODS.contains(&method) {
        INTERNAL
    } else {
        VIM25
    }
}

fn checked(
    state: &State,
    caller: &Caller,
    method: &'static Method,
    this: &MoRef,
    args: &DataObject,
    outcome: &mut Outcome,
) -> Result<Answer, Fault> {
    let ordered = outcome.ordered.clone();
    let ordered_type = ordered.as_ref().and_then(|fault| fault.fault.as_deref());
    let mut cookie = caller.cookie.as_deref();
    if ordered_type == Some("NotAuthenticated")
        && let Some(lost) = cookie
    {
        // The session is gone for this call and for all that follow.
        state.end_session(lost);
    }
    cookie = cookie.filter(|cookie| state.touch(cookie));
    if let (Some(type_name), Some(fault)) = (ordered_type, &ordered)
        && fails_at_once(method, type_name)
    {
        return Err(Fault::ordered(type_name, fault.message.clone(), this));
    }
    let world = World::new(state, cookie, outcome.dialect.clone());
    if method.privilege != ANONYMOUS && cookie.is_none() {
        return Err(Fault::not_authenticated(this, method.privilege));
    }
    // An object of a session is not there without it.
    if method.privilege != ANONYMOUS || this.id.starts_with("session[") {
        let receiver = world.existing(this)?;
        if !schema().is_a(&receiver.reference.type_name, method.receiver) {
            return Err(Fault::method_not_found(this, method.name));
        }
        if needs_permission(method.privilege) {
            world.demand(&receiver.reference, method.privilege)?;
        }
    }
    let mut call = Call {
        world: &world,
        this,
        args,
        client: &caller.client,
        ordered: ordered.as_ref(),
        new_cookie: None,
        wait: None,
    };
    let answer = run(&mut call, method.name);
    outcome.new_cookie = call.new_cookie;
    outcome.waiting = call.wait.map(|wait| Waiting {
        method: method.name,
        args: Json::Null,
        wait,
    });
    answer
}

/// Whether the receiver alone decides if the call is allowed. The privileges of `System`
/// show in what is seen, and `-` means that the method itself knows.
fn needs_permission(privilege: &str) -> bool {
    privilege != "-" && !privilege.starts_with("System.")
}

/// Whether an ordered fault is the answer to the call. The storage and snapshot faults of
/// a task are the outcome of the task, and a lost session shows in the method's own way.
fn fails_at_once(method: &Method, type_name: &str) -> bool {
    if type_name == "NotAuthenticated" {
        return false;
    }
    let in_task = ["FileFault", "SnapshotFault", "VmConfigFault", "SystemError"]
        .iter()
        .any(|family| schema().is_a(type_name, family));
    !(method.name.ends_with("_Task") && in_task)
}

/// Methods that an ESXi host does not have, and how it says so.
const NOT_ON_A_HOST: [(&str, &str); 14] = [
    ("CreateFolder", "NotSupported"),
    ("CreateDatacenter", "NotSupported"),
    ("MoveIntoFolder_Task", "NotSupported"),
    ("SessionIsActive", "NotImplemented"),
    ("AcquireCloneTicket", "NotImplemented"),
    ("CloneSession", "NotImplemented"),
    ("DisableMethods", "MethodNotFound"),
    ("EnableMethods", "MethodNotFound"),
    ("RelocateVM_Task", "NotSupported"),
    ("CloneVM_Task", "NotSupported"),
    ("MarkAsTemplate", "NotSupported"),
    ("MarkAsVirtualMachine", "NotSupported"),
    ("MigrateVM_Task", "NotSupported"),
    ("PowerOnMultiVM_Task", "NotSupported"),
];

fn run(call: &mut Call<'_>, method: &'static str) -> Result<Answer, Fault> {
    let missing = NOT_ON_A_HOST.iter().find(|(name, _)| *name == method);
    if let Some((_, fault)) = missing.filter(|_| call.world.dialect.bare_host) {
        return Err(match *fault {
            "MethodNotFound" => Fault::method_not_found(call.this, method),
            other => Fault::new(other, "The operation is not supported on the object."),
        });
    }
    match method {
        "RetrieveServiceContent" => service::content(call),
        "CurrentTime" => Ok(service::current_time()),
        "Login" => session::login(call),
        // The lab issues no tokens, so none is good.
        "LoginByToken" => Err(Fault::invalid_login()),
        "Logout" => session::logout(call),
        "AcquireCloneTicket" => session::clone_ticket(call),
        "CloneSession" => session::clone(call),
        "TerminateSession" => session::terminate(call),
        "SessionIsActive" => Ok(session::is_active(call)),
        "CreateContainerView" => view::create(call),
        "CreateListView" => view::create_list(call),
        "ModifyListView" => view::modify_list(call),
        "ResetListView" => view::reset_list(call),
        "ResetListViewFromView" => view::reset_list_from_view(call),
        "DestroyView" => view::destroy(call),
        "RetrievePropertiesEx" => property::retrieve_ex(call),
        "ContinueRetrievePropertiesEx" => property::proceed(call),
        "CancelRetrievePropertiesEx" => property::cancel(call),
        "RetrieveProperties" => property::retrieve(call),
        "CreatePropertyCollector" => filter::create_collector(call),
        "DestroyPropertyCollector" => filter::destroy_collector(call),
        "CreateFilter" => filter::create(call),
        "DestroyPropertyFilter" => filter::destroy(call),
        "CheckForUpdates" => update::check(call),
        "WaitForUpdates" => update::wait(call),
        "WaitForUpdatesEx" => update::wait_ex(call),
        "CancelWaitForUpdates" => update::cancel(call),
        "Fetch" => property::fetch(call),
        "FindByInventoryPath" => search::by_inventory_path(call),
        "FindByUuid" | "FindAllByUuid" => Ok(search::answer(method, search::by_uuid(call)?)),
        "FindByDnsName" | "FindAllByDnsName" => {
            Ok(search::answer(method, search::by_dns_name(call)?))
        }
        "FindByIp" | "FindAllByIp" => Ok(search::answer(method, search::by_ip(call)?)),
        "FindByDatastorePath" => search::by_datastore_path(call),
        "FindChild" => search::find_child(call),
        "CreateSnapshot_Task" | "CreateSnapshotEx_Task" => snapshot::create(call, method),
        "RemoveSnapshot_Task" => snapshot::remove(call),
        "RenameSnapshot" => snapshot::rename(call),
        "ConsolidateVMDisks_Task" => snapshot::consolidate(call),
        "ReconfigVM_Task" => reconfigure::reconfigure(call),
        "QueryChangedDiskAreas" => changed_areas::query(call),
        "AddCustomFieldDef" => custom_field::add(call),
        "RenameCustomFieldDef" => custom_field::rename(call),
        "RemoveCustomFieldDef" => custom_field::remove(call),
        "SetField" => custom_field::set(call),
        "setCustomValue" => custom_field::set_by_name(call),
        "AcquireGenericServiceTicket" => service_ticket::acquire(call),
        "CreateCollectorForTasks" | "CreateCollectorForEvents" => history::create(call),
        "GetAlarm" => {
            let alarm = Value::reference("Alarm", ALARM);
            Ok(Answer::Many(vec![alarm]))
        }
        // The host has no TPM.
        "QueryTpmAttestationReport" => Ok(Answer::Nothing),
        "QueryEvents" => history::query_events(call),
        "ReadNextTasks" | "ReadPreviousTasks" | "ReadNextEvents" | "ReadPreviousEvents" => {
            history::read(call, method)
        }
        "RewindCollector" => history::rewind(call),
        "ResetCollector" => history::reset(call),
        "SetCollectorPageSize" => history::set_page_size(call),
        "DestroyCollector" => history::destroy(call),
        "CancelTask" => {
            call.world.state.tasks.cancel(call.this)?;
            Ok(Answer::Nothing)
        }
        _ => of_accounts(call, method),
    }
}

/// What accounts may do.
fn of_accounts(call: &mut Call<'_>, method: &'static str) -> Result<Answer, Fault> {
    match method {
        "HasPrivilegeOnEntity" => authorization::has_privilege_on_entity(call),
        "HasPrivilegeOnEntities" => authorization::has_privilege_on_entities(call),
        "HasUserPrivilegeOnEntities" => authorization::has_user_privilege_on_entities(call),
        "FetchUserPrivilegeOnEntities" => authorization::fetch_user_privilege(call),
        "DisableMethods" => authorization::disable_methods(call),
        "EnableMethods" => authorization::enable_methods(call),
        "AddAuthorizationRole" => role::add(call),
        "UpdateAuthorizationRole" => role::update(call),
        "RemoveAuthorizationRole" => role::remove(call),
        "SetEntityPermissions" => role::set_permissions(call),
        "RemoveEntityPermission" => role::remove_permission(call),
        "RetrieveEntityPermissions" => role::permissions_of_entity(call),
        "RetrieveRolePermissions" => role::permissions_of_role(call),
        "RetrieveAllPermissions" => role::all_permissions(call),
        _ => of_datastores(call, method),
    }
}

/// What is done to files and disks on datastores.
fn of_datastores(call: &mut Call<'_>, method: &'static str) -> Result<Answer, Fault> {
    match method {
        "MakeDirectory" => file_manager::make_directory(call),
        "DeleteDatastoreFile_Task" => file_manager::delete(call),
        "MoveDatastoreFile_Task" => file_manager::relocate(call),
        "CopyDatastoreFile_Task" => file_manager::copy(call),
        "CreateDirectory" => file_manager::create_top_directory(call),
        "CreateVirtualDisk_Task" => virtual_disk::create(call),
        "DeleteVirtualDisk_Task" => virtual_disk::delete(call),
        "ExtendVirtualDisk_Task" => virtual_disk::extend(call),
        "MoveVirtualDisk_Task" => virtual_disk::relocate(call),
        "CopyVirtualDisk_Task" => virtual_disk::copy(call),
        "QueryVirtualDiskUuid" => virtual_disk::uuid(call),
        "SetVirtualDiskUuid" => virtual_disk::set_uuid(call),
        "SearchDatastore_Task" | "SearchDatastoreSubFolders_Task" => {
            datastore_browser::search(call, method)
        }
        _ => of_vm(call, method),
    }
}

/// What is done to VMs as a whole.
fn of_vm(call: &mut Call<'_>, method: &'static str) -> Result<Answer, Fault> {
    match method {
        "RemoveAllSnapshots_Task" => power::remove_all(call),
        "RevertToSnapshot_Task" => power::revert(call),
        "RevertToCurrentSnapshot_Task" => power::revert_to_current(call),
        "PowerOnVM_Task" => power::power_on(call),
        "PowerOffVM_Task" => {
            let names = ("PowerOffVM_Task", "VirtualMachine.powerOff");
            power::change(call, names, PowerState::PoweredOff)
        }
        "SuspendVM_Task" => {
            let names = ("SuspendVM_Task", "VirtualMachine.suspend");
            power::change(call, names, PowerState::Suspended)
        }
        "PromoteDisks_Task" => life_cycle::promote(call),
        "CreateVM_Task" => life_cycle::create(call),
        "RegisterVM_Task" => register::register(call),
        "AnswerVM" => question::answer(call),
        "PowerOnMultiVM_Task" => power::power_on_many(call),
        "UnregisterVM" => life_cycle::unregister(call),
        "Destroy_Task" => inventory::destroy(call),
        "CreateFolder" => inventory::create_folder(call),
        "CreateDatacenter" => inventory::create_datacenter(call),
        "MoveIntoFolder_Task" => inventory::move_into_folder(call),
        "CreateResourcePool" => inventory::create_pool(call),
        "UpdateConfig" => inventory::update_pool(call),
        "MoveIntoResourcePool" => inventory::move_into_pool(call),
        "DestroyChildren" => inventory::destroy_children(call),
        // What a vCenter has of an object is as fresh as the lab, and there is no image of the tools
        // to see in the guest.
        "Reload"
        | "RefreshDatastore"
        | "RefreshDatastoreStorageInfo"
        | "RefreshStorageInfo"
        | "MountToolsInstaller"
        | "UnmountToolsInstaller" => Ok(Answer::Nothing),
        "ExportVm" => lease::export_vm(call),
        "ExportSnapshot" => lease::export_snapshot(call),
        "HttpNfcLeaseProgress" => lease::progress(call),
        "HttpNfcLeaseComplete" => lease::complete(call),
        "HttpNfcLeaseAbort" => lease::abort(call),
        "ResetVM_Task" => power::reset(call),
        "ShutdownGuest" => power::guest(call, Some(PowerState::PoweredOff)),
        "StandbyGuest" => power::guest(call, Some(PowerState::Suspended)),
        "RebootGuest" => power::guest(call, None),
        "UpgradeVM_Task" => power::upgrade(call),
        "MigrateVM_Task" => power::migrate(call),
        "RelocateVM_Task" => power::relocate(call),
        "CloneVM_Task" => clone::clone(call),
        "Rename_Task" => entity::rename(call),
        "MarkAsTemplate" => entity::mark_as_template(call),
        "MarkAsVirtualMachine" => entity::mark_as_vm(call),
        _ => Err(Fault::method_not_found(call.this, method)),
    }
}

impl Call<'_> {
    /// A required text parameter; decoding made sure that it is there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.args.get_text(name).unwrap_or_default()
    }

    /// A number that decoding checked.
    pub(super) fn number<N: std::str::FromStr>(&self, name: &'static str) -> Result<N, Fault> {
        self.text(name)
            .parse()
            .map_err(|_| Fault::invalid_argument(name))
    }

    /// Works on the caller's session.
    pub(super) fn session<R>(&self, work: impl FnOnce(&mut Session) -> R) -> Result<R, Fault> {
        let sessions = &self.world.state.sessions;
        let done = sessions.with(self.world.cookie, work);
        done.ok_or_else(|| Fault::not_authenticated(self.this, "System.View"))
    }

    /// The fault that a test ordered for the work of a task.
    pub(super) fn ordered_task_fault(&self) -> Option<Fault> {
        let ordered = self.ordered?;
        let type_name = ordered.fault.as_deref()?;
        (type_name != "NotAuthenticated")
            .then(|| Fault::ordered(type_name, ordered.message.clone(), self.this))
    }

    /// The user who calls.
    pub(super) fn user_name(&self) -> Cow<'static, str> {
        let name = self
            .world
            .state
            .sessions
            .with(self.world.cookie, |session| session.user_name.clone());
        name.map_or(Cow::Borrowed(""), Cow::Owned)
    }
}
