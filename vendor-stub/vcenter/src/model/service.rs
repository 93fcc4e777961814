//! ServiceInstance and the singletons that belong to it.

use lab::{Site, timestamp};

use super::{custom_field, role};
use crate::history::MAX_COLLECTORS;
use crate::schema::TypeRef;
use crate::soap::Fault;
use crate::value::{DataObject, Value};
use crate::world::World;

/// API versions a client may ask for, newest first ("vSphere Web Services API" 1.11).
const VERSIONS: [&str; 28] = [
    "8.0.3.0", "8.0.2.0", "8.0.1.0", "8.0.0.2", "8.0.0.1", "8.0.0.0", "7.0.3.2", "7.0.3.1",
    "7.0.3.0", "7.0.2.1", "7.0.2.0", "7.0.1.1", "7.0.1.0", "7.0.0.2", "7.0.0.0", "6.9.1", "6.8.7",
    "6.7.3", "6.7.2", "6.7.1", "6.7", "6.5", "6.0", "5.5", "5.1", "5.0", "4.1", "4.0",
];

/// The managers a client finds in the service content: member, type, id.
const MANAGERS: [(&str, &str, &str); 22] = [
    ("setting", "OptionManager", "VpxSettings"),
    ("userDirectory", "UserDirectory", "UserDirectory"),
    ("sessionManager", "SessionManager", "SessionManager"),
    (
        "authorizationManager",
        "AuthorizationManager",
        "AuthorizationManager",
    ),
    ("perfManager", "PerformanceManager", "PerfMgr"),
    (
        "scheduledTaskManager",
        "ScheduledTaskManager",
        "ScheduledTaskManager",
    ),
    ("alarmManager", "AlarmManager", "AlarmManager"),
    ("eventManager", "EventManager", "EventManager"),
    ("taskManager", "TaskManager", "TaskManager"),
    ("extensionManager", "ExtensionManager", "ExtensionManager"),
    (
        "customizationSpecManager",
        "CustomizationSpecManager",
        "CustomizationSpecManager",
    ),
    (
        "customFieldsManager",
        "CustomFieldsManager",
        "CustomFieldsManager",
    ),
    ("licenseManager", "LicenseManager", "LicenseManager"),
    ("searchIndex", "SearchIndex", "SearchIndex"),
    ("fileManager", "FileManager", "FileManager"),
    (
        "datastoreNamespaceManager",
        "DatastoreNamespaceManager",
        "DatastoreNamespaceManager",
    ),
    (
        "virtualDiskManager",
        "VirtualDiskManager",
        "virtualDiskManager",
    ),
    ("diagnosticManager", "DiagnosticManager", "DiagMgr"),
    ("ovfManager", "OvfManager", "OvfManager"),
    (
        "dvSwitchManager",
        "DistributedVirtualSwitchManager",
        "DVSManager",
    ),
    (
        "storageResourceManager",
        "StorageResourceManager",
        "StorageResourceManager",
    ),
    (
        "guestOperationsManager",
        "GuestOperationsManager",
        "guestOperationsManager",
    ),
];

/// The parts of the GuestOperationsManager: member, type, id.
const GUEST_OPERATIONS: [(&str, &str, &str); 3] = [
    (
        "authManager",
        "GuestAuthManager",
        "guestOperationsAuthManager",
    ),
    (
        "fileManager",
        "GuestFileManager",
        "guestOperationsFileManager",
    ),
    (
        "processManager",
        "GuestProcessManager",
        "guestOperationsProcessManager",
    ),
];

/// Managers that an ESXi host does not have.
const NOT_ON_A_HOST: [&str; 5] = [
    "customizationSpecManager",
    "extensionManager",
    "customFieldsManager",
    "alarmManager",
    "scheduledTaskManager",
];

pub(super) fn properties(world: &World<'_>, id: &str) -> Result<Option<DataObject>, Fault> {
    let object = match id {
        "ServiceInstance" => DataObject::new("ServiceInstance")
            .with("serverClock", Value::time(timestamp()))
            .part("content", content(world.site()?)),
        "SessionManager" => session_manager(world),
        "ViewManager" => view_manager(world),
        "TaskManager" => DataObject::new("TaskManager")
            .with(
                "recentTask",
                Value::references("Task", world.state.tasks.all_recent()),
            )
            .with("description", Value::Opaque)
            .with("maxCollector", Value::int(MAX_COLLECTORS)),
        "AuthorizationManager" => role::manager(world.site()?),
        "CustomFieldsManager" if !world.dialect.bare_host => custom_field::manager(world.site()?),
        "VpxSettings" => option_manager(),
        "LicenseManager" => license_manager(),
        "UserDirectory" => {
            DataObject::new("UserDirectory").with("domainList", Value::strings(["vsphere.local"]))
        }
        "guestOperationsManager" => guest_operations(),
        _ => return Ok(singleton(world.dialect.bare_host, id)),
    };
    Ok(Some(object))
}

/// A manager that has methods only, or that is there since clients fall over its absence.
fn singleton(bare_host: bool, id: &str) -> Option<DataObject> {
    let mut parts = GUEST_OPERATIONS.iter();
    if let Some((_, type_name, _)) = parts.find(|(_, _, known)| *known == id) {
        return Some(DataObject::new(*type_name));
    }
    let (type_name, known) = first_class_disks(bare_host);
    if id == known {
        return Some(DataObject::new(type_name));
    }
    let (member, type_name, _) = MANAGERS.iter().find(|(_, _, known)| *known == id)?;
    let is_there = !(bare_host && NOT_ON_A_HOST.contains(member));
    is_there.then(|| DataObject::new(*type_name))
}

/// The manager of what is done in guests. Its parts have no methods here.
fn guest_operations() -> DataObject {
    let parts = GUEST_OPERATIONS.iter();
    parts.fold(
        DataObject::new("GuestOperationsManager"),
        |object, (member, type_name, id)| object.with(member, Value::reference(type_name, *id)),
    )
}

/// Type and id of the manager of first-class disks.
fn first_class_disks(bare_host: bool) -> (&'static str, &'static str) {
    if bare_host {
        ("HostVStorageObjectManager", "ha-vstorage-object-manager")
    } else {
        ("VcenterVStorageObjectManager", "VStorageObjectManager")
    }
}

/// The settings of the server, as far as the lab has any.
fn option_manager() -> DataObject {
    let option = |(key, value): (&str, &str)| {
        DataObject::new("OptionValue")
            .text("key", key)
            .text("value", value)
    };
    let settings = [
        ("VirtualCenter.InstanceName", "vc.lab.test"),
        ("VirtualCenter.VimApiUrl", "https://vc.lab.test/sdk"),
        ("config.vpxd.stats.maxQueryMetrics", "64"),
    ];
    DataObject::new("OptionManager").with(
        "setting",
        Value::objects("OptionValue", settings.map(option)),
    )
}

/// A server that is tried out.
fn license_manager() -> DataObject {
    let license = DataObject::new("LicenseManagerLicenseInfo")
        .text("licenseKey", "00000-00000-00000-00000-00000")
        .text("editionKey", "eval")
        .text("name", "Evaluation Mode")
        .with("total", Value::int(0))
        .text("costUnit", "");
    DataObject::new("LicenseManager")
        .with("source", Value::Opaque)
        .with("sourceAvailable", Value::boolean(true))
        .text("licensedEdition", "")
        .with(
            "licenses",
            Value::objects("LicenseManagerLicenseInfo", [license]),
        )
        .with("evaluation", Value::Opaque)
}

fn session_manager(world: &World<'_>) -> DataObject {
    let current = world
        .state
        .sessions
        .with(world.cookie, |session| session.user_session());
    let sessions = world.state.sessions.list(world.cookie);
    DataObject::new("SessionManager")
        .with("sessionList", Value::objects("UserSession", sessions))
        .with_some("currentSession", current.map(Value::Object))
        .with("messageLocaleList", Value::strings(["en"]))
        .with("supportedLocaleList", Value::strings(["en"]))
        .text("defaultLocale", "en")
}

fn view_manager(world: &World<'_>) -> DataObject {
    let views = world.state.sessions.with(world.cookie, |session| {
        let views = session.views.iter();
        let views = views.map(|(id, view)| Value::reference(view.type_name(), id));
        views.collect::<Vec<_>>()
    });
    DataObject::new("ViewManager").with(
        "viewList",
        Value::Array(TypeRef::Reference("View"), views.unwrap_or_default()),
    )
}

/// The result of `RetrieveServiceContent`.
pub(crate) fn content(site: &Site) -> DataObject {
    let content = DataObject::new("ServiceContent")
        .with("rootFolder", Value::reference("Folder", Site::ROOT_FOLDER))
        .with(
            "propertyCollector",
            Value::reference("PropertyCollector", "propertyCollector"),
        )
        .with(
            "viewManager",
            Value::reference("ViewManager", "ViewManager"),
        )
        .part("about", about(site));
    let (type_name, id) = first_class_disks(site.bare_host);
    // Its methods are not there; without the object itself clients fall over its absence.
    let content = content.with("vStorageObjectManager", Value::reference(type_name, id));
    MANAGERS
        .iter()
        .filter(|(member, ..)| !(site.bare_host && NOT_ON_A_HOST.contains(member)))
        .fold(content, |content, (member, type_name, id)| {
            content.with(member, Value::reference(type_name, *id))
        })
}

fn about(site: &Site) -> DataObject {
    if site.bare_host {
        return host_product(site);
    }
    let name = "VMware vCenter Server";
    DataObject::new("AboutInfo")
        .text("name", name)
        .text(
            "fullName",
            format!("{name} {} build-{}", site.version, site.build),
        )
        .text("vendor", "VMware, Inc.")
        .text("version", &site.version)
        .text("patchLevel", "00000")
        .text("build", &site.build)
        .text("localeVersion", "INTL")
        .text("localeBuild", "000")
        .text("osType", "linux-x64")
        .text("productLineId", "vpx")
        .text("apiType", "VirtualCenter")
        .text("apiVersion", &site.api_version)
        .text("instanceUuid", &site.instance_uuid)
        .text("licenseProductName", "VMware VirtualCenter Server")
        .text("licenseProductVersion", major_version(&site.version))
}

/// `AboutInfo` of the host.
pub(super) fn host_product(site: &Site) -> DataObject {
    let name = "VMware ESXi";
    DataObject::new("AboutInfo")
        .text("name", name)
        .text(
            "fullName",
            format!("{name} {} build-{}", site.host.version, site.host.build),
        )
        .text("vendor", "VMware, Inc.")
        .text("version", &site.host.version)
        .text("build", &site.host.build)
        .text("localeVersion", "INTL")
        .text("localeBuild", "000")
        .text("osType", "vmnix-x86")
        .text("productLineId", "embeddedEsx")
        .text("apiType", "HostAgent")
        .text("apiVersion", &site.api_version)
        .text("licenseProductName", "VMware ESX Server")
        .text("licenseProductVersion", major_version(&site.host.version))
}

fn major_version(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

/// The body of `vimServiceVersions.xml`: the version of the site, then all older ones.
pub(crate) fn service_versions(site: &Site) -> String {
    let known = VERSIONS.iter().position(|known| *known == site.api_version);
    let prior = &VERSIONS[known.map_or(0, |position| position + 1)..];
    let prior = prior.join("</version><version>");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?><namespaces version=\"1.0\"><namespace>\
         <name>urn:vim25</name><version>{}</version><priorVersions><version>{prior}</version></priorVersions>\
         </namespace></namespaces>",
        quick_xml::escape::escape(&site.api_version)
    )
}
