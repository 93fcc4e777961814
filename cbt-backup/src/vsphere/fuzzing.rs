//! The parsers of answers, for the fuzz targets alone; [`text`] has those of other texts.
//!
//! Each takes any bytes. What it must never do is panic; what it has read must hold together.

pub mod text;

use super::authorization::read_entity_privileges;
use super::changed_areas;
use super::client::{read_content, read_timestamp};
use super::config_spec::{ConfigSpec, SpecEncryption, SpecOptions};
use super::datastore::Datastore;
use super::datastore_file::{Parent, read_ticket};
use super::envelope::{Parse, nothing, read_answer, reference, required};
use super::error::Error;
use super::exchange::read_login;
use super::fault::Fault;
use super::host::Host;
use super::inventory::{AttributeNames, Entity};
use super::lifecycle::{Pending, reconfigure_operation};
use super::moref::Moref;
use super::property::{
    ObjectUpdate, Page, Properties, PropertyMap, PropertyPath, PropertyValue, read_old, read_page,
    read_updates,
};
use super::search_index::{read_all_found, read_found};
use super::session::SessionProperties;
use super::snapshot::SnapshotProperties;
use super::surroundings::{Name, Surroundings};
use super::task::{TaskProperties, read_tasks};
use super::version::negotiate;
use super::vm::VmProperties;
use super::xml::Reader;

/// How many kinds of answers there are; [`answer`] takes the kind by this.
pub const KINDS: u8 = 15;

const RETRIEVE: &str = "RetrievePropertiesEx";
const WAIT: &str = "WaitForUpdatesEx";

/// Reads a whole answer.
pub fn answer(kind: u8, body: &[u8]) {
    match kind % KINDS {
        0 => drop(negotiate(body)),
        1 => drop(checked(read_answer(
            "RetrieveServiceContent",
            body,
            read_content,
        ))),
        2 => drop(page::<VmProperties>(body)),
        3 => snapshots(body),
        4 => tasks(body),
        5 => values(body),
        6 => updates(body),
        7 => areas(body),
        8 => drop(checked(read_answer("CreateSnapshot_Task", body, reference))),
        9 => others(body),
        10 => places(body),
        11 => sessions(body),
        12 => found(body),
        13 => history(body),
        _ => specs(body),
    }
}

/// Reads `inside` where an answer of the kind has its varying part, so that what is tried goes
/// deep.
pub fn fragment(kind: u8, inside: &str) {
    let object = |path: &str, xsi_type: &str| {
        format!(
            "<returnval><objects><obj type=\"VirtualMachine\">vm-1</obj><propSet><name>{path}</name><val xsi:type=\"{xsi_type}\">{inside}</val></propSet></objects></returnval>"
        )
    };
    let (method, returned) = match kind % KINDS {
        0 => {
            let versions = format!(
                "<namespaces><namespace><name>urn:vim25</name>{inside}</namespace></namespaces>"
            );
            return answer(kind, versions.as_bytes());
        }
        1 => ("RetrieveServiceContent", returnval(inside)),
        2 => (
            RETRIEVE,
            object("config.hardware.device", "ArrayOfVirtualDevice"),
        ),
        3 => (RETRIEVE, object("config", "VirtualMachineConfigInfo")),
        4 => (RETRIEVE, object("info", "TaskInfo")),
        5 => (RETRIEVE, object("x", "xsd:anyType")),
        6 => (
            WAIT,
            returnval(&format!(
                "<version>1</version><filterSet><filter type=\"PropertyFilter\">f</filter>{inside}</filterSet>"
            )),
        ),
        7 => ("QueryChangedDiskAreas", returnval(inside)),
        8 => {
            let fault = format!(
                "<s:Fault><detail><XFault xsi:type=\"X\">{inside}</XFault></detail></s:Fault>"
            );
            return answer(kind, enveloped(&fault).as_bytes());
        }
        9 => ("RetrieveProperties", returnval(inside)),
        10 => {
            let property = |name: &str| {
                format!("<propSet><name>{name}</name><val xsi:type=\"X\">{inside}</val></propSet>")
            };
            let names = ["field", "customValue", "network", "runtime.question"];
            let product = property("summary.config.product");
            let lists = names.map(property).concat();
            let object = format!(
                "<objects><obj type=\"VirtualMachine\">vm-1</obj>{lists}{product}</objects>"
            );
            (RETRIEVE, returnval(&object))
        }
        11 => ("Login", returnval(inside)),
        12 => ("HasPrivilegeOnEntities", returnval(inside)),
        13 => ("ReadNextTasks", returnval(inside)),
        _ => {
            let config = format!(
                "<config xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><hardware>{inside}</hardware></config>"
            );
            return answer(kind, config.as_bytes());
        }
    };
    let body = format!("<{method}Response xmlns=\"urn:vim25\">{returned}</{method}Response>");
    answer(kind, enveloped(&body).as_bytes());
}

fn returnval(inside: &str) -> String {
    format!("<returnval>{inside}</returnval>")
}

fn enveloped(body: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><s:Body>{body}</s:Body></s:Envelope>"
    )
}

/// Every error can be said, and is of a kind with its reason.
fn checked<T>(read: Result<T, Error>) -> Option<T> {
    match read {
        Ok(read) => Some(read),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            let _: (bool, bool) = (error.is_retryable(), error.is_transient());
            if let Some(fault) = error.fault() {
                fault_holds(fault);
            }
            None
        }
    }
}

fn fault_holds(fault: &Fault) {
    assert!(!format!("{fault:?}{fault}").is_empty());
}

fn page<T: Properties>(body: &[u8]) -> Option<Page<T>> {
    let page = checked(read_answer(RETRIEVE, body, read_page::<T>))?;
    for found in &page.objects {
        found
            .missing
            .iter()
            .for_each(|(_, fault)| fault_holds(fault));
    }
    Some(page)
}

fn snapshots(body: &[u8]) {
    for found in page::<SnapshotProperties>(body)
        .into_iter()
        .flat_map(|page| page.objects)
    {
        let Some(config) = found.properties.config else {
            continue;
        };
        // It goes into the backup, to be read alone some day.
        let raw = Reader::from_bytes(&config.raw_xml);
        let read = raw.and_then(|mut raw| raw.document(|_, _| Ok(())));
        assert!(
            read.is_ok(),
            "the kept configuration can't be read alone: {read:?}"
        );
    }
}

fn tasks(body: &[u8]) {
    for found in page::<TaskProperties>(body)
        .into_iter()
        .flat_map(|page| page.objects)
    {
        if let Some(info) = found.properties.info {
            assert!(info.progress.is_none_or(|percent| percent <= 100));
            info.error.iter().for_each(fault_holds);
        }
    }
}

fn values(body: &[u8]) {
    for found in page::<PropertyMap>(body)
        .into_iter()
        .flat_map(|page| page.objects)
    {
        found
            .properties
            .iter()
            .for_each(|(_, value)| value_holds(value));
    }
}

/// A value that was kept can be read, as something at least.
fn value_holds(value: &PropertyValue) {
    let read = value.read(|_, _| Ok(()));
    assert!(read.is_ok(), "a kept value can't be read alone: {read:?}");
    let _ = (value.text(), value.number::<i64>(), value.boolean());
    let _ = (value.moref(), value.morefs(), value.texts());
}

fn updates(body: &[u8]) {
    let set = checked(read_answer(WAIT, body, read_updates)).flatten();
    for filter in set.into_iter().flat_map(|set| set.filters) {
        filter.objects.iter().for_each(update_holds);
        filter
            .missing
            .iter()
            .for_each(|(_, fault)| fault_holds(fault));
    }
}

fn update_holds(update: &ObjectUpdate) {
    for change in &update.properties {
        if let Some(path) = PropertyPath::parse(&change.path) {
            assert_eq!(PropertyPath::parse(&path.to_string()), Some(path));
        }
        change.value.iter().for_each(value_holds);
    }
    update
        .missing
        .iter()
        .for_each(|(_, fault)| fault_holds(fault));
}

fn areas(body: &[u8]) {
    let read = read_answer("QueryChangedDiskAreas", body, changed_areas::read_page);
    if let Some(page) = checked(read) {
        assert!(!format!("{page:?}").is_empty());
    }
}

fn others(body: &[u8]) {
    drop(checked(read_answer("RetrieveProperties", body, read_old)));
    let time: Parse<_> = |r, response| required(r, response, read_timestamp);
    let _ = checked(read_answer("CurrentTime", body, time));
    let _ = checked(read_answer("Logout", body, nothing));
}

/// All that is read of places, hosts and what is around a VM.
fn places(body: &[u8]) {
    drop(page::<AttributeNames>(body));
    drop(page::<Entity>(body));
    drop(page::<Surroundings>(body));
    drop(page::<Name>(body));
    drop(page::<Parent>(body));
    drop(page::<Pending>(body));
    drop(page::<Datastore>(body));
    for found in page::<Host>(body).into_iter().flat_map(|page| page.objects) {
        let host = found.properties;
        let _ = (
            host.may_mistrack_growth(),
            host.loses_writes_of_consolidation(),
        );
    }
}

fn sessions(body: &[u8]) {
    drop(page::<SessionProperties>(body));
    if let Some(user) = checked(read_answer("Login", body, read_login)) {
        assert!(!user.key.is_empty());
    }
    let ticket = read_answer("AcquireGenericServiceTicket", body, read_ticket);
    drop(checked(ticket));
}

fn found(body: &[u8]) {
    drop(checked(read_answer("FindByUuid", body, read_found)));
    drop(checked(read_answer("FindAllByUuid", body, read_all_found)));
    let privileges = read_answer("HasPrivilegeOnEntities", body, read_entity_privileges);
    for of_one in checked(privileges).into_iter().flatten() {
        assert!(of_one.missing().count() <= of_one.privileges.len());
    }
}

fn history(body: &[u8]) {
    for task in checked(read_answer("ReadNextTasks", body, read_tasks))
        .into_iter()
        .flatten()
    {
        assert!(task.name.chars().count() <= 1000 && task.description_id.chars().count() <= 1000);
    }
}

/// A saved configuration, made into a specification that can be sent.
fn specs(body: &[u8]) {
    let options = SpecOptions {
        datastore: "datastore1".to_owned(),
        encryption: SpecEncryption::OldKeys { policy_id: None },
        ..SpecOptions::default()
    };
    if let Ok(spec) = ConfigSpec::from_config(body, &options) {
        let vm = Moref::vm("vm-1");
        let sent = reconfigure_operation(&vm, &spec).envelope("id");
        let Ok(sent) = sent else { return };
        let read = Reader::from_bytes(&sent).and_then(|mut r| r.document(|_, _| Ok(())));
        assert!(read.is_ok(), "what would be sent can't be read: {read:?}");
    }
}
